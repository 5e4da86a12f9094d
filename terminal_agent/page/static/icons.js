// Our own icons: strokes on a grid of 24, in the colour of the text around them.

import { svg } from "./dom.js";

const ICONS = {
  // businesses
  outpatient_bill: [
    "M6 3h12v18l-3-2-3 2-3-2-3 2z",
    "M9.5 7l2.5 3.5L14.5 7",
    "M12 10.5V16M9.5 12.5h5",
  ],
  registration: ["M5 5h14v16H5z", "M9 3v4M15 3v4", "M12 10v7M8.5 13.5h7"],
  appointment_pickup: ["M3 7h18v3a2 2 0 0 0 0 4v3H3v-3a2 2 0 0 0 0-4z", "M9 12l2 2 4-4"],
  account_topup: ["M3 6h18v13H3z", "M3 10h18", "M15 15h4M17 13v4"],
  inpatient_deposit: [
    "M3 6v14M3 16h18v4",
    "M21 16v-3a3 3 0 0 0-3-3h-8v6",
    "M6.5 11.5m-1.5 0a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0-3 0",
    "M16 3v4M14 5h4",
  ],
  bill_query: ["M5 3h14v18H5z", "M9 8h6M9 12h6M9 16h4"],
  balance_query: ["M4 7h15v13H4z", "M4 7l11-4v4", "M15 12h5v4h-5z"],
  slip_reprint: ["M7 9V3h10v6", "M4 9h16v8h-3v4H7v-4H4z", "M9 14h6"],
  report_print: [
    "M6 3h9l4 4v6",
    "M6 3v18h6",
    "M9 9h5M9 13h3",
    "M16 17m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0M18.2 19.2L21 22",
  ],
  // media
  visit: ["M3 5h18v14H3z", "M8 9v6M5 12h6", "M14 10h4M14 14h4"],
  id: [
    "M3 5h18v14H3z",
    "M8 10.5m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0",
    "M5 16c.5-3 5.5-3 6 0",
    "M14 10h4M14 14h4",
  ],
  social: ["M3 5h18v14H3z", "M6 9h4v3H6z", "M6 16h5", "M16.5 16c-4-3-2-6 0-3.5c2-2.5 4 .5 0 3.5z"],
  scan: [
    "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4",
    "M8 8h3v3H8zM13 8h3v3h-3zM8 13h3v3H8zM14 14h2v2",
  ],
  card: ["M3 5h18v14H3z", "M3 9h18", "M6 15h4"],
  // actions
  back: ["M14 5l-7 7 7 7"],
  previous: ["M14 5l-7 7 7 7"],
  next: ["M10 5l7 7-7 7"],
  home: ["M4 11l8-7 8 7", "M6 10v10h12V10", "M10 20v-5h4v5"],
  cancel: ["M6 6l12 12M18 6L6 18"],
  confirm: ["M5 12.5l5 5L19 7"],
  stay: ["M12 12m-9 0a9 9 0 1 0 18 0a9 9 0 1 0-18 0", "M12 7v5l3 3"],
  clear: ["M9 5h12v14H9l-6-7z", "M12 9l5 6M17 9l-5 6"],
  language: [
    "M12 12m-9 0a9 9 0 1 0 18 0a9 9 0 1 0-18 0",
    "M3 12h18",
    "M12 3c5 5 5 13 0 18c-5-5-5-13 0-18z",
  ],
  elder: ["M3 20L9 5l6 15M5 15h8", "M15.5 20l3-8 3 8M16.5 17.5h4"],
  contrast: ["M12 12m-9 0a9 9 0 1 0 18 0a9 9 0 1 0-18 0", "M12 3v18M15 4v16M18 6v12"],
  voice: ["M4 9h4l5-4v14l-5-4H4z", "M16 9c2 2 2 4 0 6M18.5 6.5c4 3.5 4 7.5 0 11"],
  attendant: ["M12 8m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0", "M4 21c1-8 15-8 16 0"],
  lock: ["M5 11h14v10H5z", "M8 11V7a4 4 0 0 1 8 0v4", "M12 15v2"],
  unlock: ["M5 11h14v10H5z", "M8 11V7a4 4 0 0 1 7.5-2", "M12 15v2"],
  restart: ["M19 12a7 7 0 1 1-2-5", "M20 3v5h-5"],
  // states
  approved: ["M4.5 12.5l5 5.5L19.5 6.5"],
  declined: ["M6 6l12 12M18 6L6 18"],
  returned: ["M9 5L4 10l5 5", "M4 10h10a5 5 0 0 1 0 10H8"],
  pending: ["M7 3h10M7 21h10", "M8 3c0 5 8 5 8 9s-8 4-8 9", "M16 3c0 5-8 5-8 9s8 4 8 9"],
  exception: ["M12 3l10 18H2z", "M12 10v5", "M12 17.5v.5"],
  info: ["M12 12m-9 0a9 9 0 1 0 18 0a9 9 0 1 0-18 0", "M12 11v5", "M12 7.5v.5"],
  person: ["M12 8m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0", "M4 21c1-8 15-8 16 0"],
  empty: ["M4 13l3-8h10l3 8v7H4z", "M4 13h5l1 3h4l1-3h5"],
  slip: ["M6 3h12v18l-3-2-3 2-3-2-3 2z", "M9 8h6M9 12h6"],
  closed: ["M9 5v14M15 5v14"],
  hospital: ["M4 21V6h16v15", "M2 21h20", "M12 9v6M9 12h6", "M9 6V3h6v3"],
  shield: ["M12 3l8 3v6c0 5-4 8-8 9c-4-1-8-4-8-9V6z", "M8.5 12l2.5 2.5 4.5-5"],
  chevron: ["M9 5l7 7-7 7"],
};

export function icon(name) {
  const strokes = ICONS[name] ?? ICONS.info;
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" },
    ...strokes.map((d) => svg("path", { d })),
  );
}

// The icon's name for what may have none of its own.
export function iconFor(name, otherwise) {
  return name in ICONS ? name : otherwise;
}

// A holder whose icon is drawn anew only when it is another one.
export function setIcon(holder, name) {
  if (holder.dataset.icon !== name) {
    holder.dataset.icon = name;
    holder.replaceChildren(icon(name));
  }
}
