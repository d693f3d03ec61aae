/** What is inside a sealed bid: its canonical form and padding, as procurement/services/bid_content.py reads it. */
import { canonical } from "./canonical";
import type { Answers, Criteria } from "./criteria";
import { type Bytes, joined } from "./hpke";
import type { Item, Table } from "./table";

/** What a page or program needs to seal a bid: bid_content.terms on the server. */
export interface Terms {
  readonly format: string;
  readonly platform: string;
  readonly bid: number;
  readonly lot: number;
  readonly version: number;
  readonly tender_version: number;
  readonly currency: string;
  readonly digits: number;
  readonly block: number;
  readonly items: readonly Item[];
  readonly limit: string | null;
  readonly direction: "down" | "up";
  /** What counts besides the price; then the content holds answers, and is of another format. */
  readonly criteria: Criteria | null;
  readonly public_key: string;
  readonly custody: "platform" | "committee";
}

/** A document of the bid. `sha256` is of the plain bytes, `key` the hexadecimal key it is sealed under. */
export interface Document {
  readonly id: number;
  readonly name: string;
  readonly media_type: string;
  readonly size: number;
  readonly sha256: string;
  readonly key: string;
  /** Of the ciphertext, where this browser sealed it. */
  readonly sealed_sha256?: string;
}

export function infoOf(terms: Pick<Terms, "platform" | "lot" | "bid">, part: string): Bytes {
  return canonical({ platform: terms.platform, lot: terms.lot, bid: terms.bid, part });
}

/** The canonical JSON of a complete table, padded with spaces to whole blocks. */
export function contentOf(terms: Terms, table: Table, remarks: string, documents: readonly Document[], answers: Answers | null = null): Bytes {
  const lines = table.lines.map(({ item, unitPrice, amount }, place) => {
    const { number, quantity, unit } = terms.items[place] ?? { number: 0, quantity: "", unit: "" };
    return { item, number, quantity, unit, unit_price: unitPrice, amount };
  });
  const files = documents.map(({ id, name, media_type, size, sha256 }) => ({ file: id, name, media_type, size, sha256 }));
  const plain = canonical({
    format: terms.format,
    lot: terms.lot,
    bid: terms.bid,
    version: terms.version,
    currency: terms.currency,
    lines,
    total: table.total,
    remarks,
    files,
    ...(answers ? { answers: answers.given.map(({ question, plain: answer }) => ({ question: question.name, answer })) } : {}),
  });
  const padding = (terms.block - (plain.length % terms.block)) % terms.block;
  return joined([plain, new Uint8Array(padding).fill(0x20)]);
}
