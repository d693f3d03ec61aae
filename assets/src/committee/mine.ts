/** "My committee key": made here, tried here. */
import { say } from "../lib/words";
import { Refusal } from "../signing/refusal";
import type { Form } from "./form";
import { base64, bytesOf, DoesNotOpen, newCommitteeKey, openerOfCertificate, sealTo, unwrap } from "./keys";
import { dataOf, input, keysOfFile, subjectOf, unlocked } from "./unlock";

const PASSPHRASE_MIN = 12;

export async function makeKey(form: Form): Promise<void> {
  const passphrase = input(form.element, "passphrase").value;
  if (passphrase.length < PASSPHRASE_MIN) throw new Refusal("password", say("Choose at least {count} characters: several words that you will remember.", { count: PASSPHRASE_MIN }));
  if (passphrase !== input(form.element, "repeat").value) throw new Refusal("key", say("The two passphrases differ. Type the same one twice."));
  if (!globalThis.crypto?.subtle) throw new Refusal("page", say("Keys can be used on secure pages only (https, or this very machine)."));
  form.tell(say("Making the key…"));
  const { publicKey, wrapped } = await newCommitteeKey(passphrase);
  // What is sent must open again with what was typed.
  await works({ algorithm: "x25519", key: base64(publicKey) }, await unwrap(wrapped, publicKey, passphrase));
  form.value("public_key", base64(publicKey));
  form.value("wrapped", JSON.stringify(wrapped));
  form.submit();
}

export async function registerCertificate(form: Form): Promise<void> {
  form.tell(say("Opening the key file…"));
  const [first] = await keysOfFile(form.element);
  if (!first) return;
  await works(first, openerOfCertificate(first.algorithm, first.pkcs8));
  form.tell(say("Registering the certificate of {name}…", { name: subjectOf(first.certificate) }));
  form.value("certificate", base64(first.certificate));
  form.submit();
}

/** Opens what the server sealed to the key, and sends it back: the proof that passphrase or file are at hand. */
export async function tryKey(form: Form): Promise<void> {
  form.tell(say("Opening your key…"));
  const opener = await unlocked(form.element);
  form.value("answer", await challengeAnswered(form, opener));
  form.submit();
}

export async function challengeAnswered(form: Form, opener: { open(sealed: Uint8Array<ArrayBuffer>, info: string): Promise<Uint8Array> }): Promise<string> {
  const { challenge = "", challengeInfo = "" } = dataOf(form.element);
  return base64(await opener.open(bytesOf(challenge), challengeInfo));
}

async function works(to: Parameters<typeof sealTo>[0], opener: { open(sealed: Uint8Array<ArrayBuffer>, info: string): Promise<Uint8Array> }): Promise<void> {
  const probe = crypto.getRandomValues(new Uint8Array(33));
  const opened = await opener.open(await sealTo(to, probe, "openlot-probe-1"), "openlot-probe-1");
  if (base64(opened) !== base64(probe)) throw new DoesNotOpen("the new key does not open what is sealed to it");
}
