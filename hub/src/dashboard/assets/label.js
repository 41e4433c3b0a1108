// The labelling page: captures one by one, chosen and said by keyboard, mouse or finger.
//
// What was said is kept by the hub at once, so a page that is closed or loaded again loses nothing, and undo goes on from
// there. Captures are asked for a few at a time, so that the next one is there when the last one was said.
import { call, say as tell, sentence } from "./form.js";
import { draw } from "./viewer.js";

const AHEAD = 4; // captures that are asked for at once
const WHY = {
  lot: "at random: it counts for the accuracy",
  value: "by value: low confidence, and unlike what is labelled already",
  disagreement: "two people disagreed",
};

export function label() {
  const room = document.getElementById("labeller");
  if (!room) return;
  const at = (id) => document.getElementById(id);
  const [viewer, choices, facts, answer] = ["viewer", "choices", "item-facts", "label-answer"].map(at);
  const help = at("label-help");
  const api = room.dataset.label;
  let queue = "open";
  let without = false; // whether captures of which only a summary was kept are wanted
  let waiting = []; // captures that come after the one on the screen
  let item = null;
  let chosen = null;
  let asking = null;
  let sending = Promise.resolve(); // what was said goes to the hub in the order in which it was said
  const unsent = new Set();

  const name = ({ capture }) => ({ device: capture.device, prediction: capture.prediction });

  /** Asks for more unless enough are here; one question at a time. */
  function ask() {
    if (waiting.length > 1) return Promise.resolve();
    if (asking) return asking;
    const holding = [...(item ? [item] : []), ...waiting, ...unsent].map(name);
    const mine = (async () => {
      const got = await call("POST", `${api}/next`, { queue, take: AHEAD, holding, without_input: without });
      if (asking !== mine) return; // the other queue was turned to meanwhile
      asking = null;
      if (!got.ok) return tell(answer, sentence(got.body, got.status), "bad");
      waiting.push(...got.body.items);
    })();
    asking = mine;
    return mine;
  }

  async function next() {
    item = waiting.shift() ?? null;
    if (!item) {
      const more = ask();
      show();
      await more;
      item ??= waiting.shift() ?? null;
    }
    show();
    ask();
  }

  function fact(title, text) {
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    dt.textContent = title;
    dd.append(text);
    const row = document.createElement("div");
    row.append(dt, dd);
    return row;
  }

  function show() {
    chosen = null;
    viewer.replaceChildren();
    choices.replaceChildren();
    facts.replaceChildren();
    room.dataset.item = item ? `${item.capture.device} ${item.capture.prediction}` : "";
    if (!item) {
      const none = document.createElement("p");
      none.className = "empty";
      const nothing = queue === "open" ? "Nothing is left to label. New captures appear here as they come." : "No label is in dispute.";
      none.textContent = asking ? "…" : nothing;
      viewer.append(none);
      return;
    }
    viewer.append(draw(item));
    for (const { class: name, key } of item.classes) {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.choice = name;
      button.setAttribute("aria-pressed", "false");
      if (key) {
        const cap = document.createElement("kbd");
        cap.textContent = key;
        button.append(cap, " ");
      }
      button.append(name);
      choices.append(button);
    }
    const { capture } = item;
    if (!item.classes.length) {
      const field = document.createElement("input");
      field.id = "typed";
      field.inputMode = capture.number ? "decimal" : "numeric";
      field.autocomplete = "off";
      field.setAttribute("aria-label", capture.number ? "True value" : "Number of the class");
      if (capture.number) field.placeholder = "true value";
      choices.append(field);
      if (!help.open) field.focus();
    }
    const when = document.createElement("time");
    when.className = "ago";
    when.dateTime = new Date(capture.at).toISOString();
    when.textContent = when.dateTime;
    const said = document.createElement("button");
    said.type = "button";
    said.className = "small";
    said.id = "reveal";
    said.textContent = "Show (M)";
    facts.append(
      fact("Site", capture.site),
      fact("Device", capture.device),
      fact("When", when),
      fact("Version", `v${capture.version}`),
      fact("Asked", WHY[item.chosen] ?? item.chosen),
      fact("Prediction", said),
    );
    for (const one of item.said ?? []) facts.append(fact(`${one.labeller} said`, one.truth));
    document.dispatchEvent(new CustomEvent("tern:updated")); // times are told anew
  }

  function whatItSaid({ class: name, confidence, number }) {
    if (!number) return `${name}, ${(100 * confidence).toFixed(1)} % sure`;
    return number.low == null ? name : `${name}, between ${number.low} and ${number.high}`;
  }

  function reveal() {
    const button = at("reveal");
    if (button) button.replaceWith(whatItSaid(item.capture));
  }

  function choose(name) {
    chosen = name;
    for (const button of choices.querySelectorAll("[data-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.choice === name));
    }
    tell(answer, "", "");
  }

  /** Goes on at once; what went wrong is told when it is known. */
  function say(truth) {
    if (!item) return;
    const said = item;
    // What undo gave back may be of the other queue.
    const of = said.chosen === "disagreement" ? "disagreed" : "open";
    const body = { ...name(said), ...(truth === null ? {} : { truth }), queue: of };
    unsent.add(said);
    sending = sending.then(() => send(said, body));
    tell(answer, "…", "");
    next();
  }

  async function send(said, body) {
    const got = await call("POST", `${api}/say`, body);
    unsent.delete(said);
    const what = body.truth;
    const became = {
      truth: `${what}: it is the truth.`,
      half: `${what}: it waits for a second person.`,
      disagreed: `${what}: somebody said otherwise; it waits for a decision.`,
    };
    if (got.ok) tell(answer, what === undefined ? "Skipped." : (became[got.body.standing] ?? ""), "good");
    else tell(answer, sentence(got.body, got.status), "bad");
    // Somebody else was faster, or it is gone: then there is nothing to say again.
    if (!got.ok && got.status !== 409 && got.status !== 404) {
      if (item) waiting.unshift(item);
      item = said;
      show();
    }
    document.dispatchEvent(new CustomEvent("tern:changed"));
  }

  function commit() {
    const typed = at("typed")?.value.trim();
    const truth = chosen ?? (typed || null);
    if (truth === null) return item && tell(answer, `${at("typed") ? "Type a number" : "Choose a class"} first, or skip with S.`, "bad");
    if (at("typed") && !Number.isFinite(Number(truth))) return tell(answer, `${truth} is not a number.`, "bad");
    return say(truth);
  }

  async function undo() {
    await sending;
    const got = await call("POST", `${api}/undo`);
    if (!got.ok) return tell(answer, sentence(got.body, got.status), "bad");
    const back = got.body.item;
    if (back) {
      if (item) waiting.unshift(item);
      item = back;
      show();
    }
    tell(answer, back ? "Taken back." : "Taken back. Somebody else is labelling it just now.", "good");
    document.dispatchEvent(new CustomEvent("tern:changed"));
  }

  function turnTo(name) {
    queue = name;
    asking = null;
    waiting = [];
    for (const tab of room.querySelectorAll("[data-queue]")) {
      tab.setAttribute("aria-pressed", String(tab.dataset.queue === name));
    }
    tell(answer, "", "");
    next();
  }

  at("without-input")?.addEventListener("change", (event) => {
    without = event.target.checked;
    turnTo(queue);
    event.target.blur(); // keys choose classes again
  });

  room.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.choice !== undefined) choose(button.dataset.choice);
    if (button.dataset.queue) turnTo(button.dataset.queue);
    if (button.id === "reveal") reveal();
    ({ next: commit, skip: () => say(null), undo, help: () => help.showModal() })[button.dataset.act]?.();
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const typing = event.target.closest("input, select, textarea");
    // No number has one of the letters that do something here.
    if (typing && typing.id !== "typed") return;
    const key = event.key.toLowerCase();
    if (key === "enter" || key === " ") {
      // What has the focus and is no class does what it always does.
      if (event.target.closest("a, summary, button:not([data-choice])")) return;
      event.preventDefault();
      return void commit();
    }
    const act = { u: undo, s: () => say(null), m: reveal, "?": () => help.showModal() }[key];
    const choice = item?.classes.find((one) => one.key === key);
    if (!act && !choice) return;
    event.preventDefault();
    if (choice) choose(choice.class);
    else act();
  });

  // Something came that can be labelled.
  document.addEventListener("tern:updated", () => {
    if (!item && !asking) ask().then(() => waiting.length && !item && next());
  });
  turnTo("open");
}
