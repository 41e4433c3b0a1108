// Where the scripts of a page come together.
import { showCaptures } from "./captures.js";
import { watchCharts } from "./chart.js";
import { watchDoor } from "./door.js";
import { sendForms } from "./form.js";
import { label } from "./label.js";
import { keepLive } from "./live.js";
import { steerRollout } from "./rollout.js";
import { tellTimes } from "./times.js";

tellTimes();
watchCharts();
steerRollout();
watchDoor();
sendForms();
label();
showCaptures();
keepLive();

// Where the rooms do not fit side by side, the one that is open is in sight.
const rooms = document.querySelector(".rooms");
const open = rooms?.querySelector("[aria-current]");
if (open) rooms.scrollLeft = open.offsetLeft - rooms.offsetLeft - (rooms.clientWidth - open.offsetWidth) / 2;

// Choosing is enough; without this script the button is there.
for (const form of document.querySelectorAll("form[data-filter]")) {
  form.addEventListener("change", () => form.requestSubmit());
  // An empty choice would only make the address longer.
  form.addEventListener("submit", () => {
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
  });
}

// A menu closes like one: by Escape, by a click elsewhere, by leaving it.
for (const menu of document.querySelectorAll("details.menu")) {
  const close = () => (menu.open = false);
  document.addEventListener("click", (event) => menu.contains(event.target) || close());
  menu.addEventListener("focusout", (event) => event.relatedTarget && !menu.contains(event.relatedTarget) && close());
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    close();
    menu.querySelector("summary").focus();
  });
}
