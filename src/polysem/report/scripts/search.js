"use strict";
// The search box, which this script puts into the bar of a page or sheet. Its index is a script, as pages from disk may
// not fetch files; it is loaded when the box is first used.
const form = document.createElement("form");
form.className = "search";
form.setAttribute("role", "search");
form.innerHTML = `
<input type="search" id="search" aria-label="Search labels, tokens, metrics and ids"
  placeholder="Search labels, tokens, metrics  /" autocomplete="off" spellcheck="false" aria-controls="found"
  aria-describedby="found-count">
<div class="found" hidden>
<p id="found-count" role="status"></p>
<ul id="found"></ul>
</div>`;
document.querySelector(".bar").append(form);
const box = document.getElementById("search");
const panel = form.querySelector(".found");
const list = document.getElementById("found");
const count = document.getElementById("found-count");
const MOST = 40;
let entries;

function load() {
  if (entries !== undefined) return;
  entries = null;
  const script = document.createElement("script");
  script.src = `${document.body.dataset.root}pages/static/search-index.js`;
  script.addEventListener("load", () => {
    const { kinds, folders, rows } = window.polysemIndex;
    entries = rows.map(([kind, name, words, folder, file]) => ({
      kind: kinds[kind],
      name,
      words,
      address: folders[folder] + file,
      text: `${name} ${words}`.toLowerCase(),
    }));
    search();
  });
  script.addEventListener("error", () => {
    count.textContent = "The index of this report is missing.";
  });
  document.head.append(script);
}

// What is called so comes before what is only said of it.
function rank(entry, query) {
  const name = entry.name.toLowerCase();
  if (name === query) return 0;
  return name.startsWith(query) ? 1 : name.includes(query) ? 2 : 3;
}

function search() {
  const query = box.value.trim().toLowerCase();
  panel.hidden = query === "";
  list.replaceChildren();
  if (!entries || query === "") return;
  const words = query.split(/\s+/);
  const found = entries.filter((entry) => words.every((word) => entry.text.includes(word)));
  found.sort((one, other) => rank(one, query) - rank(other, query));
  count.textContent = found.length > MOST ? `${found.length} found, the first ${MOST}:` : `${found.length} found`;
  for (const entry of found.slice(0, MOST)) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = document.body.dataset.root + entry.address;
    const kind = document.createElement("small");
    kind.textContent = entry.kind;
    const words = document.createElement("small");
    words.dir = "auto";
    words.textContent = entry.words;
    const name = document.createElement("b");
    name.dir = "auto";
    name.textContent = entry.name;
    link.append(kind, name, words);
    item.append(link);
    list.append(item);
  }
}

function move(event) {
  const links = [...list.querySelectorAll("a")];
  const at = links.indexOf(document.activeElement);
  if (event.key === "Escape") {
    box.value = "";
    search();
    box.focus();
  } else if (event.key === "ArrowDown" && links.length) {
    links[Math.min(at + 1, links.length - 1)].focus();
  } else if (event.key === "ArrowUp" && at >= 0) {
    (at === 0 ? box : links[at - 1]).focus();
  } else {
    return;
  }
  event.preventDefault();
}

// As on pages that people know: a slash leads to the box, wherever nothing is being written.
function slash(event) {
  const writing = event.target.closest("input, select, textarea, [contenteditable]");
  if (event.key !== "/" || writing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  box.focus();
}

document.addEventListener("keydown", slash);
box.addEventListener("focus", load);
box.addEventListener("input", search);
form.addEventListener("keydown", move);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  list.querySelector("a")?.click();
});
document.addEventListener("click", (event) => {
  if (!form.contains(event.target)) panel.hidden = true;
});
