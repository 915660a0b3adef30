// Sorts and filters the table of companies. Without it the table is there all the same, the worst first.
"use strict";

const table = document.getElementById("companies");
if (table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const filter = document.getElementById("filter");
  const shown = document.getElementById("shown");

  const sort = (heads, column) => {
    const ascending = heads[column].getAttribute("aria-sort") !== "ascending";
    const of = (row) => row.cells[column].dataset.value;
    // Companies about which a metric says nothing stay below, whichever way it is sorted.
    rows.sort((a, b) => (of(a) === "") - (of(b) === "") || (ascending ? of(a) - of(b) : of(b) - of(a)));
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
    body.append(...rows);
  };

  const show = () => {
    const { company, state } = filter.elements;
    let count = 0;
    for (const row of rows) {
      const found = row.cells[0].textContent.includes(company.value.trim()) && ["", row.dataset.state].includes(state.value);
      row.hidden = !found;
      count += found;
    }
    shown.value = count === 1 ? "1 company" : `${count} companies`;
  };

  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(heads, column));
    head.replaceChildren(button);
  });
  filter.addEventListener("input", show);
  filter.addEventListener("submit", (event) => event.preventDefault());
  filter.hidden = false;
}
