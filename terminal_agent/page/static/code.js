// The attendant's code. Digits of a PIN are never typed on the screen.

import { el, setText, tapButton } from "./dom.js";
import { icon } from "./icons.js";
import { dots } from "./pin.js";
import { Heading, Screen } from "./screen.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "clear", "0", "confirm"];
const PLACES = 6;

class Code extends Screen {
  build() {
    this.heading = new Heading(this);
    this.dots = el("div", { class: "dots", role: "img" });
    this.keys = el("div", { class: "keys" });
    this.named = {};
    for (const key of KEYS) {
      if (/\d/.test(key)) {
        this.keys.append(tapButton("digit", key, { class: "key" }, key));
      } else {
        this.named[key] = tapButton(key, "", { class: `key key-${key}` }, icon(key), el("span"));
        this.keys.append(this.named[key]);
      }
    }
    this.append(el("div", { class: "stand" }, this.dots, this.keys));
  }

  render(view, words) {
    const offered = new Set(view.buttons ?? []);
    this.heading.update(view, words);
    dots(this.dots, view.digits ?? 0, PLACES, words);
    for (const key of this.keys.children) {
      key.disabled = !offered.has(key.dataset.what);
    }
    for (const [name, node] of Object.entries(this.named)) {
      setText(node.lastElementChild, words.say("button", name));
    }
  }
}

customElements.define("kiosk-code", Code);
