/** Private keys joined to their certificates. */
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";
import { say } from "../lib/words";
import { Refusal } from "./refusal";

/** One key of the file. The key itself can be used for signing and cannot be read out again. */
export interface SigningKey {
  readonly key: CryptoKey;
  readonly certificate: pkijs.Certificate;
  /** The file's other certificates, without self-signed ones. */
  readonly chain: readonly pkijs.Certificate[];
}

type KeyAlgorithm = { name: string; hash?: string; namedCurve?: string };

const RSA = "1.2.840.113549.1.1.1";
const EC = "1.2.840.10045.2.1";
const CURVES: Record<string, string> = {
  "1.2.840.10045.3.1.7": "P-256",
  "1.3.132.0.34": "P-384",
  "1.3.132.0.35": "P-521",
};

/** Those of the keys (PKCS #8) that can sign here. Raises the first key's `Refusal` where none can. */
export async function pairs(keys: readonly ArrayBuffer[], certificates: readonly pkijs.Certificate[]): Promise<SigningKey[]> {
  const found: SigningKey[] = [];
  let first: unknown = null;
  for (const pkcs8 of keys) {
    try {
      found.push(await pair(pkcs8, certificates));
    } catch (problem) {
      first ??= problem;
    }
  }
  if (found.length === 0) throw first;
  return found;
}

async function pair(pkcs8: ArrayBuffer, certificates: readonly pkijs.Certificate[]): Promise<SigningKey> {
  const algorithm = algorithmOf(pkcs8);
  const readable = await crypto.subtle.importKey("pkcs8", pkcs8, algorithm, true, ["sign"]).catch(() => {
    throw cannotSign();
  });
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

function algorithmOf(pkcs8: ArrayBuffer): KeyAlgorithm {
  const identifier = pkijs.PrivateKeyInfo.fromBER(pkcs8).privateKeyAlgorithm;
  if (identifier.algorithmId === RSA) return { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const parameters: unknown = identifier.algorithmParams;
  const curve = parameters instanceof asn1js.ObjectIdentifier ? CURVES[parameters.getValue()] : undefined;
  if (identifier.algorithmId === EC && curve) return { name: "ECDSA", namedCurve: curve };
  throw cannotSign();
}

function cannotSign(): Refusal {
  return new Refusal("file", say("A browser cannot sign with this kind of key. Sign elsewhere with the command below and upload the signature."));
}

/** The numbers that make the public half: the same in the key and in its certificate. */
function publicHalf(jwk: JsonWebKey): string {
  return JSON.stringify([jwk.n, jwk.e, jwk.x, jwk.y]);
}
