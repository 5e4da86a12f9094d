// At the card reader: put the card in, wait, choose an account on it, take it out.

import { el, keyed, setData, show, tapButton } from "./dom.js";
import { icon } from "./icons.js";
import { Amount } from "./parts.js";
import { cardPicture } from "./pictures.js";
import { Heading, Screen } from "./screen.js";

class Card extends Screen {
  build() {
    this.heading = new Heading(this);
    this.picture = el("div", { class: "picture" }, cardPicture());
    this.list = el("div", { class: "lines", "data-kind": "names" });
    this.amount = new Amount();
    this.append(el("div", { class: "stand" }, this.picture, this.list), this.amount.node);
  }

  render(view, words) {
    this.heading.update(view, words);
    this.dataset.prompt = view.prompt ?? "";
    show(this.picture, view.prompt !== "application");
    show(this.list, view.prompt === "application");
    keyed(
      this.list,
      view.choices ?? [],
      (line) => line.id,
      (line) =>
        tapButton(
          "choice",
          line.id,
          { class: "line" },
          el("span", { class: "line-text" }),
          icon("chevron"),
        ),
      (node, line) => setData(node.firstElementChild, line.title),
    );
    this.amount.update(view.amount_fen, words.say("amount", "card"));
  }
}

customElements.define("kiosk-card", Card);
