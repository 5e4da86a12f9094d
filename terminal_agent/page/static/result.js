// How it ended, and what to do next.

import { el, setData, setText, show } from "./dom.js";
import { icon, iconFor, setIcon } from "./icons.js";
import { Amount, Facts } from "./parts.js";
import { Screen, titleOf } from "./screen.js";

const WORDY_CHARACTERS = 24;
const UNPAID = new Set(["declined", "refused", "failed", "cancelled", "returned"]);

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
      el("div", { class: "sheet" }, this.facts.list, this.amount.node),
      el("div", { class: "then" }, this.nextBox, this.slipBox, this.code),
    );
  }

  render(view, words) {
    this.dataset.outcome = view.outcome || "failed";
    setIcon(
      this.sign,
      iconFor(
        view.outcome === "failed" || view.outcome === "refused" || view.outcome === "cancelled"
          ? "declined"
          : view.outcome,
        "info",
      ),
    );
    setText(this.headline, titleOf(view, words));
    show(
      this.detail,
      setText(this.detail, words.maybe("outcome_detail", view.outcome)).textContent !== "",
    );
    show(this.reason, setText(this.reason, words.say("notice", view.notice)).textContent !== "");
    this.classList.toggle("wordy", (view.text ?? "").length > WORDY_CHARACTERS);
    show(this.text, setData(this.text, view.text ?? "").textContent !== "");
    this.facts.update(view, words);
    this.amount.update(
      view.amount_fen,
      words.say(
        "amount",
        view.outcome === "approved" ? "paid" : UNPAID.has(view.outcome) ? "unpaid" : "pending",
      ),
    );
    setText(this.nextTitle, words.say("page", "what_next"));
    show(this.nextBox, setText(this.next, words.say("next", view.next)).textContent !== "");
    show(this.slipBox, setText(this.slip, words.say("slip", view.slip)).textContent !== "");
    this.slipBox.dataset.slip = view.slip ?? "";
    show(this.code, Boolean(view.code));
    setText(this.code, view.code ? words.say("page", "code_for_staff", { code: view.code }) : "");
  }
}

customElements.define("kiosk-result", Result);
