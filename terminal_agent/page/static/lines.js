// Lines to choose from (pick) or to read (listing).

import { attribute, el, keyed, setData, setText, show, tapButton } from "./dom.js";
import { icon } from "./icons.js";
import { yuan } from "./money.js";
import { Pager } from "./pager.js";
import { Amount, Empty, Facts } from "./parts.js";
import { Heading, Screen } from "./screen.js";

// Full lines, short names (departments), amounts alone: each kind has its own number on a page.
const SIZES = {
  rows: { portrait: 7, landscape: 6 },
  names: { portrait: 12, landscape: 12 },
  amounts: { portrait: 8, landscape: 9 },
  listing: { portrait: 6, landscape: 6 }, // a total stands below it
};
const SIZES_ELDER = { portrait: 4, landscape: 4 };

class Lines extends Screen {
  build() {
    this.heading = new Heading(this);
    this.facts = new Facts();
    this.list = el("div", { class: "lines" });
    this.empty = new Empty();
    this.pager = new Pager(() => this.render(this.view, this.words));
    this.total = new Amount();
    this.append(
      this.facts.list,
      el("div", { class: "lines-place" }, this.list, this.empty.node),
      this.pager.node,
      this.total.node,
    );
  }

  render(view, words) {
    this.view = view;
    this.words = words;
    const lines = view.choices ?? [];
    this.heading.update(view, words, lines.length === 0 && !view.text);
    this.facts.update(view, words);
    const kind = kindOf(lines);
    const shown = this.pager.update(
      lines,
      view.elder ? SIZES_ELDER : SIZES[this.readOnly ? "listing" : kind],
      words,
    );
    attribute(this.list, "data-kind", kind);
    attribute(this.list, "role", this.readOnly && lines.length ? "list" : undefined);
    keyed(
      this.list,
      shown,
      (line) => line.id,
      (line) => this.make(line),
      (node, line) => fill(node, line, words),
    );
    show(this.list, lines.length > 0);
    this.empty.update(lines.length === 0, words.say("notice", view.notice || "no_choice"));
    this.total.update(
      view.amount_fen,
      words.maybe("amount", view.business) || words.say("amount", "total"),
    );
  }

  disconnectedCallback() {
    this.pager?.close();
  }
}

function kindOf(lines) {
  if (lines.length > 0 && lines.every((line) => !line.title && !line.detail)) {
    return "amounts";
  }
  return lines.some((line) => line.detail || line.amount_fen != null || line.title.length > 12)
    ? "rows"
    : "names";
}

function content() {
  return [
    el(
      "span",
      { class: "line-text" },
      el("span", { class: "line-title" }),
      el("span", { class: "line-detail" }),
    ),
    el("span", { class: "line-amount" }),
    el("span", { class: "badge" }),
  ];
}

function fill(node, line, words) {
  const [text, amount, badge] = node.children;
  const [title, detail] = text.children;
  show(text, Boolean(line.title || line.detail));
  setData(title, line.title);
  show(detail, Boolean(line.detail));
  setData(detail, line.detail ?? "");
  show(amount, line.amount_fen != null);
  setText(amount, line.amount_fen == null ? "" : `¥${yuan(line.amount_fen)}`);
  show(badge, line.open === false);
  setText(badge, words.say("page", "full"));
  if (node.localName === "button") {
    node.disabled = line.open === false;
  }
}

class Pick extends Lines {
  make(line) {
    return tapButton("choice", line.id, { class: "line" }, ...content(), icon("chevron"));
  }
}

class Listing extends Lines {
  readOnly = true;

  make() {
    return el("div", { class: "line", role: "listitem" }, ...content());
  }
}

customElements.define("kiosk-pick", Pick);
customElements.define("kiosk-listing", Listing);
