/**
 * CAdES-B (ETSI EN 319 122-1): a detached CMS SignedData with one signer. The signed attributes are contentType, messageDigest,
 * signingTime and signing-certificate-v2, in DER order; the digest is SHA-256.
 */
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";
import type { SigningKey } from "./keys";

const DATA = "1.2.840.113549.1.7.1";
const CONTENT_TYPE = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST = "1.2.840.113549.1.9.4";
const SIGNING_TIME = "1.2.840.113549.1.9.5";
const SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47";
const UTC_TIME_ENDS = 2050; // RFC 5652, 11.3: UTCTime until 2049, GeneralizedTime after

async function sha256(bytes: BufferSource): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", bytes);
}

/** The DER of the signature over `payload`. `at` is the signing time that is claimed. */
export async function sign(payload: Uint8Array<ArrayBuffer>, signer: SigningKey, at: Date): Promise<Uint8Array<ArrayBuffer>> {
  const certificate = signer.certificate.toSchema().toBER(false);
  const attributes = inDerOrder([
    attribute(CONTENT_TYPE, new asn1js.ObjectIdentifier({ value: DATA })),
    attribute(SIGNING_TIME, time(at)),
    attribute(MESSAGE_DIGEST, new asn1js.OctetString({ valueHex: await sha256(payload) })),
    attribute(SIGNING_CERTIFICATE_V2, signingCertificate(await sha256(certificate))),
  ]);
  const signed = new pkijs.SignedData({
    version: 1,
    encapContentInfo: new pkijs.EncapsulatedContentInfo({ eContentType: DATA }),
    signerInfos: [
      new pkijs.SignerInfo({
        version: 1,
        sid: new pkijs.IssuerAndSerialNumber({ issuer: signer.certificate.issuer, serialNumber: signer.certificate.serialNumber }),
        signedAttrs: new pkijs.SignedAndUnsignedAttributes({ type: 0, attributes }),
      }),
    ],
    certificates: [signer.certificate, ...signer.chain],
  });
  await signed.sign(signer.key, 0, "SHA-256", payload);
  const wrapped = new pkijs.ContentInfo({ contentType: pkijs.ContentInfo.SIGNED_DATA, content: signed.toSchema(true) });
  return new Uint8Array(wrapped.toSchema().toBER(false));
}

function attribute(type: string, value: asn1js.BaseBlock): pkijs.Attribute {
  return new pkijs.Attribute({ type, values: [value] });
}

function time(at: Date): asn1js.BaseBlock {
  const whole = new Date(Math.floor(at.getTime() / 1000) * 1000);
  return whole.getUTCFullYear() < UTC_TIME_ENDS
    ? new asn1js.UTCTime({ valueDate: whole })
    : new asn1js.GeneralizedTime({ valueDate: whole });
}

/** ESSCertIDv2 of the signer's certificate (RFC 5035). SHA-256 is the default hash, so DER leaves its name out. */
function signingCertificate(hash: ArrayBuffer): asn1js.Sequence {
  const identifier = new asn1js.Sequence({ value: [new asn1js.OctetString({ valueHex: hash })] });
  return new asn1js.Sequence({ value: [new asn1js.Sequence({ value: [identifier] })] });
}

/** DER sorts the members of a SET OF by their encodings; strict verifiers hash the sorted form. */
function inDerOrder(attributes: pkijs.Attribute[]): pkijs.Attribute[] {
  const encoded = attributes.map((one) => ({ one, bytes: new Uint8Array(one.toSchema().toBER(false)) }));
  return encoded.sort((a, b) => compareBytes(a.bytes, b.bytes)).map(({ one }) => one);
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference) return difference;
  }
  return a.length - b.length;
}
