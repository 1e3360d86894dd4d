"use strict";
// The rubric sheet: one item after the other, kept in the browser as it is scored, and saved as a file. Without this
// script the page shows all items and asks nothing.
const sheet = document.getElementById("rubric");
const items = [...sheet.querySelectorAll(".item")];
const saving = document.getElementById("saving");
const author = document.getElementById("author");
const { model, sheet: name } = sheet.dataset;
const KEY = `polysem-rubric-${name}`;
const SCRIPTED = ["#numbers", "#steps", "#saving", ".scoring"];

// What was kept is data of another day, or of another page: only what this sheet asks is taken from it.
function remembered() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    return kept && typeof kept === "object" ? kept : {};
  } catch {
    return {};
  }
}

function remember() {
  const scores = {};
  for (const item of items) {
    const found = read(item);
    if (begun(found)) scores[item.dataset.item] = found;
  }
  try {
    localStorage.setItem(KEY, JSON.stringify({ author: author.value, scores, at }));
    return true;
  } catch {
    return false; // Some browsers keep nothing for files from disk.
  }
}

function read(item) {
  const found = { explanation: item.querySelector("textarea").value.trim() };
  for (const asked of item.querySelectorAll("fieldset")) {
    const chosen = asked.querySelector("input:checked");
    found[asked.dataset.criterion] = chosen ? Number(chosen.value) : null;
  }
  return found;
}

function fill(item, kept) {
  item.querySelector("textarea").value = typeof kept?.explanation === "string" ? kept.explanation : "";
  for (const asked of item.querySelectorAll("fieldset")) {
    for (const input of asked.querySelectorAll("input")) {
      input.checked = Number(input.value) === kept?.[asked.dataset.criterion];
    }
  }
}

function points(found) {
  return Object.entries(found).flatMap(([key, value]) => (key === "explanation" ? [] : [value]));
}

function begun(found) {
  return found.explanation !== "" || points(found).some((value) => value !== null);
}

// What an item lacks to be saved; "" for nothing.
function lacking(found) {
  const given = points(found);
  const open = given.filter((value) => value === null).length;
  if (open) return open === 1 ? "One score is missing." : `${open} scores are missing.`;
  if (found.explanation === "" && given.some((value) => value > 0)) {
    return "Points are for an explanation: write one, or give 0 throughout.";
  }
  return "";
}

let at = 0;

function show(number, focus) {
  at = Math.min(Math.max(number, 0), items.length - 1);
  items.forEach((item, place) => (item.hidden = place !== at));
  update();
  if (focus) {
    items[at].querySelector("h2").focus({ preventScroll: true });
    sheet.querySelector("#numbers").scrollIntoView();
  }
}

function update() {
  const found = items.map(read);
  const done = found.filter((one) => lacking(one) === "").length;
  [...sheet.querySelectorAll("#numbers button")].forEach((button, place) => {
    const state = lacking(found[place]) === "" ? "done" : begun(found[place]) ? "begun" : "";
    button.className = state;
    if (place === at) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
    button.ariaLabel = `Item ${place + 1}${state === "done" ? ", scored" : state === "begun" ? ", begun" : ""}`;
  });
  items[at].querySelector(".lacks").textContent = begun(found[at]) ? lacking(found[at]) || "Scored." : "";
  document.getElementById("progress").textContent = `${done} of ${items.length} scored`;
  document.getElementById("back").disabled = at === 0;
  document.getElementById("next").disabled = at === items.length - 1;
  const kept = remember();
  const warning = document.getElementById("kept");
  warning.hidden = kept;
  warning.textContent = kept ? "" : "This browser keeps nothing of this page: save your scores before you close it.";
}

// The name's letters that every file system has, and a hash of all of it (FNV-1a), so that no two names share a file.
function fileName(of) {
  const slug = of.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 32);
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(of)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return [slug, name.slice(0, 8) + hash.toString(16).padStart(8, "0")].filter(Boolean).join("-") + ".json";
}

function save() {
  const said = document.getElementById("saved");
  const by = author.value.trim().normalize("NFC");
  const scores = items.map((item) => ({ item: item.dataset.item, ...read(item) }));
  const whole = scores.filter((one) => lacking(withoutItem(one)) === "");
  const partial = scores.filter((one) => begun(withoutItem(one)) && lacking(withoutItem(one)) !== "").length;
  if (by === "") {
    said.textContent = "Write your name first: scores are kept by person.";
    author.focus();
    return;
  }
  if (whole.length === 0) {
    said.textContent = "No item has all of its scores yet.";
    return;
  }
  const text = `${JSON.stringify({ model, author: by, sheet: name, scores: whole }, null, 2)}\n`;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = fileName(by);
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  const left = partial ? ` ${partial} begun and not finished ${partial === 1 ? "is" : "are"} not in it.` : "";
  said.textContent = `${link.download} holds ${whole.length} of ${items.length} items.${left}`;
}

function withoutItem({ item, ...found }) {
  return found;
}

const kept = remembered();
author.value = typeof kept.author === "string" ? kept.author : "";
const numbers = document.getElementById("numbers");
items.forEach((item, place) => {
  fill(item, kept.scores?.[item.dataset.item]);
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = place + 1;
  button.addEventListener("click", () => show(place, true));
  numbers.append(button);
  item.querySelector(".nothing").addEventListener("click", () => {
    const { explanation, ...asked } = read(item);
    fill(item, { explanation, ...Object.fromEntries(Object.keys(asked).map((criterion) => [criterion, 0])) });
    update();
  });
  item.querySelector(".clear").addEventListener("click", () => {
    fill(item, undefined);
    update();
  });
});
for (const element of SCRIPTED.flatMap((each) => [...sheet.querySelectorAll(each)])) element.hidden = false;
sheet.addEventListener("input", update);
sheet.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("back").addEventListener("click", () => show(at - 1, true));
document.getElementById("next").addEventListener("click", () => show(at + 1, true));
document.getElementById("save").addEventListener("click", save);
show(Number.isInteger(kept.at) ? kept.at : 0, false);
