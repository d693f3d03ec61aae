/**
 * Documents sealed in chunks (OLS1), so that a large one is never in memory as a whole. marketplace/signatures/sealing.py
 * describes the format and does the same.
 *
 * "OLS1" ‖ file key sealed by HPKE ‖ chunks of 1 MiB, each AES-256-GCM under the file key with the nonce
 * 7 zero bytes ‖ number (4 bytes, big-endian) ‖ 1 for the last chunk, else 0.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { type Bytes, KEY_SIZE, OVERHEAD, SealingError, hex, joined, open, seal } from "./hpke";

const CHUNK = 1024 * 1024;
/** Chunks read at once: each reading asks another process for the bytes. */
const READ = 8;
const TAG_SIZE = 16;
const MAGIC = new TextEncoder().encode("OLS1");
export const HEADER_SIZE = MAGIC.length + OVERHEAD + KEY_SIZE;

function chunksOf(size: number, chunk: number): number {
  return Math.max(1, Math.ceil(size / chunk));
}

/** Bytes of the sealed form of a document of `size` bytes. */
export function sealedSize(size: number): number {
  return HEADER_SIZE + size + chunksOf(size, CHUNK) * TAG_SIZE;
}

export function newFileKey(): Bytes {
  return crypto.getRandomValues(new Uint8Array(KEY_SIZE));
}

function nonce(number: number, last: boolean): Bytes {
  const bytes = new Uint8Array(12);
  new DataView(bytes.buffer).setUint32(7, number);
  bytes[11] = last ? 1 : 0;
  return bytes;
}

async function imported(key: Bytes, usage: KeyUsage): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", key, "AES-GCM", false, [usage]);
}

async function bytesOf(blob: Blob): Promise<Bytes> {
  return new Uint8Array(await blob.arrayBuffer());
}

/** A document and the key it is sealed under. */
export class Sealer {
  readonly size: number;
  private readonly chunks: number;

  private constructor(
    private readonly document: Blob,
    private readonly header: Bytes,
    private readonly key: CryptoKey,
  ) {
    this.size = sealedSize(document.size);
    this.chunks = chunksOf(document.size, CHUNK);
  }

  static async of(document: Blob, publicKey: Bytes, info: Bytes, fileKey: Bytes): Promise<Sealer> {
    const header = joined([MAGIC, await seal(publicKey, fileKey, info)]);
    return new Sealer(document, header, await imported(fileKey, "encrypt"));
  }

  /** Every chunk in order, as it is and sealed; the header stands before the first. */
  async *pieces(): AsyncGenerator<{ plain: Bytes; sealed: Bytes }> {
    for (let first = 0; first < this.chunks; first += READ) {
      const read = await bytesOf(this.document.slice(first * CHUNK, (first + READ) * CHUNK));
      const count = Math.min(READ, this.chunks - first);
      yield* await Promise.all(
        Array.from({ length: count }, (_, place) => this.piece(first + place, read.slice(place * CHUNK, (place + 1) * CHUNK))),
      );
    }
  }

  private async piece(number: number, plain: Bytes): Promise<{ plain: Bytes; sealed: Bytes }> {
    const iv = nonce(number, number === this.chunks - 1);
    const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, this.key, plain));
    return { plain, sealed: number ? sealed : joined([this.header, sealed]) };
  }
}

/** The document within `sealed`, chunk by chunk. Throws SealingError: what came until then is to be thrown away. */
export async function* openWith(privateKey: Bytes, sealed: Blob, info: Bytes): AsyncGenerator<Bytes> {
  yield* openWithFileKey(await open(privateKey, await sealedKey(sealed), info), sealed);
}

/** As `openWith`, for who kept the file key. */
export async function* openWithFileKey(fileKey: Bytes, sealed: Blob): AsyncGenerator<Bytes> {
  await sealedKey(sealed);
  const key = await imported(fileKey, "decrypt");
  const body = sealed.slice(HEADER_SIZE);
  const size = CHUNK + TAG_SIZE;
  const count = chunksOf(body.size, size);
  for (let number = 0; number < count; number += 1) {
    const chunk = await bytesOf(body.slice(number * size, (number + 1) * size));
    yield await openedChunk(key, chunk, number, number === count - 1);
  }
}

async function openedChunk(key: CryptoKey, chunk: Bytes, number: number, last: boolean): Promise<Bytes> {
  try {
    const plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv: nonce(number, last) }, key, chunk);
    if (plain.byteLength > 0 || number === 0) return new Uint8Array(plain);
  } catch {
    // Said below, the same for whatever was wrong.
  }
  throw new SealingError("the document does not open with this key");
}

async function sealedKey(sealed: Blob): Promise<Bytes> {
  const header = await bytesOf(sealed.slice(0, HEADER_SIZE));
  if (header.length !== HEADER_SIZE || MAGIC.some((byte, place) => header[place] !== byte)) {
    throw new SealingError("this is no sealed document");
  }
  return header.slice(MAGIC.length);
}

/** SHA-256 over what comes bit by bit. WebCrypto's wants the whole at once. */
export class Digest {
  private readonly state = sha256.create();

  add(bytes: Uint8Array): void {
    this.state.update(bytes);
  }

  hex(): string {
    return hex(this.state.digest());
  }
}
