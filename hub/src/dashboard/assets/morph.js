// Makes one piece of a page like another by changing as little as possible, so that focus, scroll
// positions, open details and transitions stay.
//
// Belongs to scripts and is left alone: what is inside `[data-own]`, the text of times, whether
// details are open.

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.dataset?.key || node.id || "" : "");
const isTime = (element) => element.nodeName === "TIME" || element.hasAttribute("data-at") || element.hasAttribute("data-day");

/** Makes `old` like `fresh`; both are of the same kind. */
export function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.hasAttribute("data-own")) return;
  morphAttributes(old, fresh);
  if (!isTime(old)) morphChildren(old, fresh);
}

function morphAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (fresh.hasAttribute(name) || (name === "open" && old.nodeName === "DETAILS")) continue;
    if (name === "title" && isTime(old)) continue;
    old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (name === "open" && old.nodeName === "DETAILS") continue; // whoever looks has opened or closed it
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

function morphChildren(old, fresh) {
  const staying = new Set([...fresh.childNodes].map(keyOf));
  const keyed = new Map();
  for (const child of old.children) if (keyOf(child)) keyed.set(keyOf(child), child);

  let cursor = old.firstChild;
  const passGone = () => {
    while (cursor && keyOf(cursor) && !staying.has(keyOf(cursor))) {
      const gone = cursor;
      cursor = cursor.nextSibling;
      gone.remove();
    }
  };
  for (const next of [...fresh.childNodes]) {
    passGone();
    const key = keyOf(next);
    const match = key ? keyed.get(key) : cursor && !keyOf(cursor) ? cursor : null;
    if (match && match.nodeName === next.nodeName) {
      if (match === cursor) cursor = cursor.nextSibling;
      else old.insertBefore(match, cursor);
      keyed.delete(key); // a key that comes twice is a new element the second time
      morph(match, next);
    } else {
      old.insertBefore(document.importNode(next, true), cursor);
    }
  }
  while (cursor) {
    const gone = cursor;
    cursor = cursor.nextSibling;
    gone.remove();
  }
}
