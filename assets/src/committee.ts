/** Committee-held keys: the pages on which a person makes a key, an officer makes a procedure's keys, a member releases a share. */
import { makeKeys } from "./committee/ceremony";
import { attach, type Form } from "./committee/form";
import { makeKey, registerCertificate, tryKey } from "./committee/mine";
import { confirmShare, releaseShare } from "./committee/shares";
import { all } from "./lib/dom";

const WORK: Record<string, (form: Form) => Promise<void>> = {
  "make-key": makeKey,
  "register-certificate": registerCertificate,
  "try-key": tryKey,
  ceremony: makeKeys,
  "confirm-share": confirmShare,
  "release-share": releaseShare,
};

for (const form of all<HTMLFormElement>(document, "form[data-committee]")) {
  const work = WORK[form.dataset.committee ?? ""];
  if (work) attach(form, work);
}
