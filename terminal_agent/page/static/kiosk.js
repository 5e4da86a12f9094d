// The kiosk's page: renders the View, sends Taps, holds nothing itself.

import { AgentSocket } from "./socket.js";

function button(view, what, id, text) {
  const made = document.createElement("button");
  made.textContent = text;
  made.dataset.what = what;
  made.dataset.id = id;
  made.onclick = () => {
    made.disabled = true;
    socket.send({ revision: view.revision, what, id });
  };
  return made;
}

function shown(view) {
  const title = document.createElement("h1");
  title.textContent = [view.screen, view.title, view.prompt, view.notice, view.outcome]
    .filter(Boolean)
    .join(" · ");
  const body = document.createElement("pre");
  body.textContent = JSON.stringify(view, null, 1);

  document.body.replaceChildren(
    title,
    ...(view.tiles ?? []).map((tile) => button(view, "tile", tile.id, tile.title)),
    ...(view.media ?? []).map((medium) => button(view, "medium", medium, medium)),
    ...(view.choices ?? []).map((line) => button(view, "choice", line.id, line.title)),
    ...(view.payments ?? []).map((line) => button(view, "payment", line.key, line.key)),
    ...(view.buttons ?? []).map((what) => button(view, what, "", what)),
    body,
  );

}

const socket = new AgentSocket("/kiosk/ws", shown, () => {
  document.body.textContent = "正在恢复";
});
