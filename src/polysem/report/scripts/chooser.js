"use strict";
// Shows the figures of the chosen dictionary and, if wished, of another one beside it. Without this script a page shows
// one dictionary and links to all others.
const data = JSON.parse(document.getElementById("figures").textContent);
const choosers = ["dictionary", "beside"].map((id) => document.getElementById(id));
const same = document.getElementById("same");
const root = document.body.dataset.root;
const CHOICE = "polysem-choice";

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(CHOICE)) ?? [];
  } catch {
    return [];
  }
}

// What the address asks for comes before what was chosen last: so a comparison can be shared.
function asked() {
  const query = new URLSearchParams(location.search);
  return query.has("show") ? [query.get("show"), query.get("beside") ?? ""] : remembered();
}

function tell(chosen) {
  const query = new URLSearchParams({ show: chosen[0], ...(chosen[1] && { beside: chosen[1] }) });
  history.replaceState(null, "", `?${query}${location.hash}`);
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

// The model, the site or the dictionary of a chosen dictionary: of whichever a figure is.
function whose(figure, chosen) {
  const [model, site] = chosen.split("/");
  return { model, site: `${model}/${site}`, dictionary: chosen }[figure.of];
}

function card(name, title, chosen) {
  const figure = data.figures[name];
  const together = figure.of !== "dictionary";
  const origin = whose(figure, chosen);
  const place = together ? `${origin}/together` : origin;
  const words = together ? `${origin}, all dictionaries` : origin;
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
  page.href = address(["pages", "models", together ? `${origin}/index.html` : `${origin}.html`]);
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
    const [one, other] = [first, second].map((chosen) => whose(data.figures[figure], chosen));
    if (second && one !== other) cards.push(card(figure, title, second));
    slot.replaceChildren(...cards);
    slot.classList.toggle("single", cards.length === 1);
  }
  same.hidden = second !== first;
  for (const row of document.querySelectorAll("tr[data-row]")) {
    row.classList.toggle("chosen", row.dataset.row === first || row.dataset.row === second);
  }
}

if (choosers[0]) {
  const [first, second] = asked();
  const known = (value) => [...choosers[0].options].some((option) => option.value === value);
  choosers[0].value = known(first) ? first : data.first;
  choosers[1].value = known(second) ? second : "";
  choosers[0].closest(".chooser").hidden = false;
  for (const chooser of choosers) {
    chooser.addEventListener("change", () => {
      const chosen = choosers.map((one) => one.value);
      remember(chosen);
      tell(chosen);
      show();
    });
  }
  show();
}
