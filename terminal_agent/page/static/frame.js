// What stands around every screen: whose kiosk it is, how far one has come, what may be tapped.

import { attribute, el, keyed, setData, setText, show, tapButton } from "./dom.js";
import { Countdown } from "./countdown.js";
import { icon, setIcon } from "./icons.js";
import { businessName } from "./words.js";

const LEFT = ["back", "cancel", "home"];
const RIGHT = ["unlock", "lock", "restart", "confirm"];
const TOOLS = ["language", "elder", "contrast", "voice", "attendant"];
const SWITCHES = new Set(["elder", "contrast", "voice"]);
const ENDS = new Set(["result", "listing"]);

// The band on top.
export class Top {
  #at = 0;
  #language = "zh";

  constructor(countdown) {
    this.hospital = el("span", { class: "hospital" });
    this.kiosk = el("span", { class: "kiosk-name" });
    this.time = el("span", { class: "time" });
    this.date = el("span", { class: "date" });
    const mark = el("span", { class: "mark", "aria-hidden": "true" });
    this.node = el(
      "header",
      { class: "top" },
      mark,
      el("div", { class: "brand" }, this.hospital, this.kiosk),
      el("div", { class: "clock" }, this.time, this.date),
      countdown.ring,
    );
    setInterval(() => this.#tick(), 1000);
  }

  update(view, words) {
    this.#language = words.language;
    this.#at = view.now_ms ? view.now_ms - performance.now() : 0;
    setData(this.hospital, view.hospital);
    setText(this.kiosk, `${words.say("page", "kiosk")} · ${view.terminal}`);
    this.#tick();
  }

  #tick() {
    if (this.#at) {
      const now = this.#at + performance.now();
      const language = this.#language === "en" ? "en-GB" : "zh-CN";
      setText(
        this.time,
        new Intl.DateTimeFormat(language, {
          hour: "2-digit",
          minute: "2-digit",
          hour12: false,
        }).format(now),
      );
      setText(
        this.date,
        new Intl.DateTimeFormat(language, {
          month: "short",
          day: "numeric",
          weekday: "short",
        }).format(now),
      );
    }
  }
}

// How far one has come.
export class Steps {
  constructor() {
    this.business = el("p", { class: "business" });
    this.list = el("ol");
    this.where = el("p", { class: "where" });
    this.node = el("nav", { class: "steps" }, this.business, this.list, this.where);
  }

  update(view, words) {
    const steps = view.steps ?? [];
    const step = view.step ?? 0;
    const ended = view.screen === "result" && view.outcome === "approved";
    if (!show(this.node, steps.length > 0)) {
      return;
    }
    attribute(this.node, "aria-label", words.say("page", "steps"));
    (words.language === "en" ? setText : setData)(
      this.business,
      businessName(words, view.business, view.title),
    );
    setText(this.where, words.say("page", "step_of", { step: step + 1, steps: steps.length }));
    keyed(
      this.list,
      steps.map((name, index) => ({ name, index })),
      ({ name, index }) => `${index} ${name}`,
      () => el("li", {}, el("span", { class: "step-mark" }), el("span", { class: "step-name" })),
      (node, { name, index }) => {
        const [mark, label] = node.children;
        const done = index < step || ended;
        attribute(node, "data-state", done ? "done" : index === step ? "now" : "ahead");
        attribute(node, "aria-current", index === step ? "step" : undefined);
        if (done) {
          setIcon(mark, "confirm");
        } else {
          delete mark.dataset.icon;
          setText(mark, String(index + 1));
        }
        setText(label, words.say("step", name));
      },
    );
  }
}

// What may be done with this screen: ways back on the left, the way on at the lower right.
export class Actions {
  constructor() {
    this.left = el("div", { class: "ways-back" });
    this.right = el("div", { class: "ways-on" });
    this.node = el("div", { class: "actions" }, this.left, this.right);
  }

  update(view, words) {
    const offered = new Set(view.buttons ?? []);
    if (view.screen === "code") {
      offered.delete("confirm"); // it is a key of the key pad
    }
    const left = LEFT.filter((name) => offered.has(name));
    const right = RIGHT.filter((name) => offered.has(name));
    if (right.length === 0 && ENDS.has(view.screen) && left.includes("home")) {
      right.push(...left.splice(left.indexOf("home"), 1));
    }
    this.#fill(this.left, left, view, words, "");
    this.#fill(this.right, right, view, words, right.length === 1 ? "primary" : "");
    show(this.node, left.length + right.length > 0);
  }

  #fill(place, names, view, words, kind) {
    keyed(
      place,
      names,
      (name) => name,
      (name) => tapButton(name, "", {}, icon(name), el("span")),
      (node, name) => {
        node.className = `action ${kind || (name === "confirm" ? "primary" : "")} action-${name}`;
        setText(node.lastElementChild, words.say("button", wordOf(name, view)));
      },
    );
  }
}

// To confirm is to pay, or to try again.
function wordOf(name, view) {
  if (name !== "confirm") {
    return name;
  }
  return view.screen === "result" ? "retry" : view.amount_fen != null ? "pay" : name;
}

// How the page speaks and looks; near the end of the time its place is the countdown's.
export class Tools {
  constructor(countdown) {
    this.list = el("div", { class: "tool-list" });
    this.node = el("footer", { class: "tools" }, this.list, countdown.bar);
  }

  update(view, words) {
    const offered = new Set(view.buttons ?? []);
    show(this.node, offered.has("stay") || TOOLS.some((name) => offered.has(name)));
    keyed(
      this.list,
      TOOLS.filter((name) => offered.has(name)),
      (name) => name,
      (name) => tapButton(name, "", { class: `tool tool-${name}` }, icon(name), el("span")),
      (node, name) => {
        const on = SWITCHES.has(name) && view[name] === true;
        attribute(node, "aria-pressed", SWITCHES.has(name) ? String(on) : undefined);
        attribute(
          node,
          "lang",
          name === "language" ? (words.language === "en" ? "zh-CN" : "en") : undefined,
        );
        setText(node.lastElementChild, words.say("button", on ? `${name}_off` : name));
      },
    );
  }
}

export function makeCountdown(root) {
  return new Countdown((hurried) => root.classList.toggle("hurried", hurried));
}
