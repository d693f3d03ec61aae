/**
 * What the bidder has written, as the page of the bid knows it. For a lot whose key the platform holds the server keeps it
 * (the form saves itself); for one whose key the committee holds it stays in this browser, and can be carried to another
 * as a file.
 */
import { say } from "../lib/words";
import type { Document, Terms } from "./content";
import { forget, keep, recall } from "./store";

export interface LocalDraft {
  readonly format: "openlot-draft-1";
  readonly bid: number;
  readonly lot: number;
  readonly prices: Readonly<Record<string, string>>;
  readonly remarks: string;
  /** By the question's name; a draft of before there were questions has none. */
  readonly answers?: Readonly<Record<string, string>>;
  readonly documents: readonly Document[];
  readonly saved_at: string;
}

const place = ({ bid }: { readonly bid: number }): string => `draft:${bid}`;

/** The bid is opened, or its draft was thrown away. */
export function erase(bid: number): Promise<void> {
  return forget(place({ bid }));
}

export async function load(terms: Terms): Promise<LocalDraft | null> {
  return checked(await recall<unknown>(place(terms)), terms);
}

export async function save(terms: Terms, prices: ReadonlyMap<number, string>, remarks: string, documents: readonly Document[], answers: ReadonlyMap<string, string> = new Map()): Promise<LocalDraft> {
  const draft: LocalDraft = {
    format: "openlot-draft-1",
    bid: terms.bid,
    lot: terms.lot,
    prices: Object.fromEntries(prices),
    remarks,
    answers: Object.fromEntries(answers),
    documents,
    saved_at: new Date().toISOString(),
  };
  await keep(place(terms), draft);
  return draft;
}

export function asFile(draft: LocalDraft): Blob {
  return new Blob([JSON.stringify(draft, null, 2)], { type: "application/json" });
}

/** The draft in a file that `asFile` wrote. Throws with the sentence for the person. */
export async function fromFile(file: File, terms: Terms): Promise<LocalDraft> {
  let found: unknown = null;
  try {
    found = file.size < 4 * 1024 * 1024 ? JSON.parse(await file.text()) : null;
  } catch {
    // said below
  }
  const draft = checked(found, terms);
  if (draft) return draft;
  const other = (found as { format?: unknown } | null)?.format === "openlot-draft-1";
  throw new Error(other ? say("This draft belongs to another bid.") : say("This is not a draft of a bid that was saved here."));
}

function checked(found: unknown, terms: Terms): LocalDraft | null {
  const draft = found as Partial<LocalDraft> | null;
  if (draft?.format !== "openlot-draft-1" || draft.bid !== terms.bid || draft.lot !== terms.lot) return null;
  const texts = typeof draft.remarks === "string" && [draft.prices, draft.answers].every((typed) => Object.values(typed ?? {}).every((text) => typeof text === "string"));
  const documents = draft.documents ?? [];
  const described = Array.isArray(documents) && documents.every((d) => Number.isInteger(d.id) && [d.name, d.media_type, d.sha256, d.key].every((text) => typeof text === "string"));
  return texts && described ? (draft as LocalDraft) : null;
}
