/** What the buyer saves as it happens: the best price beside the limit price. */
import { compare, type Decimal, parse, subtract } from "../lib/decimal";
import { language } from "../lib/dom";
import { say } from "../lib/words";
import type { Desk } from "./desk";

export class Savings {
  constructor(private readonly desk: Desk) {}

  show(price: string | null): void {
    const { start_price, direction, status } = this.desk.state();
    const limit = start_price ?? this.desk.page.dataset.limit;
    const [from, to] = [limit ? parse(limit) : null, price ? parse(price) : null];
    if (!from || !to || status === "cancelled") {
      this.desk.write("savings", "—");
      this.desk.write("savings-words", "");
      this.desk.page.classList.remove("has-savings");
      return;
    }
    const saved = direction === "down" ? subtract(from, to) : subtract(to, from);
    this.desk.write("savings", this.desk.amount(saved));
    this.desk.write("savings-words", direction === "down" ? say("{share} below the limit price", { share: share(saved, from) }) : say("{share} above the reserve price", { share: share(saved, from) }));
    this.desk.page.classList.toggle("has-savings", compare(saved, { units: 0n, scale: 0 }) > 0);
  }
}

/** For show only: exact amounts stand beside it. */
function share(part: Decimal, whole: Decimal): string {
  const number = (value: Decimal): number => Number(value.units) / 10 ** value.scale;
  return new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(number(part) / number(whole));
}
