/**
 * Seals and opens a file on the command line with the code of the pages, for the tests that compare it with Python's.
 *
 *   node tools/sealing.mjs seal PUBLIC_KEY INFO SOURCE TARGET      prints {"size", "sha256", "plainSha256"}
 *   node tools/sealing.mjs open PRIVATE_KEY INFO SOURCE TARGET
 *   node tools/sealing.mjs seal-raw | open-raw KEY INFO SOURCE TARGET     one HPKE message, no chunks
 *   node tools/sealing.mjs public-key PRIVATE_KEY                  prints it
 *
 * Keys and INFO are hexadecimal. Exit status 1: what is to be opened does not open.
 */
import { openAsBlob } from "node:fs";
import { open as openFile, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const built = await esbuild.build({
  stdin: { contents: 'export * from "./hpke"; export * from "./stream";', resolveDir: path.resolve(here, "../src/sealing") },
  bundle: true,
  format: "esm",
  platform: "browser",
  write: false,
});
const page = await import(`data:text/javascript;base64,${Buffer.from(built.outputFiles[0].contents).toString("base64")}`);

const [command, keyText, infoText = "", source, target] = process.argv.slice(2);
const key = page.unhex(keyText);
const info = page.unhex(infoText);

async function sealDocument() {
  const sealer = await page.Sealer.of(await openAsBlob(source), key, info, page.newFileKey());
  const [sealedDigest, plainDigest] = [new page.Digest(), new page.Digest()];
  const out = await openFile(target, "w");
  for await (const { plain, sealed } of sealer.pieces()) {
    sealedDigest.add(sealed);
    plainDigest.add(plain);
    await out.write(sealed);
  }
  await out.close();
  console.log(JSON.stringify({ size: sealer.size, sha256: sealedDigest.hex(), plainSha256: plainDigest.hex() }));
}

async function openDocument() {
  const out = await openFile(target, "w");
  for await (const plain of page.openWith(key, await openAsBlob(source), info)) await out.write(plain);
  await out.close();
}

const commands = {
  seal: sealDocument,
  open: openDocument,
  "seal-raw": async () => writeFile(target, await page.seal(key, new Uint8Array(await readFile(source)), info)),
  "open-raw": async () => writeFile(target, await page.open(key, new Uint8Array(await readFile(source)), info)),
  "public-key": async () => console.log(page.hex((await page.keyPairOf(key)).publicKey)),
};
try {
  await commands[command]();
} catch (error) {
  if (error?.name !== "SealingError") throw error;
  console.error(error.message);
  process.exitCode = 1;
}
