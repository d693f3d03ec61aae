/**
 * Runs the pages' code for committees on the command line, for the tests that compare it with Python's: reads a list of
 * [function, ...arguments] as JSON from standard input and prints the list of their answers. Bytes are {"hex": "…"}.
 */
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const built = await esbuild.build({
  stdin: { contents: 'export * from "./shamir"; export * from "./keys";', resolveDir: path.resolve(here, "../src/committee") },
  bundle: true,
  format: "esm",
  platform: "browser",
  write: false,
});
const page = await import(`data:text/javascript;base64,${Buffer.from(built.outputFiles[0].contents).toString("base64")}`);

const fromHex = (text) => Uint8Array.from(Buffer.from(text, "hex"));
const given = (value) => {
  if (Array.isArray(value)) return value.map(given);
  return typeof value?.hex === "string" ? fromHex(value.hex) : value;
};
const answered = (value) => {
  if (Array.isArray(value)) return value.map(answered);
  if (value instanceof Uint8Array) return { hex: Buffer.from(value).toString("hex") };
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, answered(part)]));
  return value;
};

const calls = {
  ...page,
  openWith: (privateKey, sealed, info) => page.openerOf(privateKey).open(sealed, info),
  openWithCertificate: (algorithm, pkcs8, sealed, info) => page.openerOfCertificate(algorithm, pkcs8.slice().buffer).open(sealed, info),
  unwrapAndOpen: async (wrapped, publicKey, passphrase, sealed, info) => (await page.unwrap(wrapped, publicKey, passphrase)).open(sealed, info),
};

let input = "";
for await (const chunk of process.stdin) input += chunk;
const answers = [];
for (const [name, ...values] of JSON.parse(input)) {
  try {
    answers.push(answered(await calls[name](...values.map(given))));
  } catch (error) {
    if (!["DoesNotOpen", "SharesRefused", "SealingError"].includes(error?.name)) throw error;
    answers.push({ refused: error.name });
  }
}
console.log(JSON.stringify(answers));
