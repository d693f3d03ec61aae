/**
 * What a committee holds: lots' keys from a seed, shares sealed to people, people's own keys under a passphrase. The platform's side of
 * the same is marketplace/signatures/committee.py.
 */
import { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256 } from "@hpke/core";
import { type Bytes, hex, joined, keyPairOf, newKeyPair, open as openX25519, seal as sealX25519 } from "../sealing/hpke";

export type Algorithm = "x25519" | "p256" | "rsa";

/** A public key that shares are sealed to; `key` as base64. */
export interface Recipient {
  readonly algorithm: Algorithm;
  readonly key: string;
}

/** Opens what is sealed to one person, for as long as the page lives. */
export interface Opener {
  open(sealed: Bytes, info: string): Promise<Bytes>;
}

/** A private key under a passphrase, as it is stored. */
export interface Wrapped {
  readonly kdf: string;
  readonly iterations: number;
  readonly salt: string;
  readonly iv: string;
  readonly ciphertext: string;
}

/** The sealed thing does not open with this key, or the passphrase is another one. */
export class DoesNotOpen extends Error {
  override readonly name = "DoesNotOpen";
}

export const SEED_SIZE = 32;
export const ITERATIONS = 600_000;
const KDF = "PBKDF2-SHA256";
const WRAP_CONTEXT = text("openlot-committee-key-1");
const p256 = new CipherSuite({ kem: new DhkemP256HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
const P256_POINT = 65;

export function text(words: string): Bytes {
  return new TextEncoder().encode(words) as Bytes;
}

export function base64(bytes: Uint8Array): string {
  return btoa([...bytes].map((byte) => String.fromCharCode(byte)).join(""));
}

export function bytesOf(encoded: string): Bytes {
  return Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
}

export async function sha256(bytes: Bytes): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

/** The lot's public key, base64: X25519 of HKDF-SHA256(seed, its id). */
export async function lotPublicKey(seed: Bytes, lot: number): Promise<string> {
  const secret = await crypto.subtle.importKey("raw", seed, "HKDF", false, ["deriveBits"]);
  const algorithm = { name: "HKDF", hash: "SHA-256", salt: text("openlot-lot-key-1"), info: text(String(lot)) };
  const privateKey = new Uint8Array(await crypto.subtle.deriveBits(algorithm, secret, 256));
  const { publicKey } = await keyPairOf(privateKey);
  privateKey.fill(0);
  return base64(publicKey);
}

export async function sealTo(to: Recipient, secret: Bytes, info: string): Promise<Bytes> {
  const key = bytesOf(to.key);
  if (to.algorithm === "x25519") return sealX25519(key, secret, text(info));
  if (to.algorithm === "rsa") {
    const rsa = await crypto.subtle.importKey("spki", key, { name: "RSA-OAEP", hash: "SHA-256" }, false, ["encrypt"]);
    return new Uint8Array(await crypto.subtle.encrypt({ name: "RSA-OAEP", label: text(info) }, rsa, secret));
  }
  const recipientPublicKey = await p256.kem.importKey("raw", key.slice().buffer, true);
  const sender = await p256.createSenderContext({ recipientPublicKey, info: text(info).buffer });
  const sealed = new Uint8Array(await sender.seal(secret.slice().buffer));
  return joined([new Uint8Array(sender.enc), sealed]);
}

/** Opens with a raw X25519 private key. */
export function openerOf(privateKey: Bytes): Opener {
  return { open: (sealed, info) => openX25519(privateKey, sealed, text(info)).catch(doesNotOpen) };
}

/** Opens with the key of a certificate, given as PKCS #8. */
export function openerOfCertificate(algorithm: Algorithm, pkcs8: ArrayBuffer): Opener {
  return {
    open: (sealed, info) => (algorithm === "rsa" ? openRsa(pkcs8, sealed, info) : openP256(pkcs8, sealed, info)).catch(doesNotOpen),
  };
}

async function openRsa(pkcs8: ArrayBuffer, sealed: Bytes, info: string): Promise<Bytes> {
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, { name: "RSA-OAEP", hash: "SHA-256" }, false, ["decrypt"]);
  return new Uint8Array(await crypto.subtle.decrypt({ name: "RSA-OAEP", label: text(info) }, key, sealed));
}

async function openP256(pkcs8: ArrayBuffer, sealed: Bytes, info: string): Promise<Bytes> {
  const curve = { name: "ECDH", namedCurve: "P-256" };
  const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, curve, true, ["deriveBits"]);
  const { d: _d, key_ops: _ops, ...half } = await crypto.subtle.exportKey("jwk", privateKey);
  const publicKey = await crypto.subtle.importKey("jwk", half, curve, true, []);
  const enc = sealed.slice(0, P256_POINT).buffer;
  const recipient = await p256.createRecipientContext({ recipientKey: { privateKey, publicKey }, enc, info: text(info).buffer });
  return new Uint8Array(await recipient.open(sealed.slice(P256_POINT).buffer));
}

function doesNotOpen(): never {
  throw new DoesNotOpen("it does not open with this key");
}

/** A new key of a person, and the same under a passphrase. */
export async function newCommitteeKey(passphrase: string): Promise<{ publicKey: Bytes; wrapped: Wrapped }> {
  const { publicKey, privateKey } = await newKeyPair();
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const key = await stretched(passphrase, salt, ITERATIONS, ["encrypt"]);
  const ciphertext = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: bound(publicKey) }, key, privateKey);
  privateKey.fill(0);
  const wrapped = { kdf: KDF, iterations: ITERATIONS, salt: base64(salt), iv: base64(iv), ciphertext: base64(new Uint8Array(ciphertext)) };
  return { publicKey, wrapped };
}

/** Throws DoesNotOpen for another passphrase. */
export async function unwrap(wrapped: Wrapped, publicKey: Bytes, passphrase: string): Promise<Opener> {
  if (wrapped.kdf !== KDF) throw new DoesNotOpen("it is stretched in an unknown way");
  const key = await stretched(passphrase, bytesOf(wrapped.salt), wrapped.iterations, ["decrypt"]);
  const algorithm = { name: "AES-GCM", iv: bytesOf(wrapped.iv), additionalData: bound(publicKey) };
  const privateKey = await crypto.subtle.decrypt(algorithm, key, bytesOf(wrapped.ciphertext)).catch(doesNotOpen);
  return openerOf(new Uint8Array(privateKey));
}

function bound(publicKey: Bytes): Bytes {
  return joined([WRAP_CONTEXT, publicKey]);
}

async function stretched(passphrase: string, salt: Bytes, iterations: number, uses: KeyUsage[]): Promise<CryptoKey> {
  const secret = await crypto.subtle.importKey("raw", text(passphrase.normalize("NFC")), "PBKDF2", false, ["deriveKey"]);
  return crypto.subtle.deriveKey({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, secret, { name: "AES-GCM", length: 256 }, false, uses);
}
