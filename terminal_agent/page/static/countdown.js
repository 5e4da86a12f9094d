// How long until the kiosk goes home by itself: a ring with its seconds, and near the end a bar
// that offers more time. Time runs on the page's monotonic clock, from what the View said.

import { attribute, el, setText, show, svg, tapButton } from "./dom.js";
import { icon } from "./icons.js";

const HURRY_MS = 15000;
const TICK_MS = 250;
const RING = 2 * Math.PI * 20;

export class Countdown {
  #ends = 0;
  #whole = 0;
  #stay = false;
  #words = null;

  constructor(hurried) {
    this.hurried = hurried;
    this.seconds = el("span", { class: "seconds" });
    this.line = svg("circle", { class: "ring-line", cx: "24", cy: "24", r: "20" });
    this.ring = el(
      "div",
      { class: "ring", role: "timer", "aria-live": "off" },
      svg(
        "svg",
        { viewBox: "0 0 48 48", "aria-hidden": "true" },
        svg("circle", { class: "ring-back", cx: "24", cy: "24", r: "20" }),
        this.line,
      ),
      this.seconds,
    );
    this.text = el("span");
    this.button = tapButton("stay", "", { class: "stay" }, icon("stay"), el("span"));
    this.bar = el("div", { class: "hurry" }, this.text, this.button);
    this.line.style.strokeDasharray = String(RING);
    setInterval(() => this.#tick(), TICK_MS);
  }

  update(view, words) {
    this.#words = words;
    this.#ends = view.countdown_ms ? performance.now() + view.countdown_ms : 0;
    this.#whole = view.countdown_whole_ms || view.countdown_ms || 1;
    this.#stay = (view.buttons ?? []).includes("stay");
    setText(this.button.lastElementChild, words.say("button", "stay"));
    this.#tick();
  }

  #tick() {
    if (!show(this.ring, this.#ends > 0)) {
      show(this.bar, false);
      this.hurried(false);
      return;
    }
    const left = Math.max(0, this.#ends - performance.now());
    const seconds = Math.ceil(left / 1000);
    setText(this.seconds, String(seconds));
    attribute(this.ring, "aria-label", this.#words.say("page", "seconds_left", { seconds }));
    setText(this.text, this.#words.say("page", "hurry", { seconds }));
    this.line.style.strokeDashoffset = String(RING * (1 - Math.min(1, left / this.#whole)));
    const hurry = left <= HURRY_MS;
    this.ring.classList.toggle("near", hurry);
    show(this.bar, hurry && this.#stay);
    this.hurried(hurry && this.#stay);
  }
}
