/** What the browser seals and refuses. tests/marketplace/signatures/test_sealing_in_javascript.py compares it with Python's. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const vectors = JSON.parse(readFileSync(path.resolve(here, "../../tests/marketplace/signatures/ols1_vectors.json")));
const info = new TextEncoder().encode("lot-1");
const MIB = 1024 * 1024;
let page;
let lot;

before(async () => {
  const built = await esbuild.build({
    stdin: { contents: 'export * from "./hpke"; export * from "./stream";', resolveDir: path.resolve(here, "../src/sealing") },
    bundle: true,
    format: "esm",
    platform: "browser",
    write: false,
  });
  page = await import(`data:text/javascript;base64,${Buffer.from(built.outputFiles[0].contents).toString("base64")}`);
  lot = await page.newKeyPair();
});

function document(size) {
  const bytes = new Uint8Array(size);
  for (let place = 0; place < size; place += 977) bytes[place] = place % 251;
  return bytes;
}

async function sealed(bytes, key = page.newFileKey()) {
  const sealer = await page.Sealer.of(new Blob([bytes]), lot.publicKey, info, key);
  const parts = [];
  for await (const piece of sealer.pieces()) parts.push(piece.sealed);
  const whole = page.joined(parts);
  assert.equal(whole.length, sealer.size);
  return whole;
}

async function opened(bytes, privateKey = lot.privateKey, about = info) {
  const parts = [];
  for await (const chunk of page.openWith(privateKey, new Blob([bytes]), about)) parts.push(chunk);
  return page.joined(parts);
}

const refused = (bytes, ...rest) => assert.rejects(opened(bytes, ...rest), { name: "SealingError" });

for (const size of [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 5, 8 * MIB, 9 * MIB + 1]) {
  test(`a document of ${size} bytes opens as it was`, async () => {
    assert.deepEqual(await opened(await sealed(document(size))), document(size));
  });
}

test("who kept the file key reads the document again", async () => {
  const key = page.newFileKey();
  const whole = await sealed(document(MIB + 9), key);
  const parts = [];
  for await (const chunk of page.openWithFileKey(key, new Blob([whole]))) parts.push(chunk);
  assert.deepEqual(page.joined(parts), document(MIB + 9));
});

test("what is cut, moved, repeated, added or changed does not open", async () => {
  const whole = await sealed(document(2 * MIB + 3));
  const chunk = MIB + 16;
  const header = whole.slice(0, page.HEADER_SIZE);
  const [first, second, last] = [0, 1, 2].map((n) => whole.slice(header.length + n * chunk, header.length + (n + 1) * chunk));
  await refused(whole.slice(0, -1));
  await refused(page.joined([header, first, second]));
  await refused(page.joined([header, first]));
  await refused(header);
  await refused(page.joined([header, second, first, last]));
  await refused(page.joined([header, first, first, second, last]));
  await refused(page.joined([whole, last]));
  await refused(page.joined([whole, new Uint8Array(16)]));
  for (const place of [0, 5, 50, header.length, header.length + chunk + 7, whole.length - 1]) {
    const changed = whole.slice();
    changed[place] ^= 1;
    await refused(changed);
  }
});

test("another key or another place does not open it", async () => {
  const whole = await sealed(document(10));
  await refused(whole, (await page.newKeyPair()).privateKey);
  await refused(whole, lot.privateKey, new TextEncoder().encode("lot-2"));
});

test("what is no key is refused", async () => {
  for (const key of [new Uint8Array(0), new Uint8Array(31), new Uint8Array(33), new Uint8Array(32)]) {
    await assert.rejects(page.seal(key, document(3), info), { name: "SealingError" });
  }
});

for (const vector of vectors.documents) {
  test(`opens what Python sealed: ${vector.name}`, async () => {
    const whole = page.unhex(vector.sealed);
    const plain = await opened(whole, page.unhex(vectors.private_key), page.unhex(vectors.info));
    assert.equal(page.hex(plain), vector.plain);
  });
}

test("opens one message that Python sealed", async () => {
  const plain = await page.open(page.unhex(vectors.private_key), page.unhex(vectors.message.sealed), page.unhex(vectors.info));
  assert.equal(page.hex(plain), vectors.message.plain);
  assert.equal(page.hex((await page.keyPairOf(page.unhex(vectors.private_key))).publicKey), vectors.public_key);
});
