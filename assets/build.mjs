/**
 * Builds the front end into marketplace/static/build/.
 *
 * Every script is one self-contained file, so that each has one hash a page can name (subresource integrity) and
 * one hash a person can compare with the published one. The file names carry no hash: the static files storage adds it.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.resolve(here, "../marketplace/static/build");
const watch = process.argv.includes("--watch");

const common = {
  absWorkingDir: here,
  bundle: true,
  charset: "utf8",
  legalComments: "linked",
  logLevel: "warning",
  minify: !watch,
  outdir: out,
  // light-dark() and dialogs are used as they are: browsers of 2024 and later.
  target: ["es2022", "chrome123", "firefox121", "safari17.5"],
};

const modules = {
  ...common,
  entryPoints: {
    app: "src/app.ts",
    signing: "src/signing.ts",
    sealing: "src/sealing.ts",
    "sealing-worker": "src/sealing/worker.ts",
    check: "src/check.ts",
    committee: "src/committee.ts",
    live: "src/live.ts",
    charts: "src/charts.ts",
  },
  format: "esm",
};

/** Classic scripts: one must run before the first paint, the other is loaded with its hash only when a key file needs it. */
const classic = {
  ...common,
  entryPoints: { theme: "src/theme.ts", forge: "src/forge.ts" },
  format: "iife",
};

const styles = {
  ...common,
  entryPoints: { app: "src/app.css", "app.rtl": "src/app.rtl.css" },
  assetNames: "fonts/[name]",
  loader: { ".woff2": "file", ".woff": "empty" },
};

async function iconSet() {
  const folder = path.join(here, "node_modules/@tabler/icons/icons/outline");
  const names = (await readdir(folder)).filter((name) => name.endsWith(".svg")).sort();
  const icons = {};
  for (const name of names) {
    const svg = await readFile(path.join(folder, name), "utf8");
    const body = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>"));
    icons[name.slice(0, -4)] = body.replace(/\s*\n\s*/g, "").trim();
  }
  return icons;
}

async function integrity() {
  const hashes = {};
  for (const name of (await readdir(out)).sort()) {
    if (!/\.(js|css)$/.test(name)) continue;
    hashes[name] = "sha384-" + createHash("sha384").update(await readFile(path.join(out, name))).digest("base64");
  }
  return hashes;
}

async function extras() {
  await writeFile(path.join(out, "icons.json"), JSON.stringify(await iconSet()));
  for (const name of ["favicon.svg", "logo.svg"]) {
    await writeFile(path.join(out, name), await readFile(path.join(here, "src", name)));
  }
  await writeFile(path.join(out, "integrity.json"), JSON.stringify(await integrity(), null, 2));
}

await mkdir(out, { recursive: true });
if (watch) {
  const refresh = { name: "extras", setup: (build) => build.onEnd(() => extras()) };
  for (const options of [modules, classic, styles]) {
    await (await esbuild.context({ ...options, plugins: [refresh] })).watch();
  }
  console.log("Watching assets/src …");
} else {
  await Promise.all([modules, classic, styles].map((options) => esbuild.build(options)));
  await extras();
  const files = Object.keys(await integrity());
  console.log(`Built ${files.length} scripts and style sheets into marketplace/static/build/`);
}
