"use strict";
const unfold = document.getElementById("unfold");
if (unfold) {
  const contexts = [...document.querySelectorAll(".contexts details")];
  unfold.hidden = false;
  unfold.addEventListener("click", () => {
    const open = contexts.some((each) => !each.open);
    for (const each of contexts) each.open = open;
    unfold.textContent = open ? "Close all contexts" : "Open all contexts";
  });
}
const filter = document.getElementById("filter");
if (filter) {
  const rows = [...document.querySelectorAll(".sheets tbody tr")].map((row) => [row, row.textContent.toLowerCase()]);
  filter.closest("label").hidden = false;
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const [row, text] of rows) row.hidden = !text.includes(wanted);
  });
}
