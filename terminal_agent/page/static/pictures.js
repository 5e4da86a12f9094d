// Drawings that move by CSS alone (and stand still for whoever asks for less motion).

import { svg } from "./dom.js";

function bank_card(attributes) {
  return svg(
    "g",
    attributes,
    svg("rect", { class: "p-card", x: "-70", y: "-110", width: "140", height: "220", rx: "12" }),
    svg("rect", { class: "p-chip", x: "-24", y: "-84", width: "48", height: "38", rx: "6" }),
    svg("path", { class: "p-chip-lines", d: "M-24 -65h48M-8 -84v38M8 -84v38" }),
    svg("path", { class: "p-lines", d: "M-46 20h92M-46 44h60M-46 68h76" }),
  );
}

// A card before a reader's slot; the attribute data-prompt of the screen says which way it goes.
export function cardPicture() {
  return svg(
    "svg",
    { class: "card-picture", viewBox: "0 0 400 470", "aria-hidden": "true" },
    svg("rect", { class: "p-body", x: "60", y: "20", width: "280", height: "170", rx: "24" }),
    svg("circle", { class: "p-light", cx: "300", cy: "58", r: "10" }),
    svg("g", { class: "p-moving" }, bank_card({ transform: "translate(200 300)" })),
    svg("path", { class: "p-mask", d: "M60 40a20 20 0 0 1 20-20h240a20 20 0 0 1 20 20v108H60z" }),
    svg("circle", { class: "p-light", cx: "300", cy: "58", r: "10" }),
    svg("rect", { class: "p-slot", x: "110", y: "140", width: "180", height: "16", rx: "8" }),
    svg(
      "g",
      { class: "p-arrows" },
      svg("path", { d: "M30 320l26-30 26 30M30 370l26-30 26 30" }),
      svg("path", { d: "M318 320l26-30 26 30M318 370l26-30 26 30" }),
    ),
  );
}

// A PIN pad below a sheltering hand.
export function padPicture() {
  const keys = [];
  for (let row = 0; row < 4; row += 1) {
    for (let column = 0; column < 3; column += 1) {
      keys.push(
        svg("rect", {
          class: "p-key",
          x: String(116 + column * 46),
          y: String(128 + row * 36),
          width: "36",
          height: "26",
          rx: "6",
        }),
      );
    }
    const names = ["p-key-cancel", "p-key-clear", "p-key", "p-key-enter"];
    keys.push(
      svg("rect", {
        class: names[row],
        x: "254",
        y: String(128 + row * 36),
        width: "36",
        height: "26",
        rx: "6",
      }),
    );
  }
  return svg(
    "svg",
    { class: "pad-picture", viewBox: "0 0 400 300", "aria-hidden": "true" },
    svg("rect", { class: "p-body", x: "92", y: "104", width: "222", height: "180", rx: "18" }),
    ...keys,
    svg("path", {
      class: "p-shield",
      d: "M70 96c10-52 70-80 130-80s120 28 130 80l-26 20c-20-22-60-34-104-34s-84 12-104 34z",
    }),
  );
}
