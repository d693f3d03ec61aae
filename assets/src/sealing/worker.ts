/**
 * Seals one document and sends it, part by part: a few pieces of it are in memory, whatever its size. While one part is on
 * its way the next is sealed. A lost connection is waited out, and the server is asked where to go on.
 */
import type { Order, Report } from "./messages";
import { type Bytes, joined } from "./hpke";
import { Digest, Sealer } from "./stream";

/** Bytes of ciphertext sent in one go, in whole pieces: a part is lost with the connection, and not more. */
const PART = 8 * 1024 * 1024;
const LONGEST_WAIT = 15;

class Failure extends Error {
  constructor(
    readonly why: Extract<Report, { kind: "failed" }>["why"],
    readonly sentence = "",
  ) {
    super(why);
  }
}

/** The connection was lost, or the server is busy: worth another try. */
class Lost extends Error {}

interface Part {
  readonly offset: number;
  readonly bytes: Bytes;
}

function tell(report: Report): void {
  postMessage(report);
}

async function* parts(sealer: Sealer, largest: number, sealed: Digest, plain: Digest): AsyncGenerator<Part> {
  let [offset, waiting, size]: [number, Bytes[], number] = [0, [], 0];
  const taken = (): Part => {
    const part = { offset, bytes: joined(waiting) };
    [offset, waiting, size] = [offset + size, [], 0];
    return part;
  };
  for await (const piece of sealer.pieces()) {
    if (size && size + piece.sealed.length > largest) yield taken();
    sealed.add(piece.sealed);
    plain.add(piece.plain);
    waiting.push(piece.sealed);
    size += piece.sealed.length;
  }
  yield taken();
}

interface Answer {
  readonly status: number;
  readonly body: { received?: number; offset?: number; detail?: string; title?: string };
}

/** XMLHttpRequest, because it tells how much of a body is on its way. */
function asked(method: "GET" | "PUT", url: string, csrf: string, body: Bytes | null, progress: (sent: number) => void): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.responseType = "json";
    request.timeout = 120_000;
    request.setRequestHeader("Accept", "application/json");
    if (body) {
      request.setRequestHeader("X-CSRFToken", csrf);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.upload.onprogress = (event) => progress(event.loaded);
    }
    request.onload = () => resolve({ status: request.status, body: (request.response as Answer["body"] | null) ?? {} });
    request.onerror = request.ontimeout = () => reject(new Lost());
    // As a Blob: the browser copies a buffer to its network process bit by bit, which takes twelve times as long.
    request.send(body && new Blob([body]));
  });
}

function settled({ status, body }: Answer): Answer {
  if (status === 401 || status === 403) throw new Failure("login", body.detail);
  if (status === 0 || status === 429 || (status >= 500 && status !== 507)) throw new Lost();
  return { status, body };
}

async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
  for (let wait = 1; ; wait = Math.min(wait * 2, LONGEST_WAIT)) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      tell({ kind: "waiting", seconds: wait });
      await new Promise((resolve) => setTimeout(resolve, wait * 1000));
    }
  }
}

/** Puts one part. After a lost connection the server may have it already: it is asked before it is sent again. */
async function put(order: Order, part: Part, size: number): Promise<void> {
  const after = part.offset + part.bytes.length;
  let again = false;
  await patiently(async () => {
    if (again && (await received(order)) === after) return;
    again = true;
    const progress = (sent: number): void => tell({ kind: "progress", sent: Math.min(part.offset + sent, after), size });
    const { status, body } = settled(await asked("PUT", `${order.url}?offset=${part.offset}`, order.csrf, part.bytes, progress));
    if (status === 409 && body.offset === after) return;
    if (status !== 200) throw new Failure(body.offset === undefined ? "refused" : "damaged", body.detail ?? body.title);
  });
  tell({ kind: "progress", sent: after, size });
}

async function received(order: Order): Promise<number> {
  const { status, body } = settled(await asked("GET", order.url, order.csrf, null, () => undefined));
  if (status !== 200) throw new Failure("refused", body.detail ?? body.title);
  return body.received ?? 0;
}

async function send(order: Order): Promise<void> {
  const sealer = await Sealer.of(order.document, order.publicKey, order.info, order.fileKey);
  const [sealed, plain] = [new Digest(), new Digest()];
  let under: Promise<void> = Promise.resolve();
  for await (const part of parts(sealer, Math.min(PART, order.largestPart), sealed, plain)) {
    await under;
    under = put(order, part, sealer.size);
    under.catch(() => undefined); // awaited above or below
  }
  await under;
  tell({ kind: "sent", sealedSha256: sealed.hex(), plainSha256: plain.hex() });
}

addEventListener("message", (event: MessageEvent<Order>) => {
  send(event.data).catch((error: unknown) => {
    if (error instanceof Failure) tell({ kind: "failed", why: error.why, sentence: error.sentence });
    // A file that was changed, moved or unplugged while it was read.
    else if (error instanceof DOMException && ["NotReadableError", "NotFoundError"].includes(error.name)) tell({ kind: "failed", why: "file", sentence: "" });
    else tell({ kind: "failed", why: "unknown", sentence: String(error) });
  });
});
