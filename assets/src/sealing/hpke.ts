/**
 * HPKE (RFC 9180) with X25519, HKDF-SHA256 and AES-256-GCM, one message each: encapsulated key ‖ ciphertext ‖ tag.
 * marketplace/signatures/sealing.py does the same; what either seals the other opens.
 */
import { Aes256Gcm, CipherSuite, HkdfSha256 } from "@hpke/core";
import { DhkemX25519HkdfSha256 } from "@hpke/dhkem-x25519";

export type Bytes = Uint8Array<ArrayBuffer>;

export const KEY_SIZE = 32;
/** Bytes a sealed text is longer than the plain one. */
export const OVERHEAD = 32 + 16;

/** The content cannot be sealed or opened. It never says which part was wrong. */
export class SealingError extends Error {
  override readonly name = "SealingError";
}

class Kem extends DhkemX25519HkdfSha256 {
  publicKeyOf(privateKey: CryptoKey): Promise<CryptoKey> {
    return this._prim.derivePublicKey(privateKey);
  }
}

// Plain JavaScript for the curve: not every browser we serve has X25519 in WebCrypto. AES and HKDF are WebCrypto's.
const kem = new Kem();
const suite = new CipherSuite({ kem, kdf: new HkdfSha256(), aead: new Aes256Gcm() });

/** `plaintext` encrypted to the raw X25519 key `publicKey`. `info` says what it belongs to: elsewhere it does not open. */
export async function seal(publicKey: Bytes, plaintext: Bytes, info: Bytes): Promise<Bytes> {
  try {
    const recipientPublicKey = await kem.importKey("raw", publicKey.slice().buffer, true);
    const sender = await suite.createSenderContext({ recipientPublicKey, info: info.slice().buffer });
    const sealed = new Uint8Array(await sender.seal(plaintext.slice().buffer));
    return joined([new Uint8Array(sender.enc), sealed]);
  } catch {
    throw new SealingError("the public key is not an X25519 key");
  }
}

/** The plaintext. Throws SealingError for another key, other `info` or a changed envelope. */
export async function open(privateKey: Bytes, sealed: Bytes, info: Bytes): Promise<Bytes> {
  try {
    const recipientKey = await kem.importKey("raw", privateKey.slice().buffer, false);
    const enc = sealed.slice(0, KEY_SIZE).buffer;
    const recipient = await suite.createRecipientContext({ recipientKey, enc, info: info.slice().buffer });
    return new Uint8Array(await recipient.open(sealed.slice(KEY_SIZE).buffer));
  } catch {
    throw new SealingError("the envelope does not open with this key");
  }
}

export interface KeyPair {
  readonly publicKey: Bytes;
  readonly privateKey: Bytes;
}

export async function newKeyPair(): Promise<KeyPair> {
  return keyPairOf(crypto.getRandomValues(new Uint8Array(KEY_SIZE)));
}

/** The public key that belongs to 32 raw bytes of private key. */
export async function keyPairOf(privateKey: Bytes): Promise<KeyPair> {
  const key = await kem.importKey("raw", privateKey.slice().buffer, false);
  return { publicKey: new Uint8Array(await kem.serializePublicKey(await kem.publicKeyOf(key))), privateKey };
}

export function joined(parts: readonly Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}

export function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function unhex(text: string): Bytes {
  if (!/^([0-9a-f]{2})*$/i.test(text)) throw new SealingError("this is no hexadecimal text");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
