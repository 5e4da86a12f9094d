// The side panel of a demonstration: hands at emulated devices. A document of its own, so that the
// digits typed here never come near the kiosk's page.

import { attribute, el, keyed, setText, show } from "./dom.js";
import { AgentSocket } from "./socket.js";

const KEYS = ["1", "2", "3", "cancel", "4", "5", "6", "clear", "7", "8", "9", "enter", "0"];
const NAMES = { cancel: "取消", clear: "清除", enter: "确认" };

const part = (id) => document.getElementById(id);
const socket = new AgentSocket("/panel/ws", shown, () => up(false));

function up(connected) {
  show(part("panel"), connected);
  show(part("gone"), !connected);
}

function action(what, id, text) {
  return el("button", { type: "button", "data-what": what, "data-id": id }, text);
}

function choices(place, what, names, inside) {
  keyed(
    place,
    names,
    (name) => name,
    (name) => action(what, name, name),
    (node, name) => {
      attribute(node, "aria-pressed", what === "insert" ? String(name === inside) : undefined);
      node.disabled = what === "insert" && inside !== "";
    },
  );
}

function shown(state) {
  up(true);
  choices(part("cards"), "insert", state.cards, state.inside);
  choices(part("visits"), "visit", state.visit_cards, "");
  choices(part("ids"), "id", state.id_cards, "");
  if (show(part("pin"), state.pin !== "")) {
    setText(part("pin"), `演示卡密码 PIN: ${state.pin}`);
  }
  part("pull").disabled = state.inside === "";
  setText(part("paper"), state.paper ? "取走纸卷" : "装入纸卷");
  part("paper").dataset.id = state.paper ? "out" : "in";
  show(part("none"), state.slip === 0);
  if (show(part("slip"), state.slip > 0)) {
    attribute(part("slip"), "src", `/panel/slip.png?${state.slip}`);
  }
}

function scan() {
  if (part("code").value) {
    socket.send({ what: "scan", id: part("code").value });
    part("code").value = "";
  }
}

part("keys").append(...KEYS.map((key) => action("key", key, NAMES[key] ?? key)));
part("scan").addEventListener("click", scan);
part("code").addEventListener("keydown", (event) => event.key === "Enter" && scan());
part("panel").addEventListener("click", (event) => {
  const button = event.target.closest("button[data-what]");
  if (button && !button.disabled) {
    socket.send({ what: button.dataset.what, id: button.dataset.id });
  }
});
up(false);
