// The kiosk's page: renders the View, sends Taps, holds nothing itself.

import "./attendant.js";
import "./card.js";
import "./check.js";
import "./closed.js";
import "./code.js";
import "./home.js";
import "./identify.js";
import "./lines.js";
import "./pin.js";
import "./result.js";
import "./take_card.js";
import "./waiting.js";
import { attribute, el, setText, show } from "./dom.js";
import { Actions, Steps, Tools, Top, makeCountdown } from "./frame.js";
import { hintOf, reasonOf, titleOf } from "./screen.js";
import { AgentSocket } from "./socket.js";
import { speak } from "./voice.js";
import { Words } from "./words.js";

const SCREENS = new Set([
  "home",
  "identify",
  "busy",
  "pick",
  "check",
  "card",
  "pin",
  "paying",
  "result",
  "listing",
  "take_card",
  "closed",
  "code",
  "attendant",
]);

const STAFF = new Set(["code", "attendant"]); // no large type for the staff's boards

class Kiosk extends HTMLElement {
  #revision = 0;
  #place = "";
  #screen = null;

  connectedCallback() {
    this.countdown = makeCountdown(this);
    this.top = new Top(this.countdown);
    this.steps = new Steps();
    this.main = el("main", { class: "stage" });
    this.actions = new Actions();
    this.tools = new Tools(this.countdown);
    this.said = el("p", { class: "unseen", role: "status", "aria-live": "polite" });
    this.gone = gone();
    this.whole = el(
      "div",
      { class: "whole" },
      this.top.node,
      this.steps.node,
      this.main,
      this.actions.node,
      this.tools.node,
      this.said,
    );
    show(this.whole, false); // nothing is known yet
    show(this.gone, false);
    this.append(this.whole, this.gone);
    this.addEventListener("click", (event) => this.#tapped(event));
    this.addEventListener("contextmenu", (event) => event.preventDefault());
    this.socket = new AgentSocket(
      "/kiosk/ws",
      (view) => this.show(view),
      () => this.lost(),
    );
  }

  show(view) {
    const elder = view.elder === true && !STAFF.has(view.screen);
    const words = new Words(view.language ?? "zh", elder);
    this.#revision = view.revision;
    this.dataset.revision = view.revision;
    attribute(document.documentElement, "lang", words.language === "en" ? "en" : "zh-CN");
    this.classList.toggle("elder", elder);
    document.documentElement.classList.toggle("contrast", view.contrast === true);
    this.dataset.screen = view.screen;
    show(this.gone, false);
    show(this.whole, true);
    for (const sent of this.querySelectorAll('[aria-disabled="true"]')) {
      sent.removeAttribute("aria-disabled");
    }
    this.top.update(view, words);
    this.steps.update(view, words);
    this.#play(view, words);
    this.actions.update(view, words);
    this.tools.update(view, words);
    this.countdown.update(view, words);
    this.#say(view, words);
  }

  lost() {
    show(this.whole, false);
    show(this.gone, true);
  }

  // The same place keeps its element; another one begins anew, at its heading.
  #play(view, words) {
    const place = [view.screen, view.business, view.step].join(" ");
    if (place !== this.#place) {
      this.#place = place;
      const name = SCREENS.has(view.screen) ? view.screen.replace("_", "-") : "closed";
      this.#screen = document.createElement(`kiosk-${name}`);
      this.#screen.className = "screen";
      this.main.replaceChildren(this.#screen);
      this.#screen.update(view, words);
      this.#screen.querySelector("h1")?.focus({ preventScroll: true });
    } else {
      this.#screen.update(view, words);
    }
  }

  // One tap for each button and revision: until the next View a tapped button is deaf.
  #tapped(event) {
    const button = event.target.closest("button[data-what]");
    if (!button || button.disabled || button.getAttribute("aria-disabled") === "true") {
      return;
    }
    attribute(button, "aria-disabled", "true");
    this.socket.send({
      revision: this.#revision,
      what: button.dataset.what,
      id: button.dataset.id,
    });
  }

  #say(view, words) {
    const hint = view.screen === "result" ? words.say("next", view.next) : hintOf(view, words);
    const { reason, text } = reasonOf(view, words);
    const parts = [titleOf(view, words), reason, text, hint];
    const sentence = parts.filter(Boolean).join(words.language === "en" ? ". " : "。");
    setText(this.said, sentence);
    document.title = titleOf(view, words);
    speak(view, sentence);
  }
}

// While there is no agent. It says nothing that it cannot know.
function gone() {
  return el(
    "div",
    { class: "gone", role: "alert" },
    el("div", { class: "wheel", "aria-hidden": "true" }, el("span"), el("span"), el("span")),
    el("h1", {}, "正在恢复"),
    el("p", {}, "请稍候。已经付款的，请勿重复支付。"),
    el("p", { lang: "en" }, "Coming back. If you have just paid, please do not pay again."),
  );
}

customElements.define("kiosk-page", Kiosk);
document.body.append(document.createElement("kiosk-page"));
