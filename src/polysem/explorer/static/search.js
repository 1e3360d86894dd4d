// The search page: its answer changes in place, and the address with it. Without this it is a form like any other.
import { show } from "./parts.js";

const content = document.getElementById("content");
const DEFAULTS = { top: "25", scale: "raw", kind: "all", density: "0.01" };

const here = () => location.pathname + location.search;
let shown = here();

function address() {
  const ask = document.getElementById("ask");
  const text = ask.elements.text.value;
  const asked = new URLSearchParams();
  const first = ask.elements.model?.options[0].value;
  for (const [name, value] of new FormData(ask)) {
    if (value !== DEFAULTS[name] && value !== "" && !(name === "model" && value === first)) asked.append(name, value);
  }
  asked.delete("text");
  if (text) asked.set("text", text);
  const refine = document.getElementById("refine");
  const same = refine && new FormData(refine).get("text") === text.replaceAll("\r\n", "\n");
  if (same) for (const token of new FormData(refine).getAll("tokens")) asked.append("tokens", token);
  const query = asked.toString();
  return query ? `/?${query}` : "/";
}

async function answer() {
  const wanted = address();
  if (wanted !== here()) history.pushState(null, "", wanted);
  shown = here();
  if (await show(document.getElementById("answer"), wanted)) tell();
}

// Shows what the address says. One that differs in its fragment alone, as after the link to the content, is shown already:
// to show it again would take from the box what somebody types.
async function follow() {
  if (shown === here()) return;
  shown = here();
  if (await show(content, location.href)) tell();
}

// What a person hears who does not see the list change.
function tell() {
  const heard = document.querySelector("#answer [role=alert], #answer [data-say]");
  document.getElementById("said").textContent = heard?.textContent ?? "";
}

// The heading of a closed list says how many of it are chosen.
function count(list) {
  const chosen = list.querySelectorAll(":checked").length;
  const heading = list.querySelector("summary");
  heading.textContent = heading.textContent.replace(/: .*/, `: ${chosen || "all"}`);
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("#ask, #refine")) return;
  event.preventDefault();
  answer();
});
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (!form?.matches("#ask, #refine") || event.target.name === "text") return;
  const list = event.target.closest(".several");
  if (list) count(list);
  if (form.id === "refine" || document.getElementById("text").value !== "") answer();
});
document.addEventListener("keydown", (event) => {
  if (event.target.id === "text" && event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
  const isSlash = event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey;
  if (isSlash && !event.target.matches("input, textarea, select")) {
    event.preventDefault();
    document.getElementById("text").select();
  }
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("#answer a[href^='/?']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  follow();
});
window.addEventListener("popstate", follow);
