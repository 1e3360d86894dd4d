"use strict";
const select = document.getElementById("dictionary");
const ALL = "all dictionaries";
// A figure of all dictionaries of a site stays beside those of any one of them.
function belongs(own, chosen) {
  return own === chosen || (own.endsWith(`/${ALL}`) && chosen.startsWith(own.slice(0, -ALL.length)));
}
function show(chosen) {
  for (const article of document.querySelectorAll("article")) {
    let shown = 0;
    for (const figure of article.querySelectorAll("figure")) {
      figure.hidden = chosen !== "" && !belongs(figure.dataset.dictionary, chosen);
      shown += figure.hidden ? 0 : 1;
    }
    article.querySelector(".figures").classList.toggle("single", shown === 1);
    article.querySelector(".none").hidden = shown > 0;
  }
}
select.closest("label").hidden = false;
select.addEventListener("change", () => {
  const before = [...document.querySelectorAll("article")].find((article) => article.getBoundingClientRect().bottom > 80);
  show(select.value);
  if (window.scrollY > 0 && before) before.scrollIntoView();
});
show(select.value);
