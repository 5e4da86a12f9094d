// With what the patient may say who they are. All readers listen at once: nothing is to be tapped.

import { attribute, el, keyed, setText } from "./dom.js";
import { iconFor, setIcon } from "./icons.js";
import { Heading, Screen } from "./screen.js";

class Identify extends Screen {
  build() {
    this.heading = new Heading(this);
    this.media = el("ul", { class: "media" });
    this.append(this.media);
  }

  render(view, words) {
    const media = view.media ?? [];
    this.heading.update(view, words);
    attribute(this.media, "data-count", media.length);
    keyed(
      this.media,
      media,
      (medium) => medium,
      () =>
        el(
          "li",
          { class: "medium" },
          el("span", { class: "medium-icon" }),
          el("span", { class: "medium-name" }),
          el("span", { class: "medium-hint" }),
        ),
      (node, medium) => {
        const [holder, name, hint] = node.children;
        setIcon(holder, iconFor(medium, "card"));
        setText(name, words.say("medium", medium));
        setText(hint, words.maybe("medium_hint", medium));
      },
    );
  }
}

customElements.define("kiosk-identify", Identify);
