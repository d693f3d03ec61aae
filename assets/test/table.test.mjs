/** The browser reads a price table, and what counts besides, as the server does, and writes the content that the server reads. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const known = (name) => JSON.parse(readFileSync(path.resolve(here, "../../tests/procurement/rules", name)));
const asked = known("criteria.json");
const { cases } = known("price_tables.json");
let page;

before(async () => {
  globalThis.document = { getElementById: () => null };
  const built = await esbuild.build({
    stdin: {
      contents: 'export { read } from "./table"; export { bound, counts, read as readAnswers } from "./criteria"; export { canonical } from "./canonical"; export { contentOf } from "./content"; export { examined } from "./filetypes";',
      resolveDir: path.resolve(here, "../src/sealing"),
    },
    bundle: true,
    format: "esm",
    platform: "browser",
    write: false,
  });
  page = await import(`data:text/javascript;base64,${Buffer.from(built.outputFiles[0].contents).toString("base64")}`);
});

for (const wanted of cases) {
  test(`a price table: ${wanted.name}`, () => {
    const items = wanted.quantities.map((quantity, item) => ({ item, number: item + 1, quantity, unit: "" }));
    const table = page.read(items, new Map(wanted.typed.map((typed, item) => [item, typed])), wanted.digits, wanted.limit ?? null, wanted.direction ?? "down");
    assert.deepEqual(table.lines.map((line) => line.problem ?? [line.unitPrice, line.amount]), wanted.lines);
    assert.equal(table.total, wanted.total);
    assert.equal(table.beyondLimit, wanted.beyond_limit ?? false);
    assert.equal(table.tooLarge, wanted.too_large ?? false);
  });
}

for (const wanted of asked.cases) {
  test(`what counts besides the price: ${wanted.name}`, () => {
    const criteria = asked[wanted.criteria];
    const typed = new Map(criteria.questions.map(({ name }, place) => [name, wanted.typed[place]]));
    const answers = page.readAnswers(criteria, typed, wanted.digits, wanted.direction ?? "down");
    assert.deepEqual(answers.given.map(({ problem, plain }) => problem ?? plain), wanted.answers);
    assert.equal(page.counts(answers.formula, wanted.total, wanted.digits), wanted.counts);
    assert.equal(page.bound(answers.formula, wanted.limit, wanted.digits, wanted.direction ?? "down"), wanted.bound);
    if (wanted.arithmetic) assert.equal(answers.arithmetic(wanted.total), wanted.arithmetic);
  });
}

test("canonical JSON is that of RFC 8785", () => {
  const text = (value) => new TextDecoder().decode(page.canonical(value));
  assert.equal(text({ b: [1, "é\n\u0001\u20ac\ud83d\ude00"], a: null, "\u00e9": true, A: {} }), '{"A":{},"a":null,"b":[1,"é\\n\\u0001€😀"],"é":true}');
  assert.equal(text("one\ud800two"), '"one\ufffdtwo"');
  assert.throws(() => text(1.5), RangeError);
});

test("content fills whole blocks", () => {
  const terms = { format: "f", platform: "p", bid: 1, lot: 2, version: 1, currency: "EUR", digits: 2, block: 1024, items: [{ item: 5, number: 1, quantity: "2", unit: "H87" }] };
  for (const remarks of ["", "x".repeat(900), "x".repeat(5000)]) {
    const table = page.read(terms.items, new Map([[5, "10"]]), 2, null);
    const content = page.contentOf(terms, table, remarks, []);
    assert.equal(content.length % 1024, 0);
    assert.equal(JSON.parse(new TextDecoder().decode(content)).lines[0].amount, "20.00");
  }
});

const limits = { file_bytes: 1000, bid_bytes: 5000, files: 20, types: { pdf: "application/pdf", txt: "text/plain", zip: "application/zip", jpeg: "image/jpeg" } };

test("documents that the platform will not take are refused before they are sealed", async () => {
  const refused = (name, content) => assert.rejects(page.examined(new File([content], name), limits), { name: "FileRefused" });
  await refused("a.exe", "MZ");
  await refused("a.pdf", "no pdf");
  await refused("a.txt", "");
  await refused("a.txt", "x".repeat(1001));
  await refused("a.txt", "#!/bin/sh");
  await refused("a.txt", "a\u0000b");
  await refused("a.zip", "PK but no archive");
  await refused("fdp.\u202etxt", "text");
  await refused("noextension", "text");
  assert.deepEqual(await page.examined(new File(["%PDF-1.7"], "Offer.PDF"), limits), { name: "Offer.PDF", mediaType: "application/pdf" });
  assert.deepEqual(await page.examined(new File(["Größe"], "größe.txt"), limits), { name: "größe.txt", mediaType: "text/plain" });
});
