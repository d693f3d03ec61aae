/** The documents of a bid on its page: each is examined, sealed and sent by a worker, with how far it is and how long it takes. */
import { closest, csrfToken, language } from "../lib/dom";
import { say } from "../lib/words";
import { Refused, call, unbase64 } from "./api";
import { type Document, type Terms, infoOf } from "./content";
import { type Limits, FileRefused, examined } from "./filetypes";
import { hex } from "./hpke";
import type { Order, Report } from "./messages";
import { newFileKey, sealedSize } from "./stream";

export interface Settings {
  readonly terms: Terms;
  readonly limits: Limits;
  readonly uploads: string;
  readonly worker: string;
  readonly workerIntegrity: string;
  /** Whether the server keeps what a document is called, or only this browser does. */
  readonly keptHere: boolean;
}

interface Upload {
  readonly upload: string;
  readonly document: number;
  readonly largest_part: number;
}

interface Finished {
  readonly revision: number;
}

export interface Added {
  readonly document: Document;
  /** The draft's revision on the server that names it. */
  readonly revision: number;
}

const MIB = 1024 * 1024;

export function megabytes(bytes: number): string {
  const digits = bytes < 10 * MIB ? 1 : 0;
  return new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(bytes / MIB);
}

/** Seconds as a person says them: never more exact than they are. */
export function timeLeft(seconds: number): string {
  if (seconds < 10) return say("a few seconds left");
  if (seconds < 60) return say("about {count} s left", { count: Math.ceil(seconds / 10) * 10 });
  return say("about {count} min left", { count: Math.ceil(seconds / 60) });
}

class Row {
  readonly element: HTMLElement;
  private readonly bar: HTMLProgressElement;
  private readonly said: HTMLElement;
  private readonly cancelButton: HTMLButtonElement;
  private readonly retryButton: HTMLButtonElement;
  private started = 0;
  private startedAt = 0;

  constructor(list: HTMLElement, template: HTMLTemplateElement, name: string, cancel: () => void, retry: () => void) {
    this.element = template.content.firstElementChild!.cloneNode(true) as HTMLElement;
    const find = <T extends HTMLElement>(part: string): T => this.element.querySelector<T>(`[data-upload-${part}]`)!;
    find("name").textContent = name;
    this.bar = find<HTMLProgressElement>("bar");
    this.bar.setAttribute("aria-label", name);
    this.said = find("said");
    this.cancelButton = find<HTMLButtonElement>("cancel");
    this.retryButton = find<HTMLButtonElement>("retry");
    this.cancelButton.addEventListener("click", cancel);
    this.retryButton.addEventListener("click", retry);
    list.append(this.element);
    list.hidden = false;
  }

  waits(): void {
    this.element.classList.remove("is-failed");
    this.retryButton.hidden = true;
    this.bar.hidden = false;
    this.bar.removeAttribute("value");
    this.said.textContent = say("Waits for its turn");
    this.startedAt = 0;
  }

  goes(sent: number, size: number): void {
    const now = performance.now();
    if (!this.startedAt) [this.started, this.startedAt] = [sent, now];
    this.bar.max = size;
    this.bar.value = sent;
    const speed = (sent - this.started) / Math.max(1, now - this.startedAt);
    const left = speed > 0 && now - this.startedAt > 1500 ? ` · ${timeLeft((size - sent) / speed / 1000)}` : "";
    this.said.textContent = say("{sent} of {size} MB sealed and sent", { sent: megabytes(sent), size: megabytes(size) }) + left;
  }

  waitsForConnection(seconds: number): void {
    this.said.textContent = say("The connection is lost. Goes on in {count} s where it stopped; nothing has to be sent again.", { count: seconds });
    this.startedAt = 0;
  }

  fails(sentence: string): void {
    this.element.classList.add("is-failed");
    this.bar.hidden = true;
    this.retryButton.hidden = false;
    this.said.textContent = sentence;
  }

  gone(): void {
    this.element.remove();
  }
}

/** One after the other: the connection is the bottleneck, and the first is there sooner. */
export class Uploads {
  private readonly queue: (() => Promise<void>)[] = [];
  private running = false;
  private readonly open = new Set<Row>();

  constructor(
    private readonly settings: Settings,
    private readonly list: HTMLElement,
    private readonly template: HTMLTemplateElement,
    private readonly there: () => readonly Document[],
    private readonly added: (added: Added) => Promise<void>,
    private readonly refused: (sentence: string) => void,
  ) {}

  /** Documents that are chosen and not here yet. */
  get pending(): number {
    return this.open.size;
  }

  async add(file: File): Promise<void> {
    try {
      const { name, mediaType } = await examined(file, this.settings.limits);
      this.enqueue(file, name, mediaType);
    } catch (error) {
      if (!(error instanceof FileRefused)) throw error;
      this.refused(error.message);
    }
  }

  private enqueue(file: File, name: string, mediaType: string): void {
    const stop = new AbortController();
    const row = new Row(
      this.list,
      this.template,
      name,
      () => {
        stop.abort();
        this.open.delete(row);
        row.gone();
      },
      () => this.again(row, () => this.run(file, name, mediaType, row, stop.signal)),
    );
    this.again(row, () => this.run(file, name, mediaType, row, stop.signal));
  }

  private again(row: Row, work: () => Promise<void>): void {
    this.open.add(row);
    row.waits();
    this.queue.push(work);
    void this.next();
  }

  private async next(): Promise<void> {
    if (this.running) return;
    this.running = true;
    for (let work = this.queue.shift(); work; work = this.queue.shift()) await work();
    this.running = false;
  }

  private async run(file: File, name: string, mediaType: string, row: Row, stop: AbortSignal): Promise<void> {
    if (stop.aborted) return;
    try {
      const added = await this.send(file, name, mediaType, row, stop);
      if (!added) return;
      row.gone();
      this.open.delete(row);
      await this.added(added);
    } catch (error) {
      if (stop.aborted) return;
      row.fails(error instanceof Error ? error.message : String(error));
      if (!(error instanceof Refused) && !(error instanceof FileRefused)) console.error(error);
    }
  }

  private async send(file: File, name: string, mediaType: string, row: Row, stop: AbortSignal): Promise<Added | null> {
    const { settings } = this;
    const upload = await call<Upload>("POST", settings.uploads, { size: sealedSize(file.size) });
    const url = `${settings.uploads}${upload.upload}/`;
    const fileKey = newFileKey();
    const order: Order = {
      document: file,
      publicKey: unbase64(settings.terms.public_key),
      info: infoOf(settings.terms, `file:${upload.document}`),
      fileKey,
      url: new URL(url, location.href).href,
      csrf: csrfToken(),
      largestPart: upload.largest_part,
    };
    try {
      const sent = await this.work(order, row, stop);
      const same = this.there().find(({ sha256 }) => sha256 === sent.plainSha256);
      if (same) throw new FileRefused(say("This very document is in the bid already, as “{name}”.", { name: same.name }));
      const about = { name, media_type: mediaType, sha256: sent.plainSha256, key: hex(fileKey) };
      const { revision } = await call<Finished>("POST", `${url}finish/`, settings.keptHere ? { sha256: sent.sealedSha256, about } : { sha256: sent.sealedSha256 });
      return { document: { id: upload.document, size: file.size, sealed_sha256: sent.sealedSha256, ...about }, revision };
    } catch (error) {
      await call<void>("DELETE", url).catch(() => undefined);
      throw error;
    }
  }

  private async work(order: Order, row: Row, stop: AbortSignal): Promise<Extract<Report, { kind: "sent" }>> {
    const worker = await started(this.settings);
    return new Promise<Extract<Report, { kind: "sent" }>>((resolve, reject) => {
      stop.addEventListener("abort", () => reject(new Error("cancelled")));
      worker.onerror = () => reject(new Error(say("Sealing failed in this browser. Load the page again, or try another browser.")));
      worker.onmessage = ({ data: report }: MessageEvent<Report>) => {
        if (report.kind === "progress") row.goes(report.sent, report.size);
        else if (report.kind === "waiting") row.waitsForConnection(report.seconds);
        else if (report.kind === "sent") resolve(report);
        else reject(failure(report));
      };
      worker.postMessage(order);
    }).finally(() => worker.terminate());
  }
}

let verified = "";

/**
 * The worker is the very script this page was built with: the browser compares its hash, and the bytes that were compared are
 * started. From its address it would be fetched once more, unseen. Only this page's policy lets a worker start so.
 */
async function started({ worker, workerIntegrity }: Settings): Promise<Worker> {
  if (!verified) {
    const answer = await fetch(worker, workerIntegrity ? { integrity: workerIntegrity } : {}).catch(() => null);
    if (!answer?.ok) throw new Refused(0, "worker", say("The part of the page that seals documents could not be loaded. Check the connection and try again."));
    verified = URL.createObjectURL(new Blob([await answer.arrayBuffer()], { type: "text/javascript" }));
  }
  return new Worker(verified, { type: "module", name: "sealing" });
}

function failure({ why, sentence }: Extract<Report, { kind: "failed" }>): Error {
  if (why === "refused" && sentence) return new Refused(0, why, sentence);
  if (why === "login") return new Refused(0, why, say("You were logged out. Log in in another tab, then try again here."));
  if (why === "file") return new Refused(0, why, say("The file was changed, moved or removed while it was read. Choose it again."));
  if (why === "damaged") return new Refused(0, why, say("What arrived is not what was sent. Try again."));
  return new Error(say("Sealing failed in this browser. Load the page again, or try another browser."));
}

export function fileChoice(input: HTMLInputElement, dropped: HTMLElement, chosen: (file: File) => void): void {
  // Sealed here, they are never sent with the form.
  input.removeAttribute("name");
  input.addEventListener("change", () => {
    for (const file of input.files ?? []) chosen(file);
    input.value = "";
  });
  dropped.addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  dropped.addEventListener("drop", (event) => {
    if (!event.dataTransfer?.files.length || closest(event.target, "input")) return;
    event.preventDefault();
    for (const file of event.dataTransfer.files) chosen(file);
  });
}
