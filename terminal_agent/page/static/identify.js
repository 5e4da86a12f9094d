// With what the patient may say who they are.

import { attribute, el, keyed, setText, tapButton } from "./dom.js";
import { iconFor, setIcon } from "./icons.js";
import { Heading, Screen } from "./screen.js";

class Identify extends Screen {
  build() {
    this.heading = new Heading(this);
    this.media = el("div", { class: "media" });
    this.append(this.media);
  }

  render(view, words) {
    this.heading.update(view, words);
    attribute(this.media, "data-count", (view.media ?? []).length);
    keyed(
      this.media,
      view.media ?? [],
      (medium) => medium,
      makeMedium,
      (node, medium) => {
        const [holder, name, hint] = node.children;
        setIcon(holder, iconFor(medium, "card"));
        setText(name, words.say("medium", medium));
        setText(hint, words.maybe("medium_hint", medium));
      },
    );
  }
}

function makeMedium(medium) {
  return tapButton(
    "medium",
    medium,
    { class: "medium" },
    el("span", { class: "medium-icon" }),
    el("span", { class: "medium-name" }),
    el("span", { class: "medium-hint" }),
  );
}

customElements.define("kiosk-identify", Identify);
