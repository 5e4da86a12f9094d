// Somebody else is at work: the hospital (busy), or the bank with the patient's money (paying).

import { el } from "./dom.js";
import { icon } from "./icons.js";
import { Amount } from "./parts.js";
import { Heading, Screen } from "./screen.js";

class Waiting extends Screen {
  build() {
    this.heading = new Heading(this);
    this.amount = new Amount();
    const orbit = el("div", { class: "orbit", "aria-hidden": "true" }, icon(this.picture));
    this.append(el("div", { class: "stand" }, orbit, this.amount.node));
  }

  render(view, words) {
    this.heading.update(view, words);
    this.amount.update(view.amount_fen, words.say("amount", "card"));
  }
}

class Busy extends Waiting {
  picture = "hospital";
}

class Paying extends Waiting {
  picture = "shield";
}

customElements.define("kiosk-busy", Busy);
customElements.define("kiosk-paying", Paying);
