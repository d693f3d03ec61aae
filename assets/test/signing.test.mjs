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
const loadForge = async () => (await import("node-forge")).default;

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
  const [key] = await page.readKeyFile(file(`${name}.p12`), password, loadForge);
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
      contents: 'export { readKeyFile } from "./signing/pkcs12"; export { sign } from "./signing/cades"; export { describe } from "./signing/certificate";',
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

test("a file protected with triple DES by an older tool is read with node-forge", async () => {
  makeKey("legacy", ["-newkey", "rsa:2048"], "-legacy", "-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1");
  await signWith("legacy");
  assert.deepEqual(judged("legacy"), Buffer.from(payload));
});

test("an elliptic key in such a file signs as well", async () => {
  makeKey("legacyec", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "-legacy", "-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1");
  await signWith("legacyec");
  assert.deepEqual(judged("legacyec"), Buffer.from(payload));
});

test("a password that is not ASCII opens the file", async () => {
  makeKey("cyrillic", ["-newkey", "rsa:2048"]);
  openssl("pkcs12", "-export", "-inkey", "cyrillic.key", "-in", "cyrillic.crt", "-out", "cyrillic.p12", "-passout", "pass:пароль");
  await signWith("cyrillic", "пароль");
  assert.deepEqual(judged("cyrillic"), Buffer.from(payload));
});

for (const [name, args] of [["modern", []], ["old", ["-legacy", "-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1"]]]) {
  for (const password of ["wrong", "", "неверно"]) {
    test(`a wrong password of a ${name} file is said beside the password: "${password}"`, async () => {
      makeKey(name, ["-newkey", "rsa:2048"], ...args);
      await assert.rejects(page.readKeyFile(file(`${name}.p12`), password, loadForge), { field: "password" });
    });
  }
}

test("what is not a key file is said beside the file", async () => {
  makeKey("parts", ["-newkey", "rsa:2048"]);
  openssl("pkcs12", "-export", "-nokeys", "-in", "parts.crt", "-out", "nokeys.p12", "-passout", "pass:secret");
  for (const name of ["parts.crt", "parts.key", "nokeys.p12"]) {
    await assert.rejects(page.readKeyFile(file(name), "secret", loadForge), { field: "file" });
  }
  await assert.rejects(page.readKeyFile(new TextEncoder().encode("hello").buffer, "secret", loadForge), { field: "file" });
  await assert.rejects(page.readKeyFile(new ArrayBuffer(300 * 1024), "secret", loadForge), { field: "file" });
});

test("the person is shown whom the certificate names", async () => {
  makeKey("named", ["-newkey", "rsa:2048"]);
  const [key] = await page.readKeyFile(file("named.p12"), "secret", loadForge);
  const shown = page.describe(key.certificate);
  assert.equal(shown.name, "Anna named");
  assert.equal(shown.organisation, "named GmbH");
  assert.deepEqual(shown.identifiers, ["VATDE-811569869"]);
});

test("the key cannot be read out of the page's memory", async () => {
  makeKey("kept", ["-newkey", "rsa:2048"]);
  const [key] = await page.readKeyFile(file("kept.p12"), "secret", loadForge);
  assert.equal(key.key.extractable, false);
});
