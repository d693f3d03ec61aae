/** Canonical JSON (RFC 8785) of strings, whole numbers, booleans, null, lists and objects, as marketplace/signatures/payload.py writes it. */
import type { Bytes } from "./hpke";

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

export function canonical(value: Json): Bytes {
  return new TextEncoder().encode(written(value));
}

function written(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(written).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    // Names in the order of their UTF-16 code units, which is how JavaScript compares strings.
    const members = Object.entries(value as Record<string, Json>).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${written(member)}`).join(",")}}`;
  }
  if (typeof value === "number" && !Number.isSafeInteger(value)) throw new RangeError("an amount is a string here");
  return JSON.stringify(typeof value === "string" ? value.replace(/\p{Surrogate}/gu, "\ufffd") : value);
}
