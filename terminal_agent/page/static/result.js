// How it ended, and what to do next.

import { el, setData, setText, show } from "./dom.js";
import { icon, setIcon } from "./icons.js";
import { Amount, Facts } from "./parts.js";
import { Screen, moodOf, reasonOf, titleOf } from "./screen.js";

const WORDY_CHARACTERS = 24;
const SIGNS = {
  approved: "approved",
  returned: "returned",
  pending: "pending",
  exception: "exception",
  nothing: "info",
};
const AMOUNTS = { approved: "paid", pending: "pending", exception: "pending" };

class Result extends Screen {
  build() {
    this.sign = el("div", { class: "sign", "aria-hidden": "true" });
    this.headline = el("h1", { tabindex: "-1" });
    this.detail = el("p", { class: "hint" });
    this.amount = new Amount();
    this.reason = el("p", { class: "reason" });
    this.text = el("p", { class: "said" });
    this.nextTitle = el("h2");
    this.next = el("p");
    this.nextBox = el(
      "section",
      { class: "next" },
      icon("next"),
      el("div", {}, this.nextTitle, this.next),
    );
    this.slip = el("span");
    this.slipBox = el("p", { class: "slip" }, icon("slip"), this.slip);
    this.facts = new Facts();
    this.sheet = el("div", { class: "sheet" }, this.facts.list, this.amount.node);
    this.code = el("p", { class: "code" });
    this.append(
      el(
        "div",
        { class: "verdict" },
        this.sign,
        this.headline,
        this.detail,
        this.reason,
        this.text,
      ),
      this.sheet,
      el("div", { class: "then" }, this.nextBox, this.slipBox, this.code),
    );
  }

  render(view, words) {
    const mood = moodOf(view);
    const { reason, text } = reasonOf(view, words);
    this.dataset.outcome = mood;
    setIcon(this.sign, SIGNS[mood] ?? "declined");
    const headline = titleOf(view, words);
    setText(this.headline, headline);
    // Of money that goes back the switch's own sentence knows more than ours.
    const said = mood === "nothing" || (view.outcome === "returned" && text !== "");
    fill(this.detail, said ? "" : words.maybe("outcome_detail", view.outcome));
    fill(this.reason, mood === "nothing" ? "" : reason);
    this.classList.toggle("wordy", text.length > WORDY_CHARACTERS);
    show(this.text, setData(this.text, text).textContent !== "" && text !== headline);
    this.facts.update(view, words);
    this.amount.update(view.amount_fen, words.say("amount", AMOUNTS[view.outcome] ?? "unpaid"));
    show(this.sheet, !this.facts.list.hidden || !this.amount.node.hidden);
    setText(this.nextTitle, words.say("page", "what_next"));
    show(this.nextBox, setText(this.next, words.say("next", view.next)).textContent !== "");
    const slip = view.outcome ? words.say("slip", view.slip) : ""; // else the headline says it
    show(this.slipBox, setText(this.slip, slip).textContent !== "");
    this.slipBox.dataset.slip = view.slip ?? "";
    fill(this.code, view.code ? words.say("page", "code_for_staff", { code: view.code }) : "");
  }
}

function fill(node, text) {
  show(node, text !== "");
  setText(node, text);
}

customElements.define("kiosk-result", Result);
