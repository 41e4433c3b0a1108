// Coming and going: login with its second step, the first password, the second factor, log out.
//
// The session is a cookie that no script sees.
import { answerOf, call, read, refuse, say, sentence } from "./form.js";

/** Only within this hub, whatever an address says. */
function go(next) {
  const to = new URL(next || "/", location.origin);
  location.assign(to.origin === location.origin ? to : "/");
}

async function submit(form, body, then) {
  if (!body) return;
  const button = form.querySelector("button[type=submit]");
  button.disabled = true;
  say(answerOf(form), "…", "");
  const answer = await call("POST", form.dataset.send, body);
  button.disabled = false;
  if (answer.ok) then(answer.body);
  else refuse(form, answer);
  return answer;
}

function login(form) {
  const second = document.getElementById("second");
  const code = document.getElementById("code");
  const user = document.getElementById("user");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    form.dataset.wrong = second.hidden ? "password" : "code";
    const body = read(form);
    const answer = await submit(form, body, () => go(form.dataset.next));
    // The password was right, and the account wants a code as well.
    if (answer?.body?.type !== "urn:tern:problem:second-factor" || !second.hidden) return;
    second.hidden = false;
    code.required = true;
    document.getElementById("password").removeAttribute("aria-invalid");
    document.getElementById("password-wrong").textContent = "";
    say(answerOf(form), "One more step: the code of your second factor.", "");
    code.focus();
  });
  // Another account may have no second factor.
  user.addEventListener("change", () => {
    second.hidden = true;
    code.required = false;
    code.value = "";
  });
}

function setup(form) {
  // The code leaves the address bar before anything else, so that nobody reads it over a shoulder or in
  // the history.
  const code = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  if (!code) say(answerOf(form), "This address has no code. Open the link as it was given to you.", "bad");
  const [password, again] = ["new-password", "again"].map((id) => document.getElementById(id));
  const compare = () =>
    again.setCustomValidity(again.value === password.value ? "" : "The two passwords are not the same.");
  password.addEventListener("input", compare);
  again.addEventListener("input", compare);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = read(form);
    if (body) submit(form, { ...body, code }, () => go(form.dataset.next));
  });
}

function factor(room) {
  const [begin, confirm] = ["begin", "confirm"].map((step) => room.querySelector(`[data-factor-${step}]`));
  begin?.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(begin, read(begin), ({ secret, qr }) => {
      // As a picture, so that nothing in it can be more than a picture.
      document.getElementById("factor-qr").src = `data:image/svg+xml,${encodeURIComponent(qr)}`;
      document.getElementById("factor-secret").textContent = secret;
      begin.hidden = true;
      confirm.hidden = false;
      document.getElementById("factor-code").focus();
    });
  });
  confirm?.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(confirm, read(confirm), ({ codes }) => {
      document.getElementById("factor-recovery").textContent = codes.join("\n");
      const shown = document.getElementById("factor-codes");
      confirm.hidden = true;
      shown.hidden = false;
      shown.focus();
    });
  });
}

async function logout(button) {
  button.disabled = true;
  const answer = await call("POST", button.dataset.logout);
  if (answer.ok || answer.status === 401) return location.assign("/login");
  button.disabled = false;
  button.textContent = sentence(answer.body, answer.status);
}

/** Makes what of this is on the page work. Before `sendForms`, which leaves alone what is taken. */
export function watchDoor() {
  const at = (selector, start) => {
    const found = document.querySelector(selector);
    if (found) start(found);
  };
  at("[data-login]", login);
  at("[data-setup]", setup);
  at("[data-factor]", factor);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-logout]");
    if (button) logout(button);
  });
}
