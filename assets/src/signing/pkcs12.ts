/** Reads a .p12/.pfx file: its keys with their certificates. Nothing of it leaves the page. */
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";
import { say } from "../lib/words";
import { pairs, type SigningKey } from "./keys";
import { decrypt, type LoadOldCiphers, macMatches, spellings, UnknownProtection } from "./protection";
import { Refusal } from "./refusal";

export interface Contents {
  readonly keys: ArrayBuffer[]; // PKCS #8
  readonly certificates: pkijs.Certificate[];
}

type Undo = (algorithm: pkijs.AlgorithmIdentifier, ciphertext: ArrayBuffer) => Promise<ArrayBuffer>;

/** What was decrypted is no content: the password is another one, or the file is damaged. */
class Unreadable extends Error {}

const ASCII = /^[\x20-\x7e]*$/;
const MAX_DEPTH = 4;
const MAX_FILE_BYTES = 256 * 1024;

/** The file's bytes; a file too large to be one is not read at all. */
export async function bytesOf(file: Blob): Promise<ArrayBuffer> {
  if (file.size > MAX_FILE_BYTES) throw new Refusal("file", say("This file is too large to be a key file (.p12 or .pfx)."));
  return file.arrayBuffer().catch(() => {
    throw new Refusal("file", say("The file cannot be read. Choose it again."));
  });
}

/** The keys that can sign here, at least one. Raises `Refusal`. */
export async function readKeyFile(bytes: ArrayBuffer, password: string, loadOldCiphers: LoadOldCiphers): Promise<SigningKey[]> {
  const contents = await openKeyFile(bytes, password, loadOldCiphers);
  return pairs(contents.keys, contents.certificates);
}

/** The file's keys, at least one, and certificates as they are. Raises `Refusal`. */
export async function openKeyFile(bytes: ArrayBuffer, password: string, loadOldCiphers: LoadOldCiphers): Promise<Contents> {
  const pfx = parse(bytes);
  const content = contentOf(pfx);
  const contents = await open(pfx, content, password, loadOldCiphers);
  if (contents.keys.length === 0) {
    throw new Refusal("file", say("There is no private key in this file. Export the certificate together with its private key."));
  }
  return contents;
}

function parse(bytes: ArrayBuffer): pkijs.PFX {
  if (new TextDecoder().decode(bytes.slice(0, 64)).includes("-----BEGIN")) {
    throw new Refusal("file", say("This is a PEM file. Make a .p12 of the key and its certificate: openssl pkcs12 -export -inkey KEY.pem -in CERT.pem -out ME.p12"));
  }
  try {
    return pkijs.PFX.fromBER(bytes);
  } catch {
    throw isCertificate(bytes) ? certificateOnly() : notAKeyFile();
  }
}

function isCertificate(bytes: ArrayBuffer): boolean {
  try {
    return Boolean(pkijs.Certificate.fromBER(bytes));
  } catch {
    return false;
  }
}

function certificateOnly(): Refusal {
  return new Refusal("file", say("This is a certificate without its private key. Choose the .p12 or .pfx file that holds both."));
}

function notAKeyFile(): Refusal {
  return new Refusal("file", say("This is not a key file, or it is damaged. Choose the .p12 or .pfx file that your certification authority gave you."));
}

function contentOf(pfx: pkijs.PFX): ArrayBuffer {
  const content: unknown = pfx.authSafe.content;
  if (!(content instanceof asn1js.OctetString)) throw notAKeyFile(); // protected by a certificate instead of a password
  return content.getValue();
}

async function open(pfx: pkijs.PFX, content: ArrayBuffer, password: string, loadOldCiphers: LoadOldCiphers): Promise<Contents> {
  let isOpened = false;
  for (const spelling of spellings(password)) {
    const matches = macMatches(pfx, content, spelling);
    // Some tools make the check value of a password with other characters than ASCII in a way of their own.
    if (matches === false && ASCII.test(spelling)) continue;
    isOpened ||= matches === true;
    try {
      return await readContents(content, (algorithm, ciphertext) => undo(algorithm, ciphertext, spelling, loadOldCiphers));
    } catch (problem) {
      if (problem instanceof UnknownProtection) {
        throw new Refusal("file", say("This file is protected in a way that a browser cannot undo. Export it again with AES-256, or sign elsewhere and upload the signature."));
      }
      if (!(problem instanceof Unreadable)) throw problem;
    }
  }
  throw isOpened ? notAKeyFile() : wrongPassword(password);
}

function wrongPassword(password: string): Refusal {
  return new Refusal(
    "password",
    password === "" ? say("Enter the password of the key file.") : say("Wrong password. It is the one chosen when the key file was made."),
  );
}

async function undo(algorithm: pkijs.AlgorithmIdentifier, ciphertext: ArrayBuffer, password: string, loadOldCiphers: LoadOldCiphers): Promise<ArrayBuffer> {
  const found = await decrypt(algorithm, ciphertext, password, loadOldCiphers);
  if (found === null) throw new Unreadable();
  return found;
}

/** A wrong password may by chance leave bytes with the right padding; they make no structure then. */
function read<T>(parse: () => T): T {
  try {
    return parse();
  } catch {
    throw new Unreadable();
  }
}

async function readContents(content: ArrayBuffer, undo: Undo): Promise<Contents> {
  const found: Contents = { keys: [], certificates: [] };
  for (const part of read(() => pkijs.AuthenticatedSafe.fromBER(content)).safeContents) {
    const bags = await bagsOf(part, undo);
    if (bags) await readBags(bags, undo, found, MAX_DEPTH);
  }
  return found;
}

async function bagsOf(part: pkijs.ContentInfo, undo: Undo): Promise<pkijs.SafeContents | null> {
  if (part.contentType === pkijs.ContentInfo.ENCRYPTED_DATA) {
    const { encryptedContentInfo } = read(() => new pkijs.EncryptedData({ schema: part.content }));
    const ciphertext = read(() => encryptedContentInfo.getEncryptedContent());
    const plain = await undo(encryptedContentInfo.contentEncryptionAlgorithm, ciphertext);
    return read(() => pkijs.SafeContents.fromBER(plain));
  }
  const inside: unknown = part.content;
  if (part.contentType !== pkijs.ContentInfo.DATA || !(inside instanceof asn1js.OctetString)) return null;
  return read(() => pkijs.SafeContents.fromBER(inside.getValue()));
}

async function readBags(bags: pkijs.SafeContents, undo: Undo, found: Contents, depth: number): Promise<void> {
  for (const { bagValue } of bags.safeBags as { bagValue: unknown }[]) {
    if (bagValue instanceof pkijs.PKCS8ShroudedKeyBag) {
      const plain = await undo(bagValue.encryptionAlgorithm, bagValue.encryptedData.getValue());
      found.keys.push(read(() => pkijs.PrivateKeyInfo.fromBER(plain).toSchema().toBER(false)));
    } else if (bagValue instanceof pkijs.PrivateKeyInfo) {
      found.keys.push(bagValue.toSchema().toBER(false));
    } else if (bagValue instanceof pkijs.CertBag) {
      const certificate = certificateOf(bagValue);
      if (certificate) found.certificates.push(certificate);
    } else if (bagValue instanceof pkijs.SafeContents && depth > 0) {
      await readBags(bagValue, undo, found, depth - 1);
    }
  }
}

/** Null for a certificate of another kind than X.509. */
function certificateOf(bag: pkijs.CertBag): pkijs.Certificate | null {
  if (bag.parsedValue instanceof pkijs.Certificate) return bag.parsedValue;
  const value: unknown = bag.certValue;
  return value instanceof asn1js.OctetString ? read(() => pkijs.Certificate.fromBER(value.getValue())) : null;
}
