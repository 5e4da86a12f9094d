// Building and updating the document. Data only ever becomes text (never markup), and an update
// touches what differs alone: focus stays, nothing flickers.

const SVG = "http://www.w3.org/2000/svg";

// An element with attributes (undefined and false are left out, true is an empty one) and children.
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    attribute(made, name, value);
  }
  made.append(...children);
  return made;
}

export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function attribute(node, name, value) {
  if (value === undefined || value === false || value === null) {
    node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value === true ? "" : value)) {
    node.setAttribute(name, value === true ? "" : value);
  }
}

export function setText(node, text) {
  if (node.textContent !== text) {
    node.textContent = text;
  }
  return node;
}

// Text that is not the page's own: names and sentences of the hospital or the bank are Chinese.
export function setData(node, text) {
  attribute(node, "lang", document.documentElement.lang.startsWith("zh") ? undefined : "zh-CN");
  return setText(node, text);
}

export function show(node, shown) {
  attribute(node, "hidden", !shown);
  return shown;
}

// The children of `parent` become one for each item, in their order; a child that stays is the same
// element as before. `make(item)` builds one, `update(node, item, index)` fills it.
export function keyed(parent, items, keyOf, make, update) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  items.forEach((item, index) => {
    let key = String(keyOf(item));
    if (!before.has(key) && parent.querySelector(`:scope > [data-key="${CSS.escape(key)}"]`)) {
      key = `${key}#${index}`; // two of one name are two
    }
    const node = before.get(key) ?? make(item);
    node.dataset.key = key;
    before.delete(key);
    update(node, item, index);
    if (node === place) {
      place = place.nextElementSibling;
    } else {
      parent.insertBefore(node, place);
    }
  });
  for (const node of before.values()) {
    node.remove();
  }
}

// A button that sends a Tap; the root listens for all of them.
export function tapButton(what, id = "", attributes = {}, ...children) {
  return el(
    "button",
    { type: "button", "data-what": what, "data-id": id, ...attributes },
    ...children,
  );
}
