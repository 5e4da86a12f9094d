// Out of service, and why.

import { el, setData, setText, show } from "./dom.js";
import { icon } from "./icons.js";
import { Screen, hintOf, titleOf } from "./screen.js";

class Closed extends Screen {
  build() {
    this.headline = el("h1", { tabindex: "-1" });
    this.reason = el("p", { class: "reason" });
    this.text = el("p", { class: "said" });
    this.hint = el("p", { class: "hint" });
    this.code = el("p", { class: "code" });
    this.append(
      el(
        "div",
        { class: "verdict" },
        el("div", { class: "sign", "aria-hidden": "true" }, icon("closed")),
        this.headline,
        this.reason,
        this.text,
        this.hint,
        this.code,
      ),
    );
  }

  render(view, words) {
    setText(this.headline, titleOf(view, words));
    // Locked by whom and why belong together: both are said.
    show(this.reason, setText(this.reason, words.say("notice", view.notice)).textContent !== "");
    this.classList.toggle("wordy", Boolean(view.text));
    show(this.text, setData(this.text, view.text ?? "").textContent !== "");
    setText(this.hint, hintOf(view, words));
    show(this.code, Boolean(view.code));
    setText(this.code, view.code ? words.say("page", "code_for_staff", { code: view.code }) : "");
  }
}

customElements.define("kiosk-closed", Closed);
