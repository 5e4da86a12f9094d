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
    this.said = el("span");
    this.banner = el(
      "p",
      { class: "notice" },
      icon("exception"),
      el("span", { class: "notice-text" }, this.notice, this.said),
    );
    screen.append(el("div", { class: "heading" }, this.title, this.hint, this.banner));
  }

  // `quiet`: the screen itself says what is to know.
  update(view, words, quiet = false) {
    const { reason, text } = reasonOf(view, words);
    setText(this.title, titleOf(view, words));
    show(this.hint, setText(this.hint, hintOf(view, words)).textContent !== "");
    if (show(this.banner, !quiet && reason + text !== "")) {
      setText(this.notice, reason);
      setData(this.said, text);
    }
  }
}

// Why it is so: our own words for it, and the sentence of whoever said so. In Chinese that sentence
// goes alone: it says the same, and better.
export function reasonOf(view, words) {
  const text = view.text ?? "";
  if (!text) {
    return { reason: words.say("notice", view.notice), text };
  }
  // A code of the hospital that we have no word for is explained by its sentence.
  const reason = words.language === "en" ? words.maybe("notice", view.notice) : "";
  return { reason, text };
}

// The instruction of a View.
export function titleOf(view, words) {
  if (view.screen === "result") {
    return outcomeOf(view, words);
  }
  if (view.prompt) {
    return words.maybe("title", view.prompt) || words.say("prompt", view.prompt);
  }
  const step = view.steps?.[view.step ?? 0];
  const picked = view.screen === "pick" && step ? words.maybe("prompt", `pick_${step}`) : "";
  return picked || words.say("title", view.screen);
}

// The sentence below it; nothing where the instruction says all.
export function hintOf(view, words) {
  if (view.slip && view.screen === "attendant") {
    return words.say("slip", view.slip);
  }
  const prompt = view.prompt || view.screen;
  return words.maybe("prompt_hint", prompt) || words.maybe("hint", prompt);
}

// What became of it: a payment, something printed, or a question without an answer.
function outcomeOf(view, words) {
  if (!view.outcome) {
    return words.say("printing", view.slip || "waiting");
  }
  if (moodOf(view) === "nothing") {
    const { reason, text } = reasonOf(view, words);
    return reason || text;
  }
  const own = view.outcome === "approved" ? words.maybe("outcome_business", view.business) : "";
  return own || words.say("outcome", view.outcome);
}

const PRINTING = { printed: "approved", failed: "failed" };
// Nothing went wrong: there is nothing to do.
const NOTHING = new Set([
  "no_bill", "no_choice", "no_department", "no_doctor", "no_slot", "no_appointment", "no_report",
  "no_slip", "nothing_to_pay",
]);

// The colour and sign of a result.
export function moodOf(view) {
  if (!view.outcome) {
    return PRINTING[view.slip] ?? "pending";
  }
  return view.outcome === "failed" && NOTHING.has(view.notice) ? "nothing" : view.outcome;
}
