// Clusters as tabs, and the lines below tokens that say how important each is, on and off. Without this all are shown.
import { show } from "./parts.js";

const section = document.getElementById("clusters");
const ends = (node, next) => node === next || node.classList?.contains("none");

function arrange() {
  const headings = [...section.querySelectorAll("h3[id^='cluster-']")];
  if (headings.length < 2) return;
  const list = document.createElement("div");
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", "Clusters");
  headings[0].before(list);
  const tabs = headings.map((heading, place) => {
    const panel = document.createElement("div");
    panel.setAttribute("role", "tabpanel");
    panel.id = `panel-${heading.id}`;
    panel.tabIndex = 0;
    heading.before(panel);
    while (panel.nextSibling && !ends(panel.nextSibling, headings[place + 1])) panel.append(panel.nextSibling);
    heading.classList.add("unseen");
    const tab = document.createElement("button");
    tab.type = "button";
    tab.id = `tab-${heading.id}`;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", panel.id);
    tab.textContent = heading.textContent;
    tab.addEventListener("click", () => choose(place));
    panel.setAttribute("aria-labelledby", tab.id);
    list.append(tab);
    return { tab, panel, heading };
  });
  function choose(chosen) {
    tabs.forEach(({ tab, panel }, place) => {
      tab.ariaSelected = String(place === chosen);
      tab.tabIndex = place === chosen ? 0 : -1;
      panel.hidden = place !== chosen;
    });
  }

  list.addEventListener("keydown", (event) => {
    const at = tabs.findIndex(({ tab }) => tab === event.target);
    const last = tabs.length - 1;
    const next = { ArrowLeft: at ? at - 1 : last, ArrowRight: at < last ? at + 1 : 0, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    choose(next);
    tabs[next].tab.focus();
  });
  const named = () => tabs.findIndex(({ heading }) => `#${heading.id}` === location.hash);
  choose(Math.max(named(), 0));
  window.addEventListener("hashchange", () => {
    if (named() >= 0) choose(named());
  });
}

function begin() {
  arrange();
  const importance = document.getElementById("importance");
  if (importance) {
    importance.closest("label").hidden = false;
    importance.addEventListener("change", () => section.classList.toggle("plain", !importance.checked));
  }
  document.getElementById("measure")?.addEventListener("click", measure);
}

// What the run did not measure is measured now; the chosen tab stays.
async function measure(event) {
  event.preventDefault();
  const chosen = section.querySelector("[aria-selected=true]")?.id;
  if (!(await show(section, `${location.pathname}?importance=true`))) return;
  begin();
  if (chosen) document.getElementById(chosen)?.click();
  document.getElementById("importance")?.focus();
}

if (section) begin();
