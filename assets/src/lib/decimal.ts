/**
 * Exact decimals: a price never passes through a binary fraction. The reading rules are those of marketplace/shared/money.py.
 */
export interface Decimal {
  /** The value is units × 10^-scale. */
  readonly units: bigint;
  readonly scale: number;
}

const DIGIT_ZEROS = [0x0660, 0x06f0, 0x0966, 0x09e6, 0x0e50, 0x0ed0, 0x1040, 0x17e0, 0xff10];

function westernDigits(text: string): string {
  return [...text]
    .map((character) => {
      const code = character.codePointAt(0) ?? 0;
      const zero = DIGIT_ZEROS.find((start) => code >= start && code <= start + 9);
      return zero === undefined ? character : String(code - zero);
    })
    .join("");
}

function ungrouped(text: string, group: string, point: string): string | null {
  const [whole = "", fraction = "", ...more] = text.split(point);
  const [head = "", ...groups] = whole.replace(/^[-+]/, "").split(group);
  const wrong = more.length > 0 || head.length < 1 || head.length > 3 || groups.some((part) => part.length !== 3);
  if (wrong || fraction.includes(group)) return null;
  return whole.split(group).join("") + (fraction ? `.${fraction}` : "");
}

/** The exact decimal in `text`, or null where it can be read in two ways or not at all. */
export function parse(text: string): Decimal | null {
  let plain: string | null = westernDigits(text.trim())
    .replace(/\u066b/g, ".")
    .replace(/\u066c/g, ",")
    .replace(/\u2212/g, "-")
    .replace(/[\s'\u2019\u200e\u200f\u061c]/g, "");
  const commas = plain.split(",").length - 1;
  const points = plain.split(".").length - 1;
  if (commas && points) {
    plain = plain.lastIndexOf(".") > plain.lastIndexOf(",") ? ungrouped(plain, ",", ".") : ungrouped(plain, ".", ",");
  } else if (commas) {
    const tail = plain.slice(plain.lastIndexOf(",") + 1);
    plain = commas === 1 && tail.length <= 2 ? plain.replace(",", ".") : ungrouped(plain, ",", ".");
  } else if (points > 1) {
    plain = ungrouped(plain, ".", ",");
  }
  const match = plain === null ? null : /^([-+]?)(\d*)(?:\.(\d*))?$/.exec(plain);
  if (!match || !(match[2] || match[3])) return null;
  const fraction = match[3] ?? "";
  const units = BigInt(`${match[2]}${fraction}`);
  return { units: match[1] === "-" ? -units : units, scale: fraction.length };
}

function at(value: Decimal, scale: number): bigint {
  return value.units * 10n ** BigInt(scale - value.scale);
}

export const zero: Decimal = { units: 0n, scale: 0 };

export function add(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  return { units: at(a, scale) + at(b, scale), scale };
}

export function subtract(a: Decimal, b: Decimal): Decimal {
  return add(a, { units: -b.units, scale: b.scale });
}

export function multiply(a: Decimal, b: Decimal): Decimal {
  return { units: a.units * b.units, scale: a.scale + b.scale };
}

/** Negative, zero or positive as `a` is below, equal to or above `b`. */
export function compare(a: Decimal, b: Decimal): number {
  const scale = Math.max(a.scale, b.scale);
  const difference = at(a, scale) - at(b, scale);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** Rounded half up (away from zero) to `digits` decimal places. */
export function round(value: Decimal, digits: number): Decimal {
  if (value.scale <= digits) return { units: at(value, digits), scale: digits };
  const divisor = 10n ** BigInt(value.scale - digits);
  const size = value.units < 0n ? -value.units : value.units;
  const units = (size + divisor / 2n) / divisor;
  return { units: value.units < 0n ? -units : units, scale: digits };
}

/** As the server reads it: a point, no grouping, at least `digits` decimal places. */
export function plain(value: Decimal, digits = 0): string {
  const scale = Math.max(value.scale, digits);
  const units = at(value, scale);
  const size = (units < 0n ? -units : units).toString().padStart(scale + 1, "0");
  const whole = size.slice(0, size.length - scale);
  const fraction = scale ? `.${size.slice(size.length - scale)}` : "";
  return `${units < 0n ? "-" : ""}${whole}${fraction}`;
}

/** How a language writes numbers. To find out takes much longer than to write one. */
interface Writing {
  readonly whole: Intl.NumberFormat;
  readonly point: string;
  readonly digits: readonly string[];
}

const writings = new Map<string, Writing>();

function writing(language: string): Writing {
  const known = writings.get(language);
  if (known) return known;
  const whole = new Intl.NumberFormat(language);
  const parts = new Intl.NumberFormat(language, { minimumFractionDigits: 1 }).formatToParts(1.1);
  const point = parts.find((part) => part.type === "decimal")?.value ?? ".";
  const found = { whole, point, digits: Array.from({ length: 10 }, (_, digit) => whole.format(digit)) };
  writings.set(language, found);
  return found;
}

/** For reading: grouped as the language does, at least `digits` decimal places. */
export function display(value: Decimal, digits: number, language: string): string {
  const text = plain(value, digits);
  const [whole = "0", fraction = ""] = text.replace("-", "").split(".");
  const { whole: format, point, digits: local } = writing(language);
  const localFraction = [...fraction].map((digit) => local[Number(digit)]).join("");
  return `${value.units < 0n ? "−" : ""}${format.format(BigInt(whole))}${localFraction ? point + localFraction : ""}`;
}
