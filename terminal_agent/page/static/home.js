// The businesses.

import { attribute, el, keyed, setData, setText, show, tapButton } from "./dom.js";
import { iconFor, setIcon } from "./icons.js";
import { Pager } from "./pager.js";
import { Heading, Screen } from "./screen.js";
import { businessName } from "./words.js";

const SIZES = { portrait: 8, landscape: 8 };
const SIZES_ELDER = { portrait: 4, landscape: 4 };

class Home extends Screen {
  build() {
    this.heading = new Heading(this);
    this.tiles = el("div", { class: "tiles" });
    this.pager = new Pager(() => this.render(this.view, this.words));
    this.append(this.tiles, this.pager.node);
  }

  render(view, words) {
    this.view = view;
    this.words = words;
    this.heading.update(view, words);
    const shown = this.pager.update(view.tiles ?? [], view.elder ? SIZES_ELDER : SIZES, words);
    attribute(this.tiles, "data-count", shown.length);
    keyed(
      this.tiles,
      shown,
      (tile) => tile.id,
      makeTile,
      (node, tile) => fillTile(node, tile, words),
    );
  }

  disconnectedCallback() {
    this.pager?.close();
  }
}

function makeTile(tile) {
  const name = el("span", { class: "tile-name" });
  const about = el("span", { class: "tile-about" });
  const closed = el("span", { class: "badge" });
  return tapButton(
    "tile",
    tile.id,
    { class: "tile" },
    el("span", { class: "tile-icon" }),
    el("span", { class: "tile-text" }, name, about),
    closed,
  );
}

function fillTile(node, tile, words) {
  const [holder, text, closed] = node.children;
  const [name, about] = text.children;
  setIcon(holder, iconFor(tile.id, "bill_query"));
  (words.language === "en" && words.maybe("business", tile.id) ? setText : setData)(
    name,
    businessName(words, tile.id, tile.title),
  );
  setText(about, words.maybe("about", tile.id));
  setText(closed, words.say("page", "closed_tile"));
  show(closed, !tile.open);
  attribute(node, "data-group", tile.group);
  node.disabled = !tile.open;
}

customElements.define("kiosk-home", Home);
