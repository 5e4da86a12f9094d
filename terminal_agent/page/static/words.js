// Every word the page can say. A View carries words of this dictionary, never sentences of its own;
// one that is not here is shown as it is and reported once.

import { EN } from "./words_en.js";
import { ZH } from "./words_zh.js";
import { ZH_ELDER } from "./words_zh_elder.js";

const reported = new Set();

export class Words {
  constructor(language, elder) {
    this.language = language;
    const whole = language === "en" ? EN : ZH;
    this.#books = elder && language !== "en" ? [ZH_ELDER, whole] : [whole];
  }

  #books;

  // The word of a kind; `{name}` in it stands for values[name].
  say(kind, key, values = {}) {
    if (!key) {
      return "";
    }
    const found = this.#find(kind, key);
    if (found === undefined) {
      if (!reported.has(`${kind}.${key}`)) {
        reported.add(`${kind}.${key}`);
        console.warn(`no word for ${kind}.${key}`);
      }
      return key;
    }
    return found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  }

  // The same, or nothing where there need not be one.
  maybe(kind, key, values) {
    return this.#find(kind, key) === undefined ? "" : this.say(kind, key, values);
  }

  #find(kind, key) {
    for (const book of this.#books) {
      const words = book[kind];
      if (words !== undefined && Object.hasOwn(words, key)) {
        return words[key];
      }
    }
    return undefined;
  }
}

// The business's name: the switch's own title in Chinese, ours in English.
export function businessName(words, id, title) {
  return words.language === "en"
    ? words.maybe("business", id) || title
    : title || words.say("business", id);
}
