/**
 * Whether a document may be part of a bid, asked before it is sealed: nobody can look into it until the opening, and
 * what is refused then is lost. The same questions as marketplace/services/files.py asks when it is opened.
 */
import { say } from "../lib/words";

export interface Limits {
  readonly file_bytes: number;
  readonly bid_bytes: number;
  readonly files: number;
  /** Extension to media type. */
  readonly types: Readonly<Record<string, string>>;
}

export class FileRefused extends Error {
  override readonly name = "FileRefused";
}

const HIDING = /[\u200b\u200e\u200f\u061c\u2028\u2029\u2060\ufeff\u00ad\u202a-\u202e\u2066-\u2069\p{Cc}\p{Cs}\p{Co}]/u;
const RUNS = new Set("app bat cmd com cpl dll exe hta jar js jse lnk msi ps1 reg scr sh vbe vbs wsf docm xlsm pptm".split(" "));
const NAME_MAX_LENGTH = 200;
const ARCHIVE_MAX_ENTRIES = 2000;
const OFFICE: Readonly<Record<string, string>> = { docx: "word/", xlsx: "xl/", pptx: "ppt/" };
const OPEN_DOCUMENT = new Set(["odt", "ods"]);
const HEADS: Readonly<Record<string, readonly (readonly number[])[]>> = {
  pdf: [[0x25, 0x50, 0x44, 0x46]],
  rtf: [[0x7b, 0x5c, 0x72, 0x74, 0x66]],
  jpg: [[0xff, 0xd8, 0xff]],
  png: [[0x89, 0x50, 0x4e, 0x47]],
  tif: [[0x49, 0x49, 0x2a, 0x00], [0x4d, 0x4d, 0x00, 0x2a]],
  dwg: [[0x41, 0x43, 0x31, 0x30]],
  p7s: [[0x30], [..."-----BEGIN PKCS7-----"].map((c) => c.charCodeAt(0)), [..."-----BEGIN CMS-----"].map((c) => c.charCodeAt(0))],
};

/** The document's name as it is kept, and its media type. Throws FileRefused with the sentence for the person. */
export async function examined(file: File, limits: Limits): Promise<{ name: string; mediaType: string }> {
  const name = safeName(file.name);
  const extension = extensionOf(name);
  const mediaType = limits.types[extension];
  if (mediaType === undefined) {
    throw new FileRefused(say("“{name}” is of a type that is not taken here. Allowed: {allowed}.", { name, allowed: Object.keys(limits.types).join(", ") }));
  }
  if (file.size === 0) throw new FileRefused(say("“{name}” is empty.", { name }));
  if (file.size > limits.file_bytes) {
    throw new FileRefused(say("“{name}” is larger than {limit} MB. Make it smaller, or split it.", { name, limit: Math.floor(limits.file_bytes / 1024 / 1024) }));
  }
  if (!(await genuine(file, extension))) {
    throw new FileRefused(say("The content of “{name}” is not what its extension says. Save it again in that format, or rename it.", { name }));
  }
  if (await holdsPrograms(file)) throw new FileRefused(say("“{name}” holds macros or programs. Save it without them and send it again.", { name }));
  return { name, mediaType };
}

function safeName(sent: string): string {
  const name = sent.normalize("NFC").replace(/^[ .]+|[ .]+$/g, "");
  if (!name || HIDING.test(name) || /[\\/]/.test(name)) {
    throw new FileRefused(say("The file’s name holds invisible characters that can disguise what it is. Rename the file and send it again."));
  }
  if ([...name].length > NAME_MAX_LENGTH) throw new FileRefused(say("“{name}” has too long a name. Rename it to at most {most} characters.", { name: [...name].slice(0, 40).join("") + "…", most: NAME_MAX_LENGTH }));
  return name;
}

function extensionOf(name: string): string {
  return name.includes(".") ? name.slice(name.lastIndexOf(".") + 1).toLowerCase() : "";
}

async function bytes(blob: Blob): Promise<Uint8Array> {
  return new Uint8Array(await blob.arrayBuffer());
}

async function genuine(file: Blob, extension: string): Promise<boolean> {
  const head = await bytes(file.slice(0, 8192));
  const known = HEADS[{ jpeg: "jpg", tiff: "tif" }[extension] ?? extension];
  if (known) return known.some((start) => start.every((byte, place) => head[place] === byte));
  if (extension === "zip" || extension in OFFICE || OPEN_DOCUMENT.has(extension)) {
    const names = await entries(file);
    if (names === null) return false;
    const part = OFFICE[extension];
    if (part) return names.includes("[Content_Types].xml") && names.some((name) => name.startsWith(part));
    if (OPEN_DOCUMENT.has(extension)) return names[0] === "mimetype";
    return names.length > 0 && names.length <= ARCHIVE_MAX_ENTRIES;
  }
  return isText(head);
}

function isText(head: Uint8Array): boolean {
  const wide = (head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff);
  if (!wide && head.some((byte) => byte < 32 && ![9, 10, 12, 13].includes(byte))) return false;
  const start = new TextDecoder("latin1").decode(head).replace(/^\u00ef\u00bb\u00bf/, "").trimStart().toLowerCase();
  return !["#!", "<script", "<html", "<!doctype html", "<svg"].some((beginning) => start.startsWith(beginning));
}

async function holdsPrograms(file: Blob): Promise<boolean> {
  const names = (await entries(file)) ?? [];
  return names.some((name) => name.toLowerCase().endsWith("vbaproject.bin") || RUNS.has(extensionOf(name)));
}

/** The names in a ZIP archive, from its central directory alone; null where there is none. */
async function entries(file: Blob): Promise<string[] | null> {
  const head = await bytes(file.slice(0, 2));
  if (head[0] !== 0x50 || head[1] !== 0x4b) return null;
  const tail = await bytes(file.slice(Math.max(0, file.size - 65_557)));
  const view = new DataView(tail.buffer);
  let end = tail.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end -= 1;
  if (end < 0) return null;
  const [size, start] = [view.getUint32(end + 12, true), view.getUint32(end + 16, true)];
  if (start + size > file.size || size > 64 * 1024 * 1024) return null;
  return namesIn(await bytes(file.slice(start, start + size)));
}

function namesIn(directory: Uint8Array): string[] | null {
  const view = new DataView(directory.buffer);
  const names: string[] = [];
  for (let place = 0; place + 46 <= directory.length; ) {
    if (view.getUint32(place, true) !== 0x02014b50) return null;
    const length = view.getUint16(place + 28, true);
    names.push(new TextDecoder().decode(directory.subarray(place + 46, place + 46 + length)));
    place += 46 + length + view.getUint16(place + 30, true) + view.getUint16(place + 32, true);
  }
  return names;
}
