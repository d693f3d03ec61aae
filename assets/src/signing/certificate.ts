/** What a certificate says, for a person who chooses one. */
import type * as pkijs from "pkijs";

const COMMON_NAME = "2.5.4.3";
const ORGANISATION = "2.5.4.10";
const ORGANISATION_IDENTIFIER = "2.5.4.97";

function attribute(name: pkijs.RelativeDistinguishedNames, type: string): string[] {
  return name.typesAndValues.filter((one) => one.type === type).map((one) => String((one.value as { valueBlock: { value: string } }).valueBlock.value));
}

export interface Description {
  readonly name: string;
  readonly organisation: string;
  /** ETSI form, e.g. VATDE-811569869. */
  readonly identifiers: readonly string[];
  readonly issuer: string;
  readonly from: Date;
  readonly until: Date;
}

export function describe(certificate: pkijs.Certificate): Description {
  const subject = certificate.subject;
  const issuer = certificate.issuer;
  return {
    name: attribute(subject, COMMON_NAME)[0] ?? "",
    organisation: attribute(subject, ORGANISATION)[0] ?? "",
    identifiers: attribute(subject, ORGANISATION_IDENTIFIER),
    issuer: attribute(issuer, COMMON_NAME)[0] ?? attribute(issuer, ORGANISATION)[0] ?? "",
    from: certificate.notBefore.value,
    until: certificate.notAfter.value,
  };
}
