// Stars, labels and comments: written to the project's files by the server, then shown as these now say.
import { show } from "./parts.js";

const content = document.getElementById("content");

function begin() {
  const form = document.getElementById("write");
  if (form) form.hidden = false;
}

const FIELDS = ["label", "note", "comment"];

// What was typed into some fields and not saved: others of the same author may have written what stood there before.
function typed(form, names) {
  const fields = names.map((name) => form.elements[name]).filter((field) => field.value !== field.defaultValue);
  return Object.fromEntries(fields.map((field) => [field.name, field.value]));
}

async function write(form, change) {
  const wrong = document.getElementById("unsaved");
  wrong.hidden = true;
  const answer = await fetch("/api/notes", {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "X-Polysem-Token": document.querySelector("meta[name=polysem-token]").content,
    },
    body: JSON.stringify({ place: form.dataset.place, feature: Number(form.dataset.feature), ...change }),
  }).catch(() => null);
  if (!answer?.ok) {
    const said = await answer?.json().catch(() => null);
    wrong.textContent = said?.error ?? "The explorer does not answer. Is its command still running? Nothing was saved.";
    wrong.hidden = false;
    return;
  }
  const isOpen = form.querySelector("details").open;
  const kept = typed(form, FIELDS.filter((name) => !(name in change)));
  if (await show(document.getElementById("notes"), location.pathname)) {
    begin();
    const now = document.getElementById("write");
    now.querySelector("details").open = isOpen;
    for (const [name, value] of Object.entries(kept)) now.elements[name].value = value;
    document.getElementById("said").textContent = "Saved.";
  }
}

if (content) {
  content.addEventListener("click", (event) => {
    const form = event.target.closest("#write");
    const button = event.target.closest("button");
    if (!form || !button) return;
    if (button.id === "star") write(form, { star: button.ariaPressed !== "true" });
    const change = typed(form, button.dataset.write?.split(" ") ?? []);
    if (Object.keys(change).length) write(form, change);
    else if (button.dataset.write) document.getElementById("said").textContent = "Nothing was changed.";
  });
  content.addEventListener("submit", (event) => {
    if (event.target.id !== "write") return;
    event.preventDefault();
    event.target.querySelector("[data-write=label\\ note]").click();
  });
  begin();
}
