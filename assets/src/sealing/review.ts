/** Sealing a bid as it stands, and what the page where it is signed needs to know of it. */
import { base64, call, unbase64 } from "./api";
import { type Document, type Terms, contentOf, infoOf } from "./content";
import type { Answers } from "./criteria";
import { hex, seal } from "./hpke";
import { keep, recall } from "./store";
import type { Table } from "./table";

/** What was sealed for one signature, in words: kept in this browser until it is signed. */
export interface Sealed {
  readonly lines: readonly { readonly item: number; readonly unit_price: string; readonly amount: string }[];
  readonly total: string;
  readonly answers: readonly { readonly question: string; readonly answer: string }[];
  /** What the total counts as, with the arithmetic; empty where the price alone counts. */
  readonly counts: string;
  readonly remarks: string;
  readonly documents: readonly { readonly name: string; readonly size: number }[];
  readonly content: { readonly size: number; readonly sha256: string };
  /** SHA-256 of the ciphertext is empty for a document that another browser sealed. */
  readonly files: readonly { readonly id: number; readonly sha256: string }[];
}

interface Prepared {
  readonly nonce: string;
}

/** Seal the content, hand the ciphertext over, and remember what it said. The nonce of what is to be signed. */
export async function sealAndPrepare(terms: Terms, table: Table, remarks: string, documents: readonly Document[], answers: Answers | null, url: string): Promise<string> {
  const plain = contentOf(terms, table, remarks, documents, answers);
  const ciphertext = await seal(unbase64(terms.public_key), plain, infoOf(terms, "content"));
  const { nonce } = await call<Prepared>("POST", url, {
    content: base64(ciphertext),
    documents: documents.map(({ id }) => id),
    version: terms.version,
    tender_version: terms.tender_version,
  });
  await keep(`sealed:${nonce}`, {
    lines: table.lines.map(({ item, unitPrice, amount }) => ({ item, unit_price: unitPrice ?? "", amount: amount ?? "" })),
    total: table.total,
    answers: (answers?.given ?? []).map(({ question, plain: answer }) => ({ question: question.name, answer: answer ?? "" })),
    counts: answers?.arithmetic(table.total) ?? "",
    remarks,
    documents: documents.map(({ name, size }) => ({ name, size })),
    content: { size: ciphertext.length, sha256: hex(new Uint8Array(await crypto.subtle.digest("SHA-256", ciphertext))) },
    files: documents.map(({ id, sealed_sha256 = "" }) => ({ id, sha256: sealed_sha256 })),
  } satisfies Sealed);
  return nonce;
}

export function sealedFor(nonce: string): Promise<Sealed | null> {
  return recall<Sealed>(`sealed:${nonce}`);
}

/** Whether the payload to be signed names what was sealed here: the same ciphertext and the same documents. */
export function names(payload: string, sealed: Sealed): boolean {
  const { content } = JSON.parse(payload) as { content: { content: { size: number; sha256: string }; files: { file: number; sha256: string }[] } };
  const same = content.content.size === sealed.content.size && content.content.sha256 === sealed.content.sha256;
  const known = new Map(sealed.files.map(({ id, sha256 }) => [id, sha256]));
  const named = content.files.every(({ file, sha256 }) => known.has(file) && (known.get(file) || sha256) === sha256);
  return same && named && content.files.length === known.size;
}
