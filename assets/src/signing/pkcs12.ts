/** Reads a .p12/.pfx file: its keys with their certificates. Nothing of it leaves the page. */
import * as asn1js from "asn1js";
import type forgeType from "node-forge";
import * as pkijs from "pkijs";
import { say } from "../lib/words";
import { Refusal } from "./refusal";

type Forge = typeof forgeType;

/** One key of the file. The key itself can be used for signing and cannot be read out again. */
export interface SigningKey {
  readonly key: CryptoKey;
  readonly certificate: pkijs.Certificate;
  /** The file's other certificates, without self-signed ones. */
  readonly chain: readonly pkijs.Certificate[];
}

interface Contents {
  readonly keys: ArrayBuffer[]; // PKCS #8
  readonly certificates: pkijs.Certificate[];
}

const PKCS12_PBE = "1.2.840.113549.1.12.1."; // RC2, RC4 and triple DES: WebCrypto has none of them
const RSA = "1.2.840.113549.1.1.1";
const EC = "1.2.840.10045.2.1";
const CURVES: Record<string, string> = {
  "1.2.840.10045.3.1.7": "P-256",
  "1.3.132.0.34": "P-384",
  "1.3.132.0.35": "P-521",
};
const KNOWN_MACS = new Set(["1.3.14.3.2.26", "2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.2", "2.16.840.1.101.3.4.2.3"]);
export const MAX_FILE_BYTES = 256 * 1024;

export async function readKeyFile(bytes: ArrayBuffer, password: string, loadForge: () => Promise<Forge>): Promise<SigningKey[]> {
  if (bytes.byteLength > MAX_FILE_BYTES) throw new Refusal("file", say("This file is too large to be a key file (.p12 or .pfx)."));
  const pfx = parse(bytes);
  const contents = isLegacy(pfx) ? await readLegacy(bytes, password, await loadForge()) : await readModern(pfx, password);
  if (contents.keys.length === 0) {
    throw new Refusal("file", say("There is no private key in this file. Export the certificate together with its private key."));
  }
  const found: SigningKey[] = [];
  for (const pkcs8 of contents.keys) found.push(await pair(pkcs8, contents.certificates));
  return found;
}

function parse(bytes: ArrayBuffer): pkijs.PFX {
  const start = new TextDecoder().decode(bytes.slice(0, 64));
  if (start.includes("-----BEGIN")) {
    throw new Refusal("file", say("This is a PEM file. Make a .p12 of the key and its certificate: openssl pkcs12 -export -inkey KEY.pem -in CERT.pem -out ME.p12"));
  }
  try {
    return pkijs.PFX.fromBER(bytes);
  } catch {
    throw new Refusal("file", say("This is not a key file. Choose the .p12 or .pfx file that your certification authority gave you."));
  }
}

function authenticatedSafe(pfx: pkijs.PFX): pkijs.AuthenticatedSafe | null {
  const content: unknown = pfx.authSafe.content;
  if (!(content instanceof asn1js.OctetString)) return null;
  return pkijs.AuthenticatedSafe.fromBER(content.getValue());
}

/** Whether any part is protected by an algorithm of the old kind; read from the outside, before any password. */
function isLegacy(pfx: pkijs.PFX): boolean {
  const safe = authenticatedSafe(pfx);
  return (safe?.safeContents ?? []).some((part) => {
    if (part.contentType === pkijs.ContentInfo.ENCRYPTED_DATA) {
      const encrypted = new pkijs.EncryptedData({ schema: part.content });
      return encrypted.encryptedContentInfo.contentEncryptionAlgorithm.algorithmId.startsWith(PKCS12_PBE);
    }
    if (part.contentType !== pkijs.ContentInfo.DATA || !(part.content instanceof asn1js.OctetString)) return false;
    return pkijs.SafeContents.fromBER(part.content.getValue()).safeBags.some(
      (bag) => bag.bagValue instanceof pkijs.PKCS8ShroudedKeyBag && bag.bagValue.encryptionAlgorithm.algorithmId.startsWith(PKCS12_PBE),
    );
  });
}

async function readModern(pfx: pkijs.PFX, password: string): Promise<Contents> {
  const secret = new TextEncoder().encode(password).buffer as ArrayBuffer;
  // The check value is made from the password in UTF-16; the library does that for ASCII only. A wrong password is then
  // noticed when the key does not decrypt.
  const mac = pfx.macData?.mac.digestAlgorithm.algorithmId ?? "";
  const checkIntegrity = KNOWN_MACS.has(mac) && /^[\x20-\x7e]*$/.test(password);
  const keys: ArrayBuffer[] = [];
  const certificates: pkijs.Certificate[] = [];
  try {
    if (password === "" && !checkIntegrity) throw new Error("empty");
    await pfx.parseInternalValues({ password: secret, checkIntegrity });
    const safe = pfx.parsedValue?.authenticatedSafe;
    if (!safe) throw new Error("unreadable");
    await safe.parseInternalValues({ safeContents: safe.safeContents.map(() => ({ password: secret })) });
    const parts = (safe.parsedValue as { safeContents: { value: pkijs.SafeContents }[] }).safeContents;
    for (const bag of parts.flatMap((part) => part.value.safeBags)) {
      const value: unknown = bag.bagValue;
      if (value instanceof pkijs.PKCS8ShroudedKeyBag) {
        await (value as unknown as { parseInternalValues(p: { password: ArrayBuffer }): Promise<void> }).parseInternalValues({ password: secret });
        if (value.parsedValue) keys.push(value.parsedValue.toSchema().toBER(false));
      } else if (value instanceof pkijs.PrivateKeyInfo) {
        keys.push(value.toSchema().toBER(false));
      } else if (value instanceof pkijs.CertBag && value.parsedValue instanceof pkijs.Certificate) {
        certificates.push(value.parsedValue);
      } else if (value instanceof pkijs.CertBag && (value.certValue as unknown) instanceof asn1js.OctetString) {
        certificates.push(pkijs.Certificate.fromBER((value.certValue as asn1js.OctetString).getValue()));
      }
    }
  } catch {
    // "Integrity … is broken", a padding error, a key that is no ASN.1: all of them mean that the password is another one.
    throw wrongPassword(password);
  }
  return { keys, certificates };
}

function wrongPassword(password: string): Refusal {
  return new Refusal(
    "password",
    password === "" ? say("Enter the password of the key file.") : say("Wrong password. It is the one chosen when the key file was made."),
  );
}

async function readLegacy(bytes: ArrayBuffer, password: string, forge: Forge): Promise<Contents> {
  const binary = [...new Uint8Array(bytes)].map((byte) => String.fromCharCode(byte)).join("");
  let pfx: forgeType.pkcs12.Pkcs12Pfx;
  try {
    pfx = forge.pkcs12.pkcs12FromAsn1(forge.asn1.fromDer(binary), false, password);
  } catch {
    throw wrongPassword(password);
  }
  const bags = pfx.safeContents.flatMap((part) => part.safeBags);
  const der = (bag: forgeType.pkcs12.Bag): ArrayBuffer => {
    const text = forge.asn1.toDer(bag.cert ? forge.pki.certificateToAsn1(bag.cert) : bag.asn1).getBytes();
    return Uint8Array.from(text, (character) => character.charCodeAt(0)).buffer as ArrayBuffer;
  };
  const { keyBag, pkcs8ShroudedKeyBag, certBag } = forge.pki.oids;
  const keys = bags.filter((bag) => bag.type === keyBag || bag.type === pkcs8ShroudedKeyBag).map((bag) => legacyKey(bag, forge));
  const certificates = bags.filter((bag) => bag.type === certBag).map((bag) => pkijs.Certificate.fromBER(der(bag)));
  return { keys, certificates };
}

function legacyKey(bag: forgeType.pkcs12.Bag, forge: Forge): ArrayBuffer {
  const info = bag.key ? forge.pki.wrapRsaPrivateKey(forge.pki.privateKeyToAsn1(bag.key)) : bag.asn1;
  return Uint8Array.from(forge.asn1.toDer(info).getBytes(), (character) => character.charCodeAt(0)).buffer as ArrayBuffer;
}

type KeyAlgorithm = { name: string; hash?: string; namedCurve?: string };

function algorithmOf(pkcs8: ArrayBuffer): KeyAlgorithm {
  const identifier = pkijs.PrivateKeyInfo.fromBER(pkcs8).privateKeyAlgorithm;
  if (identifier.algorithmId === RSA) return { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const parameters: unknown = identifier.algorithmParams;
  const curve = parameters instanceof asn1js.ObjectIdentifier ? CURVES[parameters.getValue()] : undefined;
  if (identifier.algorithmId === EC && curve) return { name: "ECDSA", namedCurve: curve };
  throw new Refusal("file", say("A browser cannot sign with this kind of key. Sign elsewhere with the command below and upload the signature."));
}

/** The numbers that make the public half: the same in the key and in its certificate. */
function publicHalf(jwk: JsonWebKey): string {
  return JSON.stringify([jwk.n, jwk.e, jwk.x, jwk.y]);
}

async function pair(pkcs8: ArrayBuffer, certificates: pkijs.Certificate[]): Promise<SigningKey> {
  const algorithm = algorithmOf(pkcs8);
  const readable = await crypto.subtle.importKey("pkcs8", pkcs8, algorithm, true, ["sign"]);
  const mine = publicHalf(await crypto.subtle.exportKey("jwk", readable));
  for (const certificate of certificates) {
    const spki = certificate.subjectPublicKeyInfo.toSchema().toBER(false);
    const theirs = await crypto.subtle
      .importKey("spki", spki, algorithm, true, ["verify"])
      .then((key) => crypto.subtle.exportKey("jwk", key))
      .catch(() => null);
    if (!theirs || publicHalf(theirs) !== mine) continue;
    const key = await crypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"]);
    const chain = certificates.filter((other) => other !== certificate && !other.issuer.isEqual(other.subject));
    return { key, certificate, chain };
  }
  throw new Refusal("file", say("The file holds a key without its certificate. Export both together."));
}
