// Parts that several screens show: facts, an amount, an empty place.

import { el, keyed, setData, setText } from "./dom.js";
import { icon } from "./icons.js";
import { yuan } from "./money.js";

// Label and value pairs. Values are names and numbers of the hospital, masked before they came.
export class Facts {
  constructor() {
    this.list = el("dl", { class: "facts" });
  }

  update(view, words) {
    keyed(
      this.list,
      view.facts ?? [],
      (fact) => fact.label,
      () => el("div", { class: "fact" }, el("dt"), el("dd")),
      (row, fact) => {
        setText(row.firstElementChild, words.say("label", fact.label));
        setData(row.lastElementChild, fact.value);
      },
    );
    this.list.hidden = !view.facts?.length;
  }
}

// An amount of money, as large as its place allows.
export class Amount {
  constructor() {
    this.label = el("span", { class: "amount-label" });
    this.number = el("span", { class: "amount-number" });
    this.node = el(
      "p",
      { class: "amount" },
      this.label,
      el("span", { class: "amount-value" }, el("span", { class: "yen" }, "¥"), this.number),
    );
  }

  update(fen, label) {
    this.node.hidden = fen === undefined || fen === null;
    if (!this.node.hidden) {
      setText(this.label, label);
      setText(this.number, yuan(fen));
      this.node.classList.toggle("long", this.number.textContent.length > 10);
    }
  }
}

// What stands where a list would.
export class Empty {
  constructor() {
    this.text = el("p");
    this.node = el("div", { class: "empty" }, icon("empty"), this.text);
  }

  update(shown, text) {
    this.node.hidden = !shown;
    setText(this.text, text);
  }
}
