// For the hospital's staff: devices, the last payments with their slips, versions.

import { attribute, el, keyed, setData, setText, tapButton } from "./dom.js";
import { icon } from "./icons.js";
import { yuan } from "./money.js";
import { Pager } from "./pager.js";
import { Empty } from "./parts.js";
import { Heading, Screen } from "./screen.js";

const SIZES = { portrait: 5, landscape: 4 };
const GOOD = new Set(["online", "up"]);
const WEAK = new Set(["paperLow", "tonerLow", "starting"]);

class Attendant extends Screen {
  build() {
    this.heading = new Heading(this);
    this.devicesTitle = el("h2");
    this.devices = el("ul", { class: "devices" });
    this.paymentsTitle = el("h2");
    this.payments = el("ul", { class: "payments" });
    this.empty = new Empty();
    this.pager = new Pager(() => this.render(this.view, this.words));
    this.versions = el("dl", { class: "versions" });
    this.append(
      el(
        "div",
        { class: "board" },
        el("section", { class: "panel" }, this.devicesTitle, this.devices, this.versions),
        el(
          "section",
          { class: "panel" },
          this.paymentsTitle,
          this.payments,
          this.empty.node,
          this.pager.node,
        ),
      ),
    );
  }

  render(view, words) {
    this.view = view;
    this.words = words;
    this.heading.update(view, words);
    setText(this.devicesTitle, words.say("page", "devices"));
    setText(this.paymentsTitle, words.say("page", "payments"));
    keyed(
      this.devices,
      view.devices ?? [],
      (line) => line.role,
      makeDevice,
      (node, line) => fillDevice(node, line, words),
    );
    const payments = view.payments ?? [];
    const shown = this.pager.update(payments, SIZES, words);
    keyed(
      this.payments,
      shown,
      (line) => line.key,
      makePayment,
      (node, line) => fillPayment(node, line, words),
    );
    this.payments.hidden = payments.length === 0;
    this.empty.update(payments.length === 0, words.say("page", "no_payments"));
    keyed(
      this.versions,
      Object.entries(view.versions ?? {}),
      ([name]) => name,
      () => el("div", { class: "fact" }, el("dt"), el("dd")),
      (node, [name, version]) => {
        setText(node.firstElementChild, words.say("version", name));
        setText(node.lastElementChild, version);
      },
    );
  }

  disconnectedCallback() {
    this.pager?.close();
  }
}

function makeDevice() {
  return el(
    "li",
    {},
    el("span", { class: "device-role" }),
    el("span", { class: "device-driver" }),
    el("span", { class: "state" }),
  );
}

function fillDevice(node, line, words) {
  const [role, driver, state] = node.children;
  setText(role, words.say("role", line.role));
  setText(driver, line.driver);
  setText(state, words.say("state", line.state));
  attribute(
    state,
    "data-mood",
    GOOD.has(line.state) ? "good" : WEAK.has(line.state) ? "weak" : "bad",
  );
}

function makePayment(line) {
  const text = el(
    "div",
    { class: "payment-text" },
    el("span", { class: "payment-title" }),
    el("span", { class: "payment-detail" }),
    el("span", { class: "payment-key" }),
  );
  const money = el(
    "div",
    { class: "payment-money" },
    el("span", { class: "line-amount" }),
    el("span", { class: "state" }),
  );
  return el(
    "li",
    {},
    text,
    money,
    tapButton("payment", line.key, { class: "reprint" }, icon("slip_reprint"), el("span")),
  );
}

function fillPayment(node, line, words) {
  const [text, money, reprint] = node.children;
  const [title, detail, key] = text.children;
  const [amount, state] = money.children;
  const at = new Intl.DateTimeFormat("zh-CN", {
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    hour12: false,
  }).format(line.at_ms);
  setData(title, `${line.title} · ${line.patient}`);
  setText(detail, `${at} · ${words.say("page", "copies", { copies: line.copies })}`);
  setText(key, line.key);
  setText(amount, `¥${yuan(line.amount_fen)}`);
  setText(state, words.say("payment_state", line.state));
  attribute(
    state,
    "data-mood",
    line.state === "approved"
      ? "good"
      : line.state === "exception" || line.state === "pending"
        ? "bad"
        : "weak",
  );
  setText(reprint.lastElementChild, words.say("button", "reprint"));
}

customElements.define("kiosk-attendant", Attendant);
