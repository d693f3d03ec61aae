/**
 * Opens a person's committee key in the page: templates/components/_unlock.html. Passphrase, key file and password are read here and
 * nowhere else: their inputs carry no name, so that no form sends them.
 */
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";
import type { OldCiphers } from "../forge";
import { say } from "../lib/words";
import { bytesOf as bytesOfFile, openKeyFile } from "../signing/pkcs12";
import { Refusal } from "../signing/refusal";
import { type Algorithm, base64, bytesOf, DoesNotOpen, type Opener, openerOfCertificate, unwrap, type Wrapped } from "./keys";

/** A key of a key file that shares can be sealed to. */
export interface FoundKey {
  readonly certificate: Uint8Array;
  readonly algorithm: Algorithm;
  readonly key: string;
  readonly pkcs8: ArrayBuffer;
}

export function input(root: HTMLElement, name: string): HTMLInputElement {
  const found = root.querySelector<HTMLInputElement>(`[data-unlock-${name}]`);
  if (!found) throw new Error(`the form lacks data-unlock-${name}`);
  return found;
}

/** What the page says about the key. */
export function dataOf(form: HTMLElement): DOMStringMap {
  return form.querySelector<HTMLElement>("[data-unlock]")?.dataset ?? {};
}

/** The key's opener. Raises `Refusal` where passphrase, file or password are not the right ones. */
export async function unlocked(form: HTMLElement): Promise<Opener> {
  requireSecure();
  const { kind, wrapped, public: publicKey = "" } = dataOf(form);
  if (kind === "certificate") {
    const keys = await keysOfFile(form);
    const own = keys.find(({ key }) => key === publicKey);
    if (!own) throw new Refusal("file", say("This file holds another key than the one you registered. Choose the file of the registered certificate."));
    return openerOfCertificate(own.algorithm, own.pkcs8);
  }
  const passphrase = input(form, "passphrase").value;
  if (passphrase === "") throw new Refusal("password", say("Enter your passphrase."));
  try {
    return await unwrap(JSON.parse(wrapped ?? "{}") as Wrapped, bytesOf(publicKey), passphrase);
  } catch (error) {
    if (error instanceof DoesNotOpen) throw new Refusal("password", say("This is not the passphrase of your key. Nobody but you knows it, so nobody can tell you."));
    throw error;
  }
}

/** The file's keys that shares can be sealed to, with their certificates. Raises `Refusal` where there is none. */
export async function keysOfFile(form: HTMLElement): Promise<FoundKey[]> {
  requireSecure();
  const file = input(form, "file").files?.[0];
  if (!file) throw new Refusal("file", say("Choose your key file (.p12 or .pfx)."));
  const { keys, certificates } = await openKeyFile(await bytesOfFile(file), input(form, "password").value, () => oldCiphers(form));
  const found: FoundKey[] = [];
  for (const pkcs8 of keys) {
    for (const certificate of certificates) {
      const pair = await paired(pkcs8, certificate);
      if (pair) found.push(pair);
    }
  }
  if (found.length === 0) throw new Refusal("file", say("Shares can be sealed to RSA and P-256 keys only, and this file holds none. Make a key with a passphrase instead."));
  return found;
}

async function paired(pkcs8: ArrayBuffer, certificate: pkijs.Certificate): Promise<FoundKey | null> {
  const spki = certificate.subjectPublicKeyInfo.toSchema().toBER(false);
  const der = new Uint8Array(certificate.toSchema(true).toBER(false));
  try {
    const rsa = { name: "RSA-OAEP", hash: "SHA-256" };
    const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, rsa, true, ["decrypt"]);
    const publicKey = await crypto.subtle.importKey("spki", spki, rsa, true, ["encrypt"]);
    const [mine, theirs] = [await crypto.subtle.exportKey("jwk", privateKey), await crypto.subtle.exportKey("jwk", publicKey)];
    return mine.n === theirs.n ? { certificate: der, algorithm: "rsa", key: base64(new Uint8Array(spki)), pkcs8 } : null;
  } catch {
    // Not an RSA key.
  }
  try {
    const curve = { name: "ECDH", namedCurve: "P-256" };
    const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, curve, true, ["deriveBits"]);
    const publicKey = await crypto.subtle.importKey("spki", spki, curve, true, []);
    const [mine, theirs] = [await crypto.subtle.exportKey("jwk", privateKey), await crypto.subtle.exportKey("jwk", publicKey)];
    const point = new Uint8Array(await crypto.subtle.exportKey("raw", publicKey));
    return mine.x === theirs.x && mine.y === theirs.y ? { certificate: der, algorithm: "p256", key: base64(point), pkcs8 } : null;
  } catch {
    return null;
  }
}

/** The name in a certificate, for the person to see which one it is. */
export function subjectOf(der: Uint8Array): string {
  const certificate = pkijs.Certificate.fromBER(der.slice().buffer);
  const common = certificate.subject.typesAndValues.find(({ type }) => (type as unknown as string) === "2.5.4.3");
  const value: unknown = common?.value;
  return value instanceof asn1js.Utf8String || value instanceof asn1js.PrintableString ? value.getValue() : "";
}

function requireSecure(): void {
  if (!globalThis.crypto?.subtle) throw new Refusal("page", say("Keys can be used on secure pages only (https, or this very machine)."));
}

/** The ciphers of older tools' files, loaded only for such a file. */
function oldCiphers(form: HTMLElement): Promise<OldCiphers> {
  const holder = globalThis as { openlotOldCiphers?: OldCiphers };
  if (holder.openlotOldCiphers) return Promise.resolve(holder.openlotOldCiphers);
  const notLoaded = new Refusal("file", say("This file is of an older kind, and the part that reads it could not be loaded. Check the connection and try again."));
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const { forge = "", forgeIntegrity } = dataOf(form);
    if (forgeIntegrity) {
      script.integrity = forgeIntegrity;
      script.crossOrigin = "anonymous";
    }
    script.src = forge;
    script.addEventListener("load", () => (holder.openlotOldCiphers ? resolve(holder.openlotOldCiphers) : reject(notLoaded)));
    script.addEventListener("error", () => reject(notLoaded));
    document.head.append(script);
  });
}
