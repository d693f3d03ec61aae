/**
 * The price table as a bidder fills it in: the rules of procurement/rules/price_table.py with exact decimals. Both are
 * held to the same cases (tests/procurement/rules/price_tables.json).
 */
import { type Decimal, add, compare, multiply, parse, plain, round, zero } from "../lib/decimal";

export type Problem = "missing" | "not_a_number" | "not_positive" | "too_precise" | "too_large";

export interface Item {
  readonly item: number;
  readonly number: number;
  readonly quantity: string;
  readonly unit: string;
}

export interface Line {
  readonly item: number;
  /** As the content carries them; null where there is a problem. */
  readonly unitPrice: string | null;
  readonly amount: string | null;
  readonly problem: Problem | null;
}

export interface Table {
  readonly lines: readonly Line[];
  readonly total: string;
  readonly complete: boolean;
  /** Lines that are right each may add up to what is no price. */
  readonly tooLarge: boolean;
  /** Above the limit price, or, where one sells, below the reserve price. */
  readonly beyondLimit: boolean;
}

const UNIT_PRICE_PLACES = 4;
const LARGEST: Decimal = { units: 10n ** 15n, scale: 0 };

export function read(items: readonly Item[], typed: ReadonlyMap<number, string>, digits: number, limit: string | null, direction: "down" | "up" = "down"): Table {
  const lines = items.map((item) => line(item, typed.get(item.item) ?? "", digits));
  const total = lines.reduce((sum, { amount }) => (amount === null ? sum : add(sum, exact(amount))), zero);
  return {
    lines,
    total: plain(total, digits),
    complete: lines.every(({ problem }) => problem === null),
    tooLarge: compare(total, LARGEST) >= 0,
    beyondLimit: limit !== null && compare(total, exact(limit)) * (direction === "down" ? 1 : -1) > 0,
  };
}

function line({ item, quantity }: Item, typed: string, digits: number): Line {
  const refused = (problem: Problem): Line => ({ item, unitPrice: null, amount: null, problem });
  if (!typed.trim()) return refused("missing");
  const price = parse(typed);
  if (price === null) return refused("not_a_number");
  const amount = multiply(price, exact(quantity));
  // A line that rounds to nothing is a price of nothing.
  if (price.units <= 0n || compare(multiply(amount, { units: 2n, scale: 0 }), { units: 1n, scale: digits }) < 0) return refused("not_positive");
  if (compare(price, LARGEST) >= 0 || compare(amount, LARGEST) >= 0) return refused("too_large");
  if (significantPlaces(price) > UNIT_PRICE_PLACES) return refused("too_precise");
  return { item, unitPrice: plain(price), amount: plain(round(amount, digits)), problem: null };
}

function significantPlaces({ units, scale }: Decimal): number {
  let places = scale;
  for (let rest = units; places > 0 && rest % 10n === 0n; rest /= 10n) places -= 1;
  return places;
}

function exact(text: string): Decimal {
  const found = parse(text);
  if (found === null) throw new RangeError(`not a number: ${text}`);
  return found;
}
