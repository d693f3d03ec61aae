/**
 * The price table of a bid: sums as one types, and columns pasted from a spreadsheet. The server computes again; this only shows.
 *
 *   <table data-price-table data-digits="2" data-limit="94500.00">
 *     <tr data-quantity="12"> … <input data-unit-price> … <output data-line-total> …
 *     <output data-total>, [data-beyond-limit] shown when the total is above the limit, or below it on a table with data-direction="up", [data-pasted] says what was pasted
 */
import { add, compare, type Decimal, display, multiply, parse, round, zero } from "../lib/decimal";
import { all, closest, language, once } from "../lib/dom";
import { say } from "../lib/words";

export function priceTables(root: ParentNode): void {
  for (const table of all<HTMLTableElement>(root, "[data-price-table]")) {
    if (!once(table, "prices")) continue;
    table.addEventListener("input", () => totals(table));
    table.addEventListener("paste", (event) => paste(table, event));
    table.addEventListener("keydown", (event) => moveByKey(table, event));
    totals(table);
  }
}

function inputs(table: HTMLElement): HTMLInputElement[] {
  return all<HTMLInputElement>(table, "input[data-unit-price]");
}

function totals(table: HTMLElement): void {
  const digits = Number(table.dataset.digits ?? 2);
  let sum: Decimal | null = zero;
  for (const input of inputs(table)) {
    const row = input.closest<HTMLElement>("[data-quantity]");
    const text = input.value.trim();
    const price = parse(text);
    const wrong = text !== "" && (price === null || price.units < 0n);
    input.classList.toggle("is-invalid", wrong);
    input.setAttribute("aria-invalid", String(wrong));
    const quantity = parse(row?.dataset.quantity ?? "1");
    const line = price && quantity && !wrong ? round(multiply(price, quantity), digits) : null;
    const output = row?.querySelector("[data-line-total]");
    if (output) output.textContent = line ? display(line, digits, language) : wrong ? say("not a price") : "—";
    sum = sum && line ? add(sum, line) : text === "" && sum ? sum : wrong ? null : sum;
  }
  const limit = parse(table.dataset.limit ?? "");
  const sign = table.dataset.direction === "up" ? -1 : 1;
  const scope = table.closest("form") ?? document;
  for (const output of all(scope, "[data-total]")) output.textContent = sum ? display(sum, digits, language) : "—";
  for (const warning of all(scope, "[data-beyond-limit]")) warning.hidden = !(sum && limit && compare(sum, limit) * sign > 0);
}

/** The column of figures in pasted rows: the last one in which every filled cell can be read as a number. */
function figures(rows: string[][]): string[] {
  const width = Math.max(...rows.map((row) => row.length));
  for (let column = width - 1; column >= 0; column--) {
    const cells = rows.map((row) => (row[column] ?? "").trim());
    if (cells.some(Boolean) && cells.every((cell) => cell === "" || parse(bare(cell)))) return cells.map(bare);
  }
  return rows.map((row) => bare(row.at(-1) ?? ""));
}

/** Without the currency a spreadsheet writes beside a figure. */
function bare(cell: string): string {
  return cell.replace(/\p{Sc}|\b[A-Z]{3}\b/gu, "").trim();
}

function paste(table: HTMLElement, event: ClipboardEvent): void {
  const start = closest<HTMLInputElement>(event.target, "input[data-unit-price]");
  const text = event.clipboardData?.getData("text/plain") ?? "";
  if (!start || !/[\t\n]/.test(text.trim())) return;
  event.preventDefault();
  const rows = text.replace(/\r/g, "").replace(/\n+$/, "").split("\n").map((line) => line.split("\t"));
  const cells = inputs(table);
  const targets = cells.slice(cells.indexOf(start));
  const found = figures(rows);
  const count = Math.min(found.length, targets.length);
  for (let i = 0; i < count; i++) {
    const target = targets[i];
    if (target && !target.readOnly && !target.disabled) target.value = found[i] ?? "";
  }
  start.dispatchEvent(new Event("input", { bubbles: true }));
  const said = (table.closest("form") ?? document).querySelector("[data-pasted]");
  if (said) {
    said.textContent =
      found.length > targets.length
        ? say("{count} prices pasted; {more} rows more than the table has were left out.", { count, more: found.length - targets.length })
        : say("{count} prices pasted.", { count });
  }
}

/** Up and down go from price to price, as in a spreadsheet. */
function moveByKey(table: HTMLElement, event: KeyboardEvent): void {
  const input = closest<HTMLInputElement>(event.target, "input[data-unit-price]");
  const step = { ArrowDown: 1, ArrowUp: -1, Enter: 1 }[event.key];
  if (!input || !step) return;
  const cells = inputs(table);
  const next = cells[cells.indexOf(input) + step];
  if (!next && event.key === "Enter") return;
  event.preventDefault();
  next?.focus();
  next?.select();
}
