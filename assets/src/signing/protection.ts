/** How the parts of a key file are protected by its password (RFC 7292 and RFC 8018), and how one is opened. */
import * as asn1js from "asn1js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha1 } from "@noble/hashes/legacy.js";
import { sha224, sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import * as pkijs from "pkijs";
import type { OldCiphers } from "../forge";

export type LoadOldCiphers = () => Promise<OldCiphers>;

/** Protected in a way that this page cannot undo, whatever the password. */
export class UnknownProtection extends Error {}

type Bytes = Uint8Array<ArrayBuffer>;
type Hash = typeof sha256 | typeof sha1 | typeof sha512;

const PBES2 = "1.2.840.113549.1.5.13";
const PBKDF2 = "1.2.840.113549.1.5.12";
const TRIPLE_DES_CBC = "1.2.840.113549.3.7";
const AES_KEY_BITS: Record<string, number> = {
  "2.16.840.1.101.3.4.1.2": 128,
  "2.16.840.1.101.3.4.1.22": 192,
  "2.16.840.1.101.3.4.1.42": 256,
};
/** The hash functions of PBKDF2, by the name of the HMAC. */
const PRF: Record<string, string> = {
  "1.2.840.113549.2.7": "SHA-1",
  "1.2.840.113549.2.9": "SHA-256",
  "1.2.840.113549.2.10": "SHA-384",
  "1.2.840.113549.2.11": "SHA-512",
};
interface OldScheme {
  readonly cipher: "3des" | "rc2";
  readonly keyBytes: number;
}
/** RFC 7292, appendix C. RC4 is left out: no tool of this century writes it. */
const OLD_SCHEMES: Record<string, OldScheme> = {
  "1.2.840.113549.1.12.1.3": { cipher: "3des", keyBytes: 24 },
  "1.2.840.113549.1.12.1.4": { cipher: "3des", keyBytes: 16 },
  "1.2.840.113549.1.12.1.5": { cipher: "rc2", keyBytes: 16 },
  "1.2.840.113549.1.12.1.6": { cipher: "rc2", keyBytes: 5 },
};
const MAC_HASHES: Record<string, Hash> = {
  "1.3.14.3.2.26": sha1,
  "2.16.840.1.101.3.4.2.4": sha224,
  "2.16.840.1.101.3.4.2.1": sha256,
  "2.16.840.1.101.3.4.2.2": sha384,
  "2.16.840.1.101.3.4.2.3": sha512,
};
/** A file may ask for so many rounds that it would never open; tools write 2,000 to 600,000. */
const MAX_ROUNDS = 5_000_000;
const MAX_ROUNDS_HERE = 500_000; // where the page itself counts them, and stands still meanwhile

enum Purpose {
  Key = 1,
  Iv = 2,
  Mac = 3,
}

/** The spellings that one password may have been saved in: "é" is one character on one system and two on another. */
export function spellings(password: string): string[] {
  return [...new Set([password, password.normalize("NFC"), password.normalize("NFD")])];
}

/** Whether the file's check value was made with this password; null where the file has none, or one of another kind. */
export function macMatches(pfx: pkijs.PFX, content: ArrayBuffer, password: string): boolean | null {
  const mac = pfx.macData;
  const hash = mac && MAC_HASHES[mac.mac.digestAlgorithm.algorithmId];
  const rounds = mac?.iterations ?? 1;
  if (!mac || !hash || rounds > MAX_ROUNDS_HERE) return null;
  const expected = new Uint8Array(mac.mac.digest.getValue());
  const salt = new Uint8Array(mac.macSalt.getValue());
  return passwordBytes(password).some((encoded) => {
    const key = derive(hash, encoded, salt, Purpose.Mac, rounds, hash.outputLen);
    return same(hmac(hash, key, new Uint8Array(content)), expected);
  });
}

/** Undo the protection. Null or garbage means another password. Raises `UnknownProtection`. */
export async function decrypt(
  algorithm: pkijs.AlgorithmIdentifier,
  ciphertext: ArrayBuffer,
  password: string,
  loadOldCiphers: LoadOldCiphers,
): Promise<ArrayBuffer | null> {
  if (algorithm.algorithmId === PBES2) return decryptPbes2(algorithm, ciphertext, password, loadOldCiphers);
  const scheme = OLD_SCHEMES[algorithm.algorithmId];
  if (!scheme) throw new UnknownProtection(algorithm.algorithmId);
  const { salt, rounds } = oldParameters(algorithm);
  const ciphers = await loadOldCiphers();
  for (const encoded of passwordBytes(password)) {
    const key = derive(sha1, encoded, salt, Purpose.Key, rounds, scheme.keyBytes);
    const iv = derive(sha1, encoded, salt, Purpose.Iv, rounds, 8);
    const found = ciphers.decrypt(scheme.cipher, twoKeys(scheme, key), scheme.keyBytes * 8, iv, new Uint8Array(ciphertext));
    if (found) return found.buffer;
  }
  return null;
}

/** Two-key triple DES uses its first key again. */
function twoKeys(scheme: OldScheme, key: Bytes): Bytes {
  return scheme.cipher === "3des" && key.length === 16 ? join(key, key.subarray(0, 8)) : key;
}

function oldParameters(algorithm: pkijs.AlgorithmIdentifier): { salt: Bytes; rounds: number } {
  const parameters: unknown = algorithm.algorithmParams;
  if (!(parameters instanceof asn1js.Sequence)) throw new UnknownProtection("parameters");
  const [salt, rounds] = parameters.valueBlock.value;
  if (!(salt instanceof asn1js.OctetString) || !(rounds instanceof asn1js.Integer)) throw new UnknownProtection("parameters");
  const count = Number(rounds.toBigInt());
  if (count < 1 || count > MAX_ROUNDS_HERE) throw new UnknownProtection("rounds");
  return { salt: new Uint8Array(salt.getValue()), rounds: count };
}

async function decryptPbes2(
  algorithm: pkijs.AlgorithmIdentifier,
  ciphertext: ArrayBuffer,
  password: string,
  loadOldCiphers: LoadOldCiphers,
): Promise<ArrayBuffer | null> {
  const parameters = new pkijs.PBES2Params({ schema: algorithm.algorithmParams });
  const { algorithmId, algorithmParams } = parameters.encryptionScheme;
  const bits = algorithmId === TRIPLE_DES_CBC ? 192 : AES_KEY_BITS[algorithmId];
  if (!bits || !((algorithmParams as unknown) instanceof asn1js.OctetString)) throw new UnknownProtection(algorithmId);
  const iv = new Uint8Array((algorithmParams as asn1js.OctetString).getValue());
  const key = await pbkdf2(parameters.keyDerivationFunc, password, bits);
  if (algorithmId === TRIPLE_DES_CBC) {
    return (await loadOldCiphers()).decrypt("3des", key, bits, iv, new Uint8Array(ciphertext))?.buffer ?? null;
  }
  const aes = await crypto.subtle.importKey("raw", key, "AES-CBC", false, ["decrypt"]);
  return crypto.subtle.decrypt({ name: "AES-CBC", iv }, aes, ciphertext).catch(() => null); // the padding is wrong
}

async function pbkdf2(algorithm: pkijs.AlgorithmIdentifier, password: string, bits: number): Promise<Bytes> {
  if (algorithm.algorithmId !== PBKDF2) throw new UnknownProtection(algorithm.algorithmId);
  const { salt, iterationCount, prf } = new pkijs.PBKDF2Params({ schema: algorithm.algorithmParams });
  const hash = PRF[prf?.algorithmId ?? "1.2.840.113549.2.7"]; // RFC 8018: SHA-1 when it is not said
  if (!hash || !((salt as unknown) instanceof asn1js.OctetString) || iterationCount > MAX_ROUNDS) throw new UnknownProtection("PBKDF2");
  const secret = await crypto.subtle.importKey("raw", new TextEncoder().encode(password), "PBKDF2", false, ["deriveBits"]);
  const derived = { name: "PBKDF2", hash, salt: (salt as asn1js.OctetString).getValue(), iterations: iterationCount };
  return new Uint8Array(await crypto.subtle.deriveBits(derived, secret, bits));
}

/** In UTF-16 with a final zero; tools do not agree on whether an empty password has one. */
function passwordBytes(password: string): Bytes[] {
  const encoded = new Uint8Array(2 * password.length + 2);
  const view = new DataView(encoded.buffer);
  for (let place = 0; place < password.length; place++) view.setUint16(2 * place, password.charCodeAt(place));
  return password === "" ? [encoded, new Uint8Array()] : [encoded];
}

/** RFC 7292, appendix B.2. */
function derive(hash: Hash, password: Bytes, salt: Bytes, purpose: Purpose, rounds: number, length: number): Bytes {
  const block = hash.blockLen;
  const diversifier = new Uint8Array(block).fill(purpose);
  const input = join(repeated(salt, block), repeated(password, block));
  const found = new Uint8Array(length);
  for (let filled = 0; filled < length; filled += hash.outputLen) {
    let digest = hash(join(diversifier, input));
    for (let round = 1; round < rounds; round++) digest = hash(digest);
    found.set(digest.subarray(0, length - filled), filled);
    const step = repeated(digest, block).subarray(0, block);
    for (let start = 0; start < input.length; start += block) addWithOne(input.subarray(start, start + block), step);
  }
  return found;
}

/** `bytes` over and over up to the next whole number of blocks; nothing stays nothing. */
function repeated(bytes: Uint8Array, block: number): Bytes {
  const long = new Uint8Array(Math.ceil(bytes.length / block) * block);
  for (let place = 0; place < long.length; place++) long[place] = bytes[place % bytes.length] ?? 0;
  return long;
}

/** `target` := `target` + `step` + 1, as big-endian numbers, without the overflow. */
function addWithOne(target: Uint8Array, step: Uint8Array): void {
  let carry = 1;
  for (let place = target.length - 1; place >= 0; place--) {
    carry += (target[place] ?? 0) + (step[place] ?? 0);
    target[place] = carry & 0xff;
    carry >>= 8;
  }
}

function join(one: Uint8Array, other: Uint8Array): Bytes {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, place) => byte === other[place]);
}
