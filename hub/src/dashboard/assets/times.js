// Times in the browser's zone and language. The hub writes them in UTC for those without scripts.

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayOfMonth = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const fineClock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });

function length(seconds) {
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

function ago(ms) {
  const seconds = Math.max(0, Math.round((Date.now() - ms) / 1000));
  if (seconds < 5) return "just now";
  return seconds < 14 * 86400 ? `${length(seconds)} ago` : day.format(ms);
}

function until(ms) {
  const seconds = Math.round((ms - Date.now()) / 1000);
  if (seconds < 0) return ago(ms);
  return seconds < 60 * 86400 ? `in ${length(seconds)}` : day.format(ms);
}

function write(element, text, title) {
  if (element.textContent !== text) element.textContent = text;
  if (title && element.title !== title) element.title = title;
}

function tell() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const ms = Date.parse(time.dateTime);
    if (Number.isNaN(ms)) continue; // a year that no calendar has; the hub's text stays
    if (time.classList.contains("until")) write(time, until(ms), moment.format(ms));
    else if (time.classList.contains("moment")) write(time, moment.format(ms));
    else if (time.classList.contains("ago")) write(time, ago(ms), moment.format(ms));
    else write(time, fineClock.format(ms), moment.format(ms));
  }
  for (const label of document.querySelectorAll("[data-at]")) {
    write(label, clock.format(Number(label.dataset.at)));
  }
  for (const label of document.querySelectorAll("[data-day]")) {
    write(label, dayOfMonth.format(Number(label.dataset.day)));
  }
}

/** Writes all times now, each second, and after each update. */
export function tellTimes() {
  tell();
  setInterval(() => {
    if (!document.hidden) tell();
  }, 1000);
  document.addEventListener("tern:updated", tell);
  document.addEventListener("visibilitychange", tell);
}
