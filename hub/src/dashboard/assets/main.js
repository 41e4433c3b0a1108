// Where the scripts of a page come together.
import { watchCharts } from "./chart.js";
import { keepLive } from "./live.js";
import { steerRollout } from "./rollout.js";
import { tellTimes } from "./times.js";

tellTimes();
watchCharts();
steerRollout();
keepLive();

// Choosing is enough; without this script the button is there.
for (const form of document.querySelectorAll("form[data-filter]")) {
  form.addEventListener("change", () => form.requestSubmit());
  // An empty choice would only make the address longer.
  form.addEventListener("submit", () => {
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
  });
}
