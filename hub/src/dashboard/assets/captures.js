// The page of captures: the newest are drawn, and a name is hashed where it is typed.
import { draw } from "./viewer.js";

/** The hash that stands for somebody: as devices and `tern capture delete --subject` make it. */
async function subject(workspace, name) {
  const encode = (text) => new TextEncoder().encode(text);
  const [head, of, who] = [encode("tern-subject-1"), encode(workspace), encode(name)];
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(of.length));
  const all = new Uint8Array([...head, ...length, ...of, ...who]);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", all));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function showCaptures() {
  for (const place of document.querySelectorAll("[data-thumb]")) {
    const [input, noInput] = JSON.parse(place.dataset.thumb);
    const capture = { input, no_input: noInput };
    place.replaceChildren(draw({ capture, view: JSON.parse(place.dataset.view) }));
  }
  const form = document.getElementById("delete");
  const name = document.getElementById("delete-name");
  const hash = document.getElementById("delete-subject");
  name?.addEventListener("input", async () => {
    const typed = name.value;
    const made = typed === "" ? "" : await subject(form.dataset.workspace, typed);
    if (name.value === typed) hash.value = made; // what was typed meanwhile is hashed next
  });
}
