// The kiosk keeps its true size of 1080 × 1920; only its picture shrinks to the window.

const WIDTH = 1080;
const HEIGHT = 1920;
const PANEL_PX = 430;
const MARGIN_PX = 56;

const screen = document.querySelector(".screen");
const kiosk = screen.firstElementChild;
const panel = document.querySelector(".panel");

function fit() {
  const high = (innerHeight - MARGIN_PX) / HEIGHT;
  const wide = (innerWidth - PANEL_PX - MARGIN_PX) / WIDTH;
  const scale = Math.max(0.2, Math.min(1, high, wide));
  kiosk.style.transform = `scale(${scale})`;
  screen.style.width = `${Math.floor(WIDTH * scale)}px`;
  screen.style.height = `${Math.floor(HEIGHT * scale)}px`;
  panel.style.height = `${Math.max(400, screen.offsetHeight)}px`;
}

addEventListener("resize", fit);
fit();
