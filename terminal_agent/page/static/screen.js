// What all screens have in common: built once, updated by every View, gone with the next screen.

import { el, setData, setText, show } from "./dom.js";
import { icon } from "./icons.js";

export class Screen extends HTMLElement {
  #built = false;

  // Called for every View of this screen; subclasses write build() and render().
  update(view, words) {
    if (!this.#built) {
      this.#built = true;
      this.build();
    }
    this.render(view, words);
  }
}

// What the screen says on top: the one instruction (h1), a hint, and what went wrong.
export class Heading {
  constructor(screen) {
    this.title = el("h1", { tabindex: "-1" });
    this.hint = el("p", { class: "hint" });
    this.notice = el("span");
    this.banner = el("p", { class: "notice" }, icon("exception"), this.notice);
    screen.append(el("div", { class: "heading" }, this.title, this.hint, this.banner));
  }

  // `quiet`: the screen itself says what is to know.
  update(view, words, quiet = false) {
    setText(this.title, titleOf(view, words));
    show(this.hint, setText(this.hint, hintOf(view, words)).textContent !== "");
    const notice = words.say("notice", view.notice);
    if (show(this.banner, !quiet && (notice !== "" || Boolean(view.text)))) {
      if (notice) {
        setText(
          this.notice,
          view.text ? `${notice}${words.language === "en" ? ": " : "："}${view.text}` : notice,
        );
        this.notice.removeAttribute("lang");
      } else {
        setData(this.notice, view.text);
      }
    }
  }
}

// The instruction of a View.
export function titleOf(view, words) {
  switch (view.screen) {
    case "pick":
      return words.maybe("pick", stepOf(view)) || words.say("title", "pick");
    case "identify":
    case "busy":
    case "card":
      return view.prompt ? words.say("prompt", view.prompt) : words.say("title", view.screen);
    case "result":
      return outcomeOf(view, words);
    default:
      return words.say("title", view.screen);
  }
}

// The sentence below it; nothing where the instruction says all.
export function hintOf(view, words) {
  if (view.prompt) {
    return words.maybe("prompt_hint", view.prompt);
  }
  return words.maybe("hint", view.screen);
}

export function stepOf(view) {
  return view.steps?.[view.step ?? 0] ?? "";
}

function outcomeOf(view, words) {
  if (view.outcome === "approved") {
    return words.maybe("outcome_business", view.business) || words.say("outcome", "approved");
  }
  return words.say("outcome", view.outcome || "failed");
}
