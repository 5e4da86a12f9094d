// Nobody may walk away without the card.

import { el } from "./dom.js";
import { cardPicture } from "./pictures.js";
import { Heading, Screen } from "./screen.js";

class TakeCard extends Screen {
  build() {
    this.heading = new Heading(this);
    this.dataset.prompt = "remove";
    this.append(el("div", { class: "stand" }, el("div", { class: "picture" }, cardPicture())));
  }

  render(view, words) {
    this.heading.update(view, words);
  }
}

customElements.define("kiosk-take-card", TakeCard);
