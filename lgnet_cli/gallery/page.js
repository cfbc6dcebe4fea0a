"use strict";
const pictures = JSON.parse(document.getElementById("pictures").textContent);
for (const image of document.querySelectorAll("img[data-picture]")) image.src = pictures[image.dataset.picture] ?? "";

const cases = [...document.querySelectorAll(".case")];
for (const one of cases) {
  one.ranks = JSON.parse(one.dataset.ranks);
  const slider = one.querySelector("input");
  const move = () => one.style.setProperty("--at", slider.value + "%");
  slider.addEventListener("input", move);
  move(); // a reloaded page may remember where it was
}

const menu = (name) => document.getElementById(name);

function show() {
  let shown = 0;
  for (const one of cases) {
    one.hidden = ["bucket", "method"].some((name) => menu(name)?.value && menu(name).value !== one.dataset[name]);
    one.querySelector(".marked").hidden = !menu("holes").checked;
    shown += !one.hidden;
  }
  menu("count").textContent = `${shown} of ${cases.length} shown`;
}

function sort() {
  const rank = (one) => one.ranks[menu("order").value] ?? -Infinity;
  menu("cases").append(...cases.sort((a, b) => rank(b) - rank(a) || 0));
}

if (cases.length) {
  document.querySelector(".tools").addEventListener("submit", (event) => event.preventDefault());
  for (const name of ["bucket", "method", "holes"]) menu(name)?.addEventListener("change", show);
  menu("order").addEventListener("change", sort);
  sort();
  show();
}
