// What is wrong with how the page is laid out: run in the page, gives one line for each fault.

() => {
  const faults = new Set();
  const seen = (node) => node.offsetParent !== null && !node.closest("svg, .unseen");
  const name = (node) => node.className || node.localName;
  const shortest = Math.min(88, (88 * parseFloat(getComputedStyle(document.documentElement).fontSize)) / 16);
  for (const node of document.querySelectorAll("kiosk-page *")) {
    if (!seen(node)) continue;
    const box = node.getBoundingClientRect();
    if (box.left < -1 || box.right > innerWidth + 1 || box.bottom > innerHeight + 1) {
      faults.add(`${name(node)}: off the screen`);
    }
    const style = getComputedStyle(node);
    const cut = style.textOverflow === "ellipsis"; // shortened on purpose
    if (!cut && style.display !== "inline" && node.scrollWidth > node.clientWidth + 1 && node.clientWidth) {
      faults.add(`${name(node)}: wider than its place`);
    }
    const around = node.parentElement.getBoundingClientRect();
    const placed = style.position === "absolute" || node.matches(".badge");
    if (node.closest(".stage") && !placed && around.height && box.bottom > around.bottom + 4) {
      faults.add(`${name(node)}: below ${name(node.parentElement)}`);
    }
  }
  for (const button of document.querySelectorAll("button")) {
    const box = button.getBoundingClientRect();
    if (seen(button) && Math.min(box.height, box.width) < shortest - 0.5) {
      faults.add(`${name(button)}: ${Math.round(box.width)} × ${Math.round(box.height)}`);
    }
  }
  return [...faults];
};
