// To be confirmed: facts and the amount.

import { el } from "./dom.js";
import { Amount, Facts } from "./parts.js";
import { Heading, Screen } from "./screen.js";

class Check extends Screen {
  build() {
    this.heading = new Heading(this);
    this.facts = new Facts();
    this.amount = new Amount();
    this.append(el("div", { class: "sheet" }, this.facts.list, this.amount.node));
  }

  render(view, words) {
    this.heading.update(view, words);
    this.facts.update(view, words);
    this.amount.update(
      view.amount_fen,
      words.maybe("amount", view.business) || words.say("amount", "amount"),
    );
  }
}

customElements.define("kiosk-check", Check);
