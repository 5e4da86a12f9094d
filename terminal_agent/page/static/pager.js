// A list longer than the screen: pages with big buttons. The page's number is the only thing the
// page keeps by itself, and it goes with the screen.

import { el, setText, show } from "./dom.js";
import { icon } from "./icons.js";

const LANDSCAPE = matchMedia("(orientation: landscape)");

export class Pager {
  #page = 0;
  #again;

  // `again()` renders the screen once more.
  constructor(again) {
    this.#again = again;
    this.previous = this.#button("previous", -1);
    this.next = this.#button("next", 1);
    this.count = el("span", { class: "pages" });
    this.node = el("div", { class: "pager" }, this.previous, this.count, this.next);
    this.turned = () => again();
    LANDSCAPE.addEventListener("change", this.turned);
  }

  // The items of the present page; `sizes` is {portrait, landscape}.
  update(items, sizes, words) {
    const size = LANDSCAPE.matches ? sizes.landscape : sizes.portrait;
    const pages = Math.max(1, Math.ceil(items.length / size));
    this.#page = Math.min(this.#page, pages - 1);
    show(this.node, pages > 1);
    setText(this.count, words.say("page", "pages", { page: this.#page + 1, pages }));
    setText(this.previous.lastElementChild, words.say("page", "previous"));
    setText(this.next.firstElementChild, words.say("page", "next"));
    this.previous.disabled = this.#page === 0;
    this.next.disabled = this.#page === pages - 1;
    return items.slice(this.#page * size, (this.#page + 1) * size);
  }

  // The screen goes.
  close() {
    LANDSCAPE.removeEventListener("change", this.turned);
  }

  #button(name, by) {
    const made = el("button", { type: "button", class: `page-${name}` }, el("span"));
    made[by < 0 ? "prepend" : "append"](icon(name));
    made.addEventListener("click", () => {
      this.#page = Math.max(0, this.#page + by);
      this.#again();
    });
    return made;
  }
}
