"use strict";
// Shows the figures of the chosen dictionary and, if wished, of another one beside it. Without this script a page shows
// one dictionary and links to all others.
const data = JSON.parse(document.getElementById("figures").textContent);
const choosers = ["dictionary", "beside"].map((id) => document.getElementById(id));
const root = document.body.dataset.root;
const CHOICE = "polysem-choice";

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(CHOICE)) ?? [];
  } catch {
    return [];
  }
}

function remember(chosen) {
  try {
    localStorage.setItem(CHOICE, JSON.stringify(chosen));
  } catch {
    // Some browsers keep nothing for files from disk.
  }
}

function address(parts) {
  return root + parts.map((part) => part.split("/").map(encodeURIComponent).join("/")).join("/");
}

function card(name, title, chosen) {
  const figure = data.figures[name];
  const place = figure.together ? `${chosen.slice(0, chosen.lastIndexOf("/"))}/together` : chosen;
  const words = figure.together ? place.replace(/\/together$/, ", all dictionaries") : place;
  const found = figure.at[place];
  if (!Array.isArray(found)) {
    const absent = document.createElement("p");
    absent.className = "reason";
    const reason = found === undefined ? "no such figure is made there." : data.reasons[found];
    absent.textContent = `${words}: ${reason}`;
    return absent;
  }
  const file = address(["pages", "figures", place, `${name}.svg`]);
  const frame = document.createElement("figure");
  const link = document.createElement("a");
  link.className = "card";
  link.href = file;
  const image = document.createElement("img");
  image.loading = "lazy";
  image.decoding = "async";
  if (found[0]) [image.width, image.height] = found;
  image.alt = `${title}: ${words}`;
  image.src = file;
  link.append(image);
  const caption = document.createElement("figcaption");
  const page = document.createElement("a");
  page.href = figure.together ? address(["pages", "models", place.replace(/together$/, "index.html")]) : address(["pages", "models", `${place}.html`]);
  page.textContent = words;
  caption.append(page);
  frame.append(link, caption);
  return frame;
}

function show() {
  const [first, second] = choosers.map((chooser) => chooser.value);
  for (const slot of document.querySelectorAll(".figures[data-figure]")) {
    const { figure, title } = slot.dataset;
    const cards = [card(figure, title, first)];
    const together = data.figures[figure].together;
    const sameSite = second.slice(0, second.lastIndexOf("/")) === first.slice(0, first.lastIndexOf("/"));
    if (second && second !== first && !(together && sameSite)) cards.push(card(figure, title, second));
    slot.replaceChildren(...cards);
    slot.classList.toggle("single", cards.length === 1);
  }
  for (const row of document.querySelectorAll("tr[data-row]")) {
    row.classList.toggle("chosen", row.dataset.row === first || row.dataset.row === second);
  }
}

if (choosers[0]) {
  const [first, second] = remembered();
  const known = (value) => [...choosers[0].options].some((option) => option.value === value);
  choosers[0].value = known(first) ? first : data.first;
  choosers[1].value = known(second) ? second : "";
  choosers[0].closest(".chooser").hidden = false;
  for (const chooser of choosers) {
    chooser.addEventListener("change", () => {
      remember(choosers.map((one) => one.value));
      show();
    });
  }
  show();
}
