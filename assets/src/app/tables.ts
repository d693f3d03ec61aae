/** Tables: arrow keys from row to row, and the choice of columns, remembered in this browser. */
import { all, closest, once } from "../lib/dom";

export function rowKeys(): void {
  document.addEventListener("keydown", (event) => {
    const link = closest<HTMLAnchorElement>(event.target, ".data-table tbody a");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!link || !step) return;
    const links = all(link.closest("tbody") ?? document, "tr").map((row) => row.querySelector<HTMLElement>("a"));
    const here = links.indexOf(link.closest("tr")?.querySelector("a") ?? null);
    const next = links[here + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}

/** <details data-columns="table-id"> is filled with one box per column of the table that has a data-column name. */
export function columnChoices(root: ParentNode): void {
  for (const menu of all(root, "[data-columns]")) {
    const table = document.getElementById(menu.dataset.columns ?? "");
    const panel = menu.querySelector(".menu-panel, [data-columns-panel]");
    if (!(table instanceof HTMLTableElement) || !panel || !once(menu, "columns")) continue;
    const key = `openlot.columns:${table.id}`;
    const hidden = new Set<string>(JSON.parse(localStorage.getItem(key) ?? "[]") as string[]);
    const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
    const apply = (): void => {
      heads.forEach((head, index) => {
        const hide = hidden.has(head.dataset.column ?? "");
        for (const row of table.rows) {
          const cell = row.cells[index];
          if (cell && cell.colSpan === 1) cell.hidden = hide;
        }
      });
    };
    for (const head of heads) {
      const name = head.dataset.column;
      if (!name) continue;
      const label = document.createElement("label");
      label.className = "form-check menu-check";
      const box = document.createElement("input");
      box.type = "checkbox";
      box.className = "form-check-input";
      box.checked = !hidden.has(name);
      box.addEventListener("change", () => {
        if (box.checked) hidden.delete(name);
        else hidden.add(name);
        localStorage.setItem(key, JSON.stringify([...hidden]));
        apply();
      });
      label.append(box, head.textContent?.trim() ?? name);
      panel.append(label);
    }
    apply();
  }
}

/** A table that fits its frame need not scroll in it: its head can then stick to the top bar while the page scrolls. */
const fitting = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const frame = target.closest<HTMLElement>(".table-scroll");
    const table = frame?.querySelector("table");
    if (!frame || !table || frame.classList.contains("table-tall")) continue;
    const fits = table.scrollWidth <= frame.clientWidth + 1;
    frame.classList.toggle("fits", fits);
    if (fits) frame.removeAttribute("tabindex");
    else frame.tabIndex = 0;
  }
});

export function stickyHeads(root: ParentNode): void {
  for (const frame of all(root, ".table-scroll")) if (once(frame, "fits")) fitting.observe(frame);
}
