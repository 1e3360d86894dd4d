"use strict";
// Tables of class `sortable`: a heading sorts the rows by its column, again the other way round; empty cells stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const descending = heading.ariaSort === "descending" || (column === 0 && heading.ariaSort !== "ascending");
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.ariaSort = descending ? "ascending" : "descending";
      body.append(...[...original].sort((one, other) => compare(one.cells[column], other.cells[column], descending)));
    });
  });
}

function compare(one, other, ascending) {
  const sign = ascending ? 1 : -1;
  const [first, second] = [one, other].map((cell) => cell.dataset.value);
  if (first === undefined) return sign * one.textContent.localeCompare(other.textContent, "en", { numeric: true });
  if (first === "" || second === "") {
    return (first === "") - (second === "") || sign * one.textContent.localeCompare(other.textContent, "en");
  }
  return sign * (Number(first) - Number(second));
}

const more = document.getElementById("more");
if (more) {
  const table = document.querySelector("table.sortable");
  const show = () => table.classList.toggle("brief", !more.checked);
  more.closest(".sorting").hidden = false;
  more.addEventListener("change", show);
  show();
}
