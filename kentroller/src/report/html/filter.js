// A field above each table that may be long: rows without its words are left out. Without scripts the tables are whole.
for (const table of document.querySelectorAll("table[data-filter]")) {
  const rows = [...table.tBodies[0].rows].map((row) => [row, row.textContent.toLowerCase()]);
  const label = document.createElement("label");
  const field = document.createElement("input");
  const told = document.createElement("output");
  field.type = "search";
  label.className = "filter";
  label.append("Show rows with ", field, " ", told);
  table.parentElement.before(label);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    told.textContent = `${shown} of ${rows.length}`;
  });
}
