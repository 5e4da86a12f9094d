// The PIN is typed at the pad; here is only how many digits there are.

import { el, setText } from "./dom.js";
import { Amount, Facts } from "./parts.js";
import { padPicture } from "./pictures.js";
import { Heading, Screen } from "./screen.js";

const PLACES = 6;
const PLACES_MAX = 12;

class Pin extends Screen {
  build() {
    this.heading = new Heading(this);
    this.dots = el("div", { class: "dots", role: "img" });
    this.enter = el("p", { class: "pin-note" });
    this.clear = el("p", { class: "pin-note quiet" });
    this.facts = new Facts();
    this.amount = new Amount();
    this.append(
      el(
        "div",
        { class: "stand" },
        el("div", { class: "picture" }, padPicture()),
        this.dots,
        this.enter,
        this.clear,
      ),
      el("div", { class: "sheet" }, this.facts.list, this.amount.node),
    );
  }

  render(view, words) {
    const digits = Math.min(view.digits ?? 0, PLACES_MAX);
    this.heading.update(view, words);
    dots(this.dots, digits, PLACES, words);
    setText(this.enter, words.say("page", "pin_enter"));
    setText(this.clear, words.say("page", "pin_clear"));
    this.facts.update(view, words);
    this.amount.update(view.amount_fen, words.say("amount", "card"));
  }
}

// One circle for each place, filled for each digit; the number is said, never the digits.
export function dots(place, digits, places, words) {
  while (place.children.length < Math.max(places, digits)) {
    place.append(el("span", { class: "dot" }));
  }
  while (place.children.length > Math.max(places, digits)) {
    place.lastElementChild.remove();
  }
  [...place.children].forEach((dot, index) => dot.classList.toggle("full", index < digits));
  place.setAttribute("aria-label", words.say("page", "digits", { digits }));
}

customElements.define("kiosk-pin", Pin);
