/**
 * Signs with key files made by OpenSSL and has OpenSSL judge the result, so that neither side is our own.
 * The page's modules are bundled as they are for the browser; WebCrypto is Node's.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "openlot-signing-"));
const at = (name) => path.join(folder, name);
const openssl = (...args) => execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
const payload = new TextEncoder().encode('{"action":"bid.submit","lot":"L-1","nonce":"n"}');
let page;
const loadOldCiphers = async () => globalThis.openlotOldCiphers;

function makeKey(name, keyArgs, ...p12Args) {
  openssl("req", "-x509", "-new", "-nodes", ...keyArgs, "-keyout", `${name}.key`, "-out", `${name}.crt`, "-days", "30", "-subj",
    `/C=DE/O=${name} GmbH/CN=Anna ${name}/organizationIdentifier=VATDE-811569869`, "-addext", "keyUsage=digitalSignature,nonRepudiation");
  openssl("pkcs12", "-export", "-inkey", `${name}.key`, "-in", `${name}.crt`, "-out", `${name}.p12`, "-passout", "pass:secret", ...p12Args);
}

function file(name) {
  const bytes = readFileSync(at(name));
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

async function signWith(name, password = "secret") {
  const [key] = await page.readKeyFile(file(`${name}.p12`), password, loadOldCiphers);
  const der = await page.sign(payload, key, new Date("2026-11-22T10:00:00Z"));
  writeFileSync(at(`${name}.p7s`), der);
  writeFileSync(at("payload.json"), payload);
  return der;
}

function judged(name) {
  openssl("cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", `${name}.p7s`, "-content", "payload.json", "-CAfile", `${name}.crt`,
    "-purpose", "any", "-out", "verified.json");
  return readFileSync(at("verified.json"));
}

before(async () => {
  const outfile = at("signing.mjs");
  await esbuild.build({
    absWorkingDir: path.resolve(here, ".."),
    stdin: {
      contents: 'import "./forge"; export { bytesOf, readKeyFile } from "./signing/pkcs12"; export { sign } from "./signing/cades"; export { describe } from "./signing/certificate";',
      resolveDir: path.resolve(here, "../src"),
    },
    bundle: true,
    format: "esm",
    platform: "browser",
    outfile,
  });
  globalThis.document = { getElementById: () => null };
  page = await import(outfile);
});

after(() => rmSync(folder, { recursive: true, force: true }));

for (const [name, keyArgs] of [
  ["rsa", ["-newkey", "rsa:3072"]],
  ["p256", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]],
  ["p384", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]],
]) {
  test(`openssl accepts a signature by a key of kind ${name}`, async () => {
    makeKey(name, keyArgs);
    await signWith(name);
    assert.deepEqual(judged(name), Buffer.from(payload));
  });
}

test("openssl refuses the signature over another payload", async () => {
  makeKey("other", ["-newkey", "rsa:2048"]);
  await signWith("other");
  writeFileSync(at("payload.json"), '{"action":"bid.submit","lot":"L-2","nonce":"n"}');
  assert.throws(() => judged("other"));
});

test("signed attributes are the four of the profile, in DER order, and the payload is not inside", async () => {
  makeKey("attributes", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
  await signWith("attributes");
  const printed = openssl("cms", "-cmsout", "-print", "-inform", "DER", "-in", "attributes.p7s").toString();
  const names = [...printed.matchAll(/object: (\S+) \(1\.2\.840\.113549\.1\.9\./g)].map((match) => match[1]);
  assert.deepEqual(names, ["contentType", "signingTime", "messageDigest", "id-smime-aa-signingCertificateV2"]);
  assert.match(printed, /eContent: <ABSENT>/);
});

const OLD = ["-legacy", "-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1"];

// What OpenSSL of several decades, Windows, Java and browsers write.
for (const [name, ...args] of [
  ["des3", ...OLD],
  ["rc2", "-legacy", "-certpbe", "PBE-SHA1-RC2-40", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1"],
  ["rc2of128bits", "-legacy", "-certpbe", "PBE-SHA1-RC2-128", "-keypbe", "PBE-SHA1-RC2-128", "-macalg", "sha1"],
  ["pbes2des3", "-certpbe", "DES-EDE3-CBC", "-keypbe", "DES-EDE3-CBC"],
  ["aes128", "-certpbe", "AES-128-CBC", "-keypbe", "AES-128-CBC", "-macalg", "sha512"],
  ["keyalone", "-certpbe", "NONE"],
  ["nothing", "-certpbe", "NONE", "-keypbe", "NONE"],
  ["nocheck", "-nomac"],
  ["mixed", "-certpbe", "PBE-SHA1-3DES", "-keypbe", "AES-256-CBC"],
]) {
  for (const [kind, keyArgs] of [["rsa", ["-newkey", "rsa:2048"]], ["ec", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]]]) {
    test(`a file protected as ${name} with a key of kind ${kind} signs`, async () => {
      makeKey(name + kind, keyArgs, ...args);
      await signWith(name + kind);
      assert.deepEqual(judged(name + kind), Buffer.from(payload));
    });
  }
}

for (const [name, args] of [["new", []], ["old", OLD], ["mixed", ["-certpbe", "PBE-SHA1-3DES", "-keypbe", "AES-256-CBC"]]]) {
  for (const [saved, typed] of [["пароль", "пароль"], ["key🔑", "key🔑"], ["caf\u00e9", "cafe\u0301"], ["cafe\u0301", "caf\u00e9"], ["", ""]]) {
    test(`the password "${saved}" of a ${name} file opens it when typed as "${typed}"`, async () => {
      makeKey("spelled", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
      openssl("pkcs12", "-export", "-inkey", "spelled.key", "-in", "spelled.crt", "-out", "spelled.p12", "-passout", `pass:${saved}`, ...args);
      await signWith("spelled", typed);
      assert.deepEqual(judged("spelled"), Buffer.from(payload));
    });
  }
}

test("a protection that no browser can undo is not called a wrong password", async () => {
  makeKey("rc4", ["-newkey", "rsa:2048"], "-legacy", "-certpbe", "PBE-SHA1-RC4-128", "-keypbe", "PBE-SHA1-RC4-128", "-macalg", "sha1");
  await assert.rejects(page.readKeyFile(file("rc4.p12"), "secret", loadOldCiphers), { field: "file", message: /protected in a way/ });
});

test("a file cut short anywhere is said to be damaged, or its password wrong, and never a crash", async () => {
  makeKey("cut", ["-newkey", "rsa:2048"]);
  const whole = file("cut.p12");
  for (let size = 0; size < whole.byteLength; size += 41) {
    await assert.rejects(page.readKeyFile(whole.slice(0, size), "secret", loadOldCiphers), (problem) => ["file", "password"].includes(problem.field));
  }
});

for (const [name, args] of [["modern", []], ["old", OLD]]) {
  for (const password of ["wrong", "", "неверно"]) {
    test(`a wrong password of a ${name} file is said beside the password: "${password}"`, async () => {
      makeKey(name, ["-newkey", "rsa:2048"], ...args);
      await assert.rejects(page.readKeyFile(file(`${name}.p12`), password, loadOldCiphers), { field: "password" });
    });
  }
}

test("what is not a key file is said beside the file", async () => {
  makeKey("parts", ["-newkey", "rsa:2048"]);
  openssl("pkcs12", "-export", "-nokeys", "-in", "parts.crt", "-out", "nokeys.p12", "-passout", "pass:secret");
  for (const name of ["parts.crt", "parts.key", "nokeys.p12"]) {
    await assert.rejects(page.readKeyFile(file(name), "secret", loadOldCiphers), { field: "file" });
  }
  await assert.rejects(page.readKeyFile(new TextEncoder().encode("hello").buffer, "secret", loadOldCiphers), { field: "file" });
  openssl("x509", "-in", "parts.crt", "-outform", "DER", "-out", "parts.cer");
  await assert.rejects(page.readKeyFile(file("parts.cer"), "secret", loadOldCiphers), { field: "file", message: /certificate without its private key/ });
  const huge = { size: 300 * 1024, arrayBuffer: () => assert.fail("a file too large is not to be read") };
  await assert.rejects(page.bytesOf(huge), { field: "file", message: /too large/ });
});

test("the person is shown whom the certificate names", async () => {
  makeKey("named", ["-newkey", "rsa:2048"]);
  const [key] = await page.readKeyFile(file("named.p12"), "secret", loadOldCiphers);
  const shown = page.describe(key.certificate);
  assert.equal(shown.name, "Anna named");
  assert.equal(shown.organisation, "named GmbH");
  assert.deepEqual(shown.identifiers, ["VATDE-811569869"]);
});

test("the key cannot be read out of the page's memory", async () => {
  makeKey("kept", ["-newkey", "rsa:2048"]);
  const [key] = await page.readKeyFile(file("kept.p12"), "secret", loadOldCiphers);
  assert.equal(key.key.extractable, false);
});
