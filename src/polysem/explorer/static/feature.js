// The page of a feature: texts are shaded while somebody types, examples are copied, arrow keys lead to the neighbours.
import { isTyping, settled, show } from "./parts.js";

const TYPING = 50;
const tries = document.getElementById("tries");

function shade(box) {
  const text = box.value.trim() === "" ? "" : box.value;
  const address = `${location.pathname}/tried?${new URLSearchParams({ text })}`;
  show(box.closest("li").querySelector(".shown"), address).then((isLast) => {
    if (isLast) tell(box);
  });
  remember();
}

function tell(box) {
  const strongest = box.closest("li").querySelector(".strongest");
  document.getElementById("said").textContent = strongest?.textContent ?? "";
}

// The address says which texts are there, beside what else it asks for, so that it can be sent to somebody.
function remember() {
  const asked = new URLSearchParams(location.search);
  asked.delete("text");
  const texts = new URLSearchParams();
  for (const box of tries.querySelectorAll("textarea")) if (box.value.trim() !== "") texts.append("text", box.value);
  for (const [name, text] of texts) asked.append(name, text);
  const query = asked.toString();
  history.replaceState(null, "", query ? `${location.pathname}?${query}` : location.pathname);
  for (const link of document.querySelectorAll("a[rel=prev], a[rel=next]")) link.search = texts.toString();
}

function add(text) {
  const boxes = [...tries.querySelectorAll("textarea")];
  let box = boxes.find((each) => each.value.trim() === "");
  if (!box) {
    if (boxes.length >= Number(tries.dataset.most)) box = boxes.at(-1);
    else {
      const item = document.getElementById("another-text").content.firstElementChild.cloneNode(true);
      tries.querySelector("ol").append(item);
      box = item.querySelector("textarea");
    }
  }
  name();
  box.value = text;
  box.focus();
  if (text) shade(box);
  return box;
}

function name() {
  const items = [...tries.querySelectorAll("li")];
  items.forEach((item, place) => {
    item.querySelector("textarea").setAttribute("aria-label", `Text ${place + 1}`);
    const remove = item.querySelector(".remove");
    remove.setAttribute("aria-label", `Remove text ${place + 1}`);
    remove.hidden = items.length === 1;
  });
}

if (tries) {
  const later = new WeakMap();
  tries.addEventListener("input", (event) => {
    if (!later.has(event.target)) later.set(event.target, settled(TYPING, shade));
    later.get(event.target)(event.target);
  });
  tries.addEventListener("submit", (event) => {
    event.preventDefault();
    for (const box of tries.querySelectorAll("textarea")) shade(box);
  });
  tries.addEventListener("click", (event) => {
    if (!event.target.matches(".remove")) return;
    event.target.closest("li").remove();
    name();
    remember();
    tries.querySelector("textarea").focus();
  });
  const another = document.getElementById("another");
  another.hidden = false;
  another.addEventListener("click", () => add(""));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.copy");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    add(new URL(link.href).searchParams.getAll("text").at(-1));
  });
  name();
}

document.addEventListener("keydown", (event) => {
  const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  const isPlain = !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.defaultPrevented);
  if (rel && isPlain && !isTyping(event.target)) document.querySelector(`a[rel=${rel}]`)?.click();
});
