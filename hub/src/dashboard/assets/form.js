// Forms and buttons that change something: they call the REST API and show what it answers.
//
// A form with `data-send` is sent as JSON; a button with `data-post` is sent without a body; a button
// with `data-ask` opens a question first. What went wrong stands beside the field or the button.

/** A problem (RFC 9457) in one sentence. */
export function sentence(problem, status) {
  if (problem?.title) return problem.detail ? `${problem.title}: ${problem.detail}` : problem.title;
  return `The hub answered ${status}.`;
}

export function say(place, text, state) {
  if (!place) return;
  place.textContent = text;
  place.dataset.state = state;
}

/** Calls the API; the answer is `{ ok, status, body }`, with status 0 if there is none. */
export async function call(method, path, body) {
  try {
    const response = await fetch(path, {
      method,
      credentials: "same-origin",
      headers: body ? { "content-type": "application/json" } : {},
      body: body ? JSON.stringify(body) : undefined,
    });
    const text = await response.text();
    let json = null;
    try {
      json = text ? JSON.parse(text) : null;
    } catch {
      // Not from the API; the status says what there is to say.
    }
    return { ok: response.ok, status: response.status, body: json };
  } catch {
    return { ok: false, status: 0, body: { title: "The hub cannot be reached; nothing was changed" } };
  }
}

function labelsOf(text) {
  const labels = {};
  for (const part of text.split(/[,\n]/).map((part) => part.trim()).filter(Boolean)) {
    const at = part.indexOf("=");
    if (at < 1) throw new Error(`${part} has no key and equals sign, as in lens=plastic.`);
    labels[part.slice(0, at).trim()] = part.slice(at + 1).trim();
  }
  return labels;
}

function valueOf(field) {
  if (field.dataset.json === "flag") return field.checked;
  if (field.value === "") return undefined; // as if it were not there
  if (field.dataset.json === "number") return Number(field.value);
  if (field.dataset.json === "thousandths") return Math.round(Number(field.value) * 1000);
  if (field.dataset.json === "gibibytes") return Math.round(Number(field.value) * 2 ** 30);
  if (field.dataset.json === "labels") return labelsOf(field.value);
  if (field.dataset.json === "list") return field.value.split(/[,;\s]+/).filter(Boolean);
  return field.value;
}

function wrong(field, text) {
  const place = document.getElementById(`${field.id}-wrong`);
  if (place && place.textContent !== text) place.textContent = text;
  if (text) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
  return Boolean(place);
}

/** `a.b` is field b of a. */
function put(body, name, value) {
  const [first, ...rest] = name.split(".");
  if (rest.length) put((body[first] ??= {}), rest.join("."), value);
  else body[first] = value;
}

/** What the form says, or null if a field is wrong: then the first such has the focus. */
export function read(form) {
  const body = {};
  let first = null;
  for (const field of form.elements) {
    if (!field.willValidate && field.type !== "hidden") continue;
    let text = field.validity.valid ? "" : field.validationMessage;
    try {
      if (field.dataset.json === "member") {
        // Boxes of one name are a list of those that are ticked.
        body[field.name] ??= [];
        if (field.checked) body[field.name].push(field.value);
        continue;
      }
      const value = field.name && !text ? valueOf(field) : undefined;
      if (value !== undefined) put(body, field.name, value);
    } catch (err) {
      text = err.message;
    }
    wrong(field, text);
    if (text) first ??= field;
  }
  first?.focus();
  return first ? null : body;
}

/** Shows what is only told once, and takes the focus there. */
function showOnce(id, body) {
  const room = document.getElementById(id);
  for (const line of room.querySelectorAll("[data-fill]")) {
    line.textContent = (line.dataset.before ?? "") + (body?.[line.dataset.fill] ?? "");
  }
  room.hidden = false;
  room.focus();
}

export const answerOf = (form) =>
  form.dataset.answer ? document.getElementById(form.dataset.answer) : form.querySelector(".answer");

/** Says what is wrong beside the field that the form names for it, or below the form. */
export function refuse(form, { status, body }) {
  const lines = form.dataset.list ? (body?.findings ?? []) : [];
  listed(form, lines.map(({ subject, message }) => `${subject}: ${message}`), "bad");
  if (lines.length) return say(answerOf(form), `${body.title}; nothing was changed.`, "bad");
  const text = sentence(body, status);
  const field = form.dataset.wrong && document.getElementById(form.dataset.wrong);
  const beside = field && [400, 401, 403, 404, 409, 422].includes(status) && wrong(field, text);
  say(answerOf(form), beside ? "" : text, "bad");
  if (beside) field.focus();
}

/** Shows what is wrong line by line, or what there is to say, in the list that the form names. */
function listed(form, lines, state) {
  const list = document.getElementById(form.dataset.list);
  if (!list) return;
  list.dataset.state = state;
  list.replaceChildren(
    ...lines.map((line) => {
      const item = document.createElement("li");
      item.textContent = line;
      return item;
    }),
  );
}

/** Asks what would come of a form, and changes nothing. */
async function check(button) {
  const form = button.form;
  const body = read(form);
  if (!body) return;
  button.disabled = true;
  const answer = await call("POST", button.dataset.check, body);
  button.disabled = false;
  say(answerOf(form), "", "");
  if (!answer.ok) return refuse(form, answer);
  const { problems, now = [], warnings } = answer.body;
  const wrong = problems.map(({ line, at, text }) => [line && `line ${line}`, at, text].filter(Boolean).join(": "));
  if (wrong.length) return listed(form, wrong, "bad");
  const says = now.flatMap(({ rule, summaries }) => summaries.map((summary) => `${rule} would say: ${summary}`));
  const more = warnings ?? (says.length ? says : ["It would say nothing now."]);
  listed(form, ["Nothing is wrong with it.", ...more], "good");
}

async function send(form) {
  const body = read(form);
  if (!body) return;
  // What stands in the address is not said again.
  const path = form.dataset.send.replace(/\{(user|compute)\}/, (_, name) => {
    const value = encodeURIComponent(body[name] ?? "");
    delete body[name];
    return value;
  });
  const method = form.dataset.method ?? "POST";
  const buttons = form.querySelectorAll("button");
  for (const button of buttons) button.disabled = true;
  say(answerOf(form), "…", "");
  const answer = await call(method, path, method === "DELETE" ? undefined : body);
  for (const button of buttons) button.disabled = false;
  if (!answer.ok) return refuse(form, answer);
  const dialog = form.closest("dialog");
  const done = form.dataset.done ?? "Done.";
  listed(form, [], "");
  say(answerOf(form), dialog ? "" : done, "good");
  if (dialog) {
    dialog.close();
    say(document.getElementById("answer"), done, "good");
  }
  if (dialog || "reset" in form.dataset) form.reset();
  // What is shown once may not be in every answer.
  const shown = form.dataset.showIf;
  if (form.dataset.show && (!shown || answer.body?.[shown])) showOnce(form.dataset.show, answer.body);
  if (form.dataset.then === "reload") location.reload();
  document.dispatchEvent(new CustomEvent("tern:changed"));
}

function ask(button) {
  const dialog = document.getElementById(button.dataset.ask);
  const form = dialog?.querySelector("form[data-send]");
  if (!form) return;
  form.reset();
  form.dataset.send = button.dataset.send;
  form.dataset.method = button.dataset.method ?? "POST";
  dialog.querySelector("[data-what]").textContent = button.dataset.what;
  say(form.querySelector(".answer"), "", "");
  dialog.showModal();
}

async function press(button) {
  button.disabled = true;
  const place = document.getElementById("answer");
  say(place, "…", "");
  const answer = await call("POST", button.dataset.post);
  button.disabled = false;
  const { tell, good } = button.dataset;
  if (answer.ok && tell) say(place, answer.body?.[tell], answer.body?.[good] ? "good" : "bad");
  else say(place, answer.ok ? button.dataset.done : sentence(answer.body, answer.status), answer.ok ? "good" : "bad");
  document.dispatchEvent(new CustomEvent("tern:changed"));
}

async function verify(button) {
  const place = document.getElementById("answer");
  button.disabled = true;
  say(place, "Verifying …", "");
  const answer = await call("GET", button.dataset.verify);
  button.disabled = false;
  if (!answer.ok) return say(place, sentence(answer.body, answer.status), "bad");
  const { whole, entries, head, broken } = answer.body;
  if (whole) say(place, `Whole: ${entries} entries, each as it was written. Head ${head ?? "none"}.`, "good");
  else say(place, `Broken at entry ${broken?.seq}: ${broken?.text}.`, "bad");
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  const was = button.textContent;
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source); // then the keyboard copies it
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = was), 2000);
}

/** Makes the forms and buttons of this page work. */
export function sendForms() {
  for (const form of document.querySelectorAll("form[data-send]")) form.noValidate = true;
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || !form.matches("form[data-send]")) return;
    event.preventDefault();
    send(form);
  });
  document.addEventListener("input", (event) => {
    if (event.target.getAttribute("aria-invalid")) wrong(event.target, "");
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.copy) copy(button);
    if (button.dataset.post) press(button);
    if (button.dataset.verify) verify(button);
    if (button.dataset.check) check(button);
    if (button.dataset.ask && button.dataset.send) ask(button);
    if ("close" in button.dataset) button.closest("dialog").close();
  });
}
