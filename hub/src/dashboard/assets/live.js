// Keeps a page up to date: the hub says that something changed, the page is fetched again, and the
// difference is carried over into every element marked `data-live`.
//
// What to show is read from the hub, never from the message: a lost message costs time, not truth.
import { morph } from "./morph.js";

const SOON = 150; // ms from a change to the fetch, so that changes that come together cost one
const LEAST = 1000; // ms between two fetches
const SHARE = 5; // and at least so many times as long as the last one took
const ANYWAY = 15000; // ms after which the page is fetched although nothing was said
const RETRY = [1000, 2000, 5000, 10000, 30000]; // ms between attempts to connect
const CHANGES = ["device", "rollout", "model", "telemetry", "trust", "delivery", "notifications", "alerts", "experiments", "runs", "run", "job", "computes", "datasets", "retraining", "message"];

let timer = 0;
let due = Infinity;
let fetching = false;
let earliest = 0;

/** Fetches the page in `wait` ms, or as soon after as the pace allows. */
function refreshIn(wait) {
  if (document.hidden) return; // becoming visible asks again
  const at = Math.max(performance.now() + wait, earliest);
  if (fetching) {
    due = Math.min(due, at);
    return;
  }
  if (at >= due) return;
  due = at;
  clearTimeout(timer);
  timer = setTimeout(refresh, Math.max(0, at - performance.now()));
}

async function refresh() {
  fetching = true;
  due = Infinity;
  const began = performance.now();
  try {
    const answer = await fetch(location.href, { cache: "no-store", headers: { accept: "text/html" } });
    // Logged out meanwhile: what is shown would only get older.
    if (answer.redirected && new URL(answer.url).pathname === "/login") return location.assign(answer.url);
    if (answer.ok) carryOver(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    // The connection's indicator tells; the next change or the next beat tries again.
  }
  const end = performance.now();
  earliest = end + Math.max(LEAST, SHARE * (end - began));
  fetching = false;
  const next = due;
  due = Infinity;
  refreshIn(Math.min(next - end, ANYWAY));
}

function carryOver(page) {
  for (const fresh of page.querySelectorAll("[data-live]")) {
    const old = document.getElementById(fresh.id);
    if (old) morph(old, fresh);
  }
  document.dispatchEvent(new CustomEvent("tern:updated"));
}

function show(state, text) {
  const link = document.getElementById("link");
  if (link.dataset.state === state) return;
  link.dataset.state = state;
  link.textContent = text;
}

/** Listens to the hub for as long as the page is looked at. */
export function keepLive() {
  const address = document.body.dataset.stream;
  if (!address) return; // a page for somebody who may not look
  let failures = 0;
  let stream = null;
  let retry = 0;

  function connect() {
    stream?.close();
    clearTimeout(retry);
    stream = new EventSource(address);
    stream.addEventListener("open", () => {
      failures = 0;
      show("live", "Live");
      refreshIn(0); // what changed before is not told again
    });
    for (const change of CHANGES) stream.addEventListener(change, () => refreshIn(SOON));
    stream.addEventListener("error", () => {
      show("lost", "Reconnecting");
      stream.close();
      const wait = RETRY[Math.min(failures, RETRY.length - 1)];
      failures += 1;
      retry = setTimeout(connect, wait * (0.5 + Math.random()));
    });
  }

  // A page in the background gives its connection back: browsers hold six to one server, and
  // with a seventh open page no page would load any more.
  function look() {
    if (!document.hidden) return connect();
    stream?.close();
    clearTimeout(retry);
  }

  look();
  refreshIn(ANYWAY);
  document.addEventListener("visibilitychange", look);
  document.addEventListener("tern:changed", () => refreshIn(0));
}
