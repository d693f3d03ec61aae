/** What the page and its worker say to each other while a document is sealed and sent. */
import type { Bytes } from "./hpke";

export interface Order {
  readonly document: Blob;
  readonly publicKey: Bytes;
  readonly info: Bytes;
  readonly fileKey: Bytes;
  /** Where parts are put, and asked for. */
  readonly url: string;
  readonly csrf: string;
  readonly largestPart: number;
}

export type Report =
  | { readonly kind: "progress"; readonly sent: number; readonly size: number }
  | { readonly kind: "waiting"; readonly seconds: number }
  | { readonly kind: "sent"; readonly sealedSha256: string; readonly plainSha256: string }
  /** `why`: the server's own sentence, or one of "file" (it changed while it was read), "login", "damaged", "unknown". */
  | { readonly kind: "failed"; readonly why: "refused" | "file" | "login" | "damaged" | "unknown"; readonly sentence: string };
