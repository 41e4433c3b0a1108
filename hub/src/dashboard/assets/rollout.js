// The buttons of a rollout: they call the REST API and show what it answers.

const DONE = { pause: "Paused.", resume: "Resumed.", abort: "Aborted.", widen: "Widened.", approve: "Approved; it goes on at its next look.", freeze: "Frozen.", thaw: "Thawed; rollouts go on." };

function say(text, state) {
  const answer = document.getElementById("answer");
  answer.textContent = text;
  answer.dataset.state = state;
}

/** A problem (RFC 9457) in one sentence. */
async function problemOf(response) {
  try {
    const problem = await response.json();
    if (problem.title) return problem.detail ? `${problem.title}: ${problem.detail}` : problem.title;
  } catch {
    // Not from the API; the status says what there is to say.
  }
  return `The hub answered ${response.status}.`;
}

/** Thawing takes a freeze away; all else is asked for by name. */
async function call(room, action, body) {
  say("…", "");
  try {
    const thaws = action === "thaw";
    const response = await fetch(`${room.dataset.steer}/${thaws ? "freeze" : action}`, {
      method: thaws ? "DELETE" : "POST",
      headers: body ? { "content-type": "application/json" } : {},
      body: body ? JSON.stringify(body) : undefined,
    });
    if (response.ok) say(DONE[action], "good");
    else say(await problemOf(response), "bad");
  } catch {
    say("The hub cannot be reached; nothing was changed.", "bad");
  }
  document.dispatchEvent(new CustomEvent("tern:changed"));
}

/** Makes the buttons of this page work, if it has any. */
export function steerRollout() {
  const room = document.querySelector("[data-steer]");
  if (!room) return;
  const dialog = document.getElementById("confirm");
  const approve = document.getElementById("approve");

  room.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.do) call(room, button.dataset.do);
    if (button?.dataset.ask) {
      const asks = button.dataset.ask === "approve" ? approve : dialog;
      asks.returnValue = "cancel"; // Escape leaves the value as it was
      asks.showModal();
    }
  });
  room.addEventListener("submit", (event) => {
    event.preventDefault();
    const percent = Number(new FormData(event.target).get("percent"));
    call(room, "widen", { percent });
  });
  approve?.addEventListener("close", () => {
    if (approve.returnValue === "approve") call(room, "approve");
  });
  dialog.addEventListener("close", () => {
    if (dialog.returnValue === "freeze") {
      const reason = new FormData(dialog.querySelector("form")).get("reason");
      call(room, "freeze", { reason });
    }
    if (dialog.returnValue !== "abort") return;
    const moved = new FormData(dialog.querySelector("form")).get("moved");
    call(room, "abort", { moved });
  });
}
