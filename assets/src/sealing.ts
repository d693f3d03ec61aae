/**
 * The pages on which a bid is prepared, sealed and signed: templates/procurement/bid_edit.html and bid_sign.html. What is
 * typed and chosen is sealed to the lot's key here; what leaves this page is ciphertext, but for the draft of a lot whose
 * key the platform holds.
 */
import { display, parse } from "./lib/decimal";
import { all, csrfToken, language } from "./lib/dom";
import { say } from "./lib/words";
import { Refused } from "./sealing/api";
import type { Document } from "./sealing/content";
import { type AnswerProblem, type Answers, bound, counts, read as readAnswers } from "./sealing/criteria";
import { type Added, type Settings, Uploads, fileChoice, megabytes } from "./sealing/documents";
import * as drafts from "./sealing/draft";
import { names, sealAndPrepare, sealedFor } from "./sealing/review";
import { type Table, read } from "./sealing/table";

interface Known {
  readonly id: number;
  readonly name: string;
  readonly media_type: string;
  readonly size: number;
  readonly sha256: string;
  readonly arrived: boolean;
  readonly remove: string;
}

interface PageSettings extends Settings {
  readonly documents: readonly Known[];
  readonly prepare: string;
  /** The address of the signing page, with NONCE in its place. */
  readonly sign: string;
  readonly problems: Readonly<Record<string, string>>;
  readonly answerProblems: Readonly<Record<AnswerProblem, string>>;
}

const SAVE_AFTER = 800;

class BidPage {
  private readonly form: HTMLFormElement;
  private readonly settings: PageSettings;
  private readonly uploads: Uploads;
  private readonly review: HTMLButtonElement | null;
  private readonly saved: HTMLElement;
  private documents: Document[];
  private timer = 0;
  private sealing = false;

  constructor(form: HTMLFormElement, settings: PageSettings) {
    this.form = form;
    this.settings = settings;
    this.review = form.querySelector("[data-review]");
    this.saved = form.querySelector<HTMLElement>("[data-saved]")!;
    this.documents = settings.documents.filter(({ arrived, sha256 }) => arrived && sha256).map((known) => ({ ...known, key: "" }));
    const list = form.querySelector<HTMLElement>("[data-uploads]")!;
    this.uploads = new Uploads(
      settings,
      list,
      form.querySelector<HTMLTemplateElement>("[data-upload-row]")!,
      () => this.documents,
      (added) => this.add(added),
      (sentence) => this.refuse("file", sentence),
    );
    fileChoice(form.querySelector<HTMLInputElement>("#file")!, form.querySelector<HTMLElement>("#documents")!, (file) => {
      this.clear("file");
      void this.uploads.add(file);
    });
    form.addEventListener("submit", (event) => this.submitted(event), { capture: true });
    addEventListener("beforeunload", (event) => {
      if (this.uploads.pending && !this.sealing) event.preventDefault();
    });
    if (settings.terms.criteria) {
      // After the table's own listener: the limit is of what the total counts as.
      form.addEventListener("input", () => this.effect());
      this.effect();
    }
    if (!settings.keptHere) void this.keepHere();
  }

  private get typed(): Map<number, string> {
    return new Map(this.settings.terms.items.map(({ item }) => [item, this.price(item).value]));
  }

  private get fields(): (HTMLInputElement | HTMLSelectElement)[] {
    return all<HTMLInputElement | HTMLSelectElement>(this.form, "[data-answer]");
  }

  private get answered(): Map<string, string> {
    return new Map(this.fields.map((field) => [field.dataset.answer ?? "", field.value]));
  }

  private get answers(): Answers | null {
    const { criteria, digits, direction } = this.settings.terms;
    return criteria && readAnswers(criteria, this.answered, digits, direction);
  }

  /** The total that just meets the limit price with the answers as they are; null where there is none to meet. */
  private get limit(): string | null {
    const { limit, digits, direction } = this.settings.terms;
    const { answers } = this;
    return answers && limit !== null ? bound(answers.formula, limit, digits, direction) : limit;
  }

  private get remarks(): string {
    return this.form.querySelector<HTMLTextAreaElement>("#remarks")!.value.replace(/\r\n?/g, "\n");
  }

  private price(item: number): HTMLInputElement {
    return this.form.querySelector<HTMLInputElement>(`#price_${item}`)!;
  }

  /** What the total counts as, as one types. */
  private effect(): void {
    const { terms } = this.settings;
    const { answers, limit } = this;
    const table = read(terms.items, this.typed, terms.digits, limit, terms.direction);
    const priced = table.lines.some(({ problem }) => problem === null);
    for (const part of all(this.form, "[data-counts]")) part.hidden = !answers || !priced;
    if (!answers) return;
    for (const part of all(this.form, "[data-counts-as]")) part.textContent = `${this.money(counts(answers.formula, table.total, terms.digits))} ${terms.currency}`;
    for (const part of all(this.form, "[data-arithmetic]")) part.textContent = answers.arithmetic(table.total);
    for (const warning of all(this.form, "[data-beyond-limit]")) warning.hidden = !priced || !table.beyondLimit;
  }

  private money(text: string): string {
    const value = parse(text);
    return value ? display(value, this.settings.terms.digits, language) : text;
  }

  /* Drafts that stay in this browser */

  private async keepHere(): Promise<void> {
    try {
      const draft = await drafts.load(this.settings.terms);
      if (draft) this.fill(draft);
    } catch {
      this.say(say("This browser keeps no data for this site, so nothing can be saved here. Save the draft as a file before you leave."), true);
    }
    this.list();
    this.count();
    this.form.addEventListener("input", (event) => {
      if (event.target instanceof HTMLInputElement && event.target.type === "file") return;
      this.count();
      clearTimeout(this.timer);
      this.timer = window.setTimeout(() => void this.save(), SAVE_AFTER);
    });
    addEventListener("pagehide", () => void this.save());
    this.form.querySelector("[data-draft-export]")?.addEventListener("click", () => void this.export());
    this.form.querySelector<HTMLInputElement>("[data-draft-import]")?.addEventListener("change", (event) => void this.import(event.target as HTMLInputElement));
    this.form.querySelector("[data-draft-save]")?.addEventListener("click", () => void this.save());
  }

  private fill(draft: drafts.LocalDraft): void {
    for (const { item } of this.settings.terms.items) this.price(item).value = draft.prices[item] ?? "";
    this.form.querySelector<HTMLTextAreaElement>("#remarks")!.value = draft.remarks;
    for (const field of this.fields) field.value = draft.answers?.[field.dataset.answer ?? ""] ?? "";
    const there = new Map(this.settings.documents.filter(({ arrived }) => arrived).map(({ id, size }) => [id, size]));
    this.documents = draft.documents.filter(({ id, size }) => there.get(id) === size);
    this.form.querySelector("[data-price-table]")?.dispatchEvent(new Event("input", { bubbles: true }));
  }

  private async save(): Promise<drafts.LocalDraft | null> {
    clearTimeout(this.timer);
    try {
      const draft = await drafts.save(this.settings.terms, this.typed, this.remarks, this.documents, this.answered);
      const time = new Date().toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
      this.say(say("Saved in this browser {time}", { time }), false);
      return draft;
    } catch {
      this.say(say("Not saved: this browser’s storage refused it. Save the draft as a file."), true);
      return null;
    }
  }

  private async export(): Promise<void> {
    const draft = (await this.save()) ?? {
      format: "openlot-draft-1" as const, bid: this.settings.terms.bid, lot: this.settings.terms.lot, prices: Object.fromEntries(this.typed),
      remarks: this.remarks, answers: Object.fromEntries(this.answered), documents: this.documents, saved_at: new Date().toISOString(),
    };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(drafts.asFile(draft));
    link.download = `bid-${this.settings.terms.bid}-draft.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  private async import(input: HTMLInputElement): Promise<void> {
    const [file] = input.files ?? [];
    this.clear("import");
    if (!file) return;
    try {
      this.fill(await drafts.fromFile(file, this.settings.terms));
      this.list();
      this.count();
      await this.save();
    } catch (error) {
      this.refuse("import", error instanceof Error ? error.message : String(error));
    }
    input.value = "";
  }

  /** What the server says beside other bids as they are saved. */
  private count(): void {
    const { items, digits, limit } = this.settings.terms;
    const { lines } = read(items, this.typed, digits, limit);
    const priced = lines.filter(({ problem }) => problem === null).length;
    for (const part of all(this.form, "[data-priced]")) {
      part.textContent = say("{priced} of {all} items have a price.", { priced, all: items.length });
    }
  }

  /** Names are known here alone; what this browser does not know is said to be so. */
  private list(): void {
    const known = new Map(this.documents.map((one) => [one.id, one]));
    const unknown = this.settings.documents.filter(({ id, arrived }) => arrived && !known.has(id)).length;
    for (const row of all(this.form, "[data-document]")) {
      const one = known.get(Number(row.dataset.document));
      const name = row.querySelector("[data-document-name]");
      if (one && name) name.textContent = one.name;
    }
    for (const note of all(this.form, "[data-unknown-documents]")) note.hidden = unknown === 0;
  }

  /* Documents */

  private async add({ document: added, revision }: Added): Promise<void> {
    for (const input of all<HTMLInputElement>(this.form, "input[name=revision]")) input.value = String(revision);
    this.documents = [...this.documents.filter(({ id }) => id !== added.id), added];
    const template = this.form.querySelector<HTMLTemplateElement>("[data-document-row]")!;
    const row = template.content.firstElementChild!.cloneNode(true) as HTMLElement;
    row.dataset.document = String(added.id);
    row.querySelector("[data-document-name]")!.textContent = added.name;
    row.querySelector("[data-document-note]")!.textContent = say("{size} MB · sealed", { size: megabytes(added.size) });
    const remove = row.querySelector<HTMLButtonElement>("button")!;
    remove.formAction = remove.formAction.replace(/\/0\/remove\/$/, `/${added.id}/remove/`);
    remove.setAttribute("aria-label", say("Remove {name}", { name: added.name }));
    const list = this.form.querySelector<HTMLElement>("[data-documents]")!;
    list.append(row);
    list.hidden = false;
    if (this.settings.keptHere) await this.saveOnServer();
    else await this.save();
  }

  /* Review */

  private submitted(event: SubmitEvent): void {
    const button = event.submitter as HTMLButtonElement | null;
    if (button === this.review && button) {
      event.preventDefault();
      event.stopImmediatePropagation();
      void this.sealIt();
    } else if (!this.settings.keptHere && !button?.formAction.includes("/remove/")) {
      // Enter in a field: nothing of this form is ever sent as it stands.
      event.preventDefault();
      event.stopImmediatePropagation();
      void this.save();
    }
  }

  private async sealIt(): Promise<void> {
    if (this.sealing || !this.review) return;
    this.sealing = true;
    this.clear("review");
    this.review.classList.add("is-busy");
    this.review.setAttribute("aria-busy", "true");
    try {
      const nonce = await this.sealed();
      if (nonce) {
        location.assign(this.settings.sign.replace("NONCE", nonce));
        return;
      }
    } catch (error) {
      this.refuse("review", error instanceof Refused ? error.message : say("Sealing failed in this browser. Load the page again, or try another browser."));
      if (!(error instanceof Refused)) console.error(error);
    }
    this.sealing = false;
    this.review.classList.remove("is-busy");
    this.review.removeAttribute("aria-busy");
  }

  private async sealed(): Promise<string | null> {
    const { terms } = this.settings;
    const { answers } = this;
    const table = read(terms.items, this.typed, terms.digits, this.limit, terms.direction);
    if (!this.complete(table, answers)) return null;
    if (this.uploads.pending) return this.refuse("review", say("Wait until the documents have arrived, or cancel those that have not."));
    const known = new Set(this.documents.map(({ id }) => id));
    if (this.settings.documents.some(({ id, arrived }) => !arrived || !known.has(id))) {
      return this.refuse("review", this.settings.keptHere ? say("Not every document has arrived whole. Remove the unfinished ones and add them again.") : say("This browser does not know every document of the bid. Load the draft from the file you saved, or remove those documents."));
    }
    if (this.settings.keptHere ? !(await this.saveOnServer()) : !(await this.save())) return this.refuse("review", this.saved.textContent || say("Not saved yet: the connection is lost. Trying again."));
    return sealAndPrepare(terms, table, this.remarks, [...this.documents].sort((a, b) => a.id - b.id), answers, this.settings.prepare);
  }

  private complete(table: Table, answers: Answers | null): boolean {
    let first: HTMLElement | null = null;
    for (const { item, problem } of table.lines) {
      const input = this.price(item);
      input.classList.toggle("is-invalid", problem !== null);
      input.setAttribute("aria-invalid", String(problem !== null));
      const said = input.parentElement?.querySelector<HTMLElement>("[data-price-error]");
      if (said) said.textContent = problem ? (this.settings.problems[problem] ?? "") : "";
      if (problem) first ??= input;
    }
    const priced = first === null;
    for (const { question, problem } of answers?.given ?? []) {
      const field = this.fields.find((one) => one.dataset.answer === question.name);
      if (!field) continue;
      field.classList.toggle("is-invalid", problem !== null);
      field.setAttribute("aria-invalid", String(problem !== null));
      const said = field.parentElement?.querySelector<HTMLElement>("[data-answer-error]");
      if (said) said.textContent = problem ? this.settings.answerProblems[problem] : "";
      if (problem) first ??= field;
    }
    if (first) {
      this.refuse("review", priced ? say("Not everything that counts besides the price is answered.") : say("The price table is not complete."));
      (first as HTMLElement).focus();
    } else if (table.tooLarge) {
      this.refuse("review", say("The lines together are larger than any price can be. Look for a comma or a zero too many in the unit prices."));
    } else if (table.beyondLimit && answers) {
      this.refuse("review", say("What the total counts as does not meet the limit price: such a bid is not taken."));
    } else if (table.beyondLimit) {
      this.refuse("review", this.settings.terms.direction === "up" ? say("The total is below the reserve price: such a bid is not taken.") : say("The total is above the limit price: such a bid is not taken."));
    }
    return first === null && !table.tooLarge && !table.beyondLimit;
  }

  /** The draft that the server keeps is the one that is sealed. Saving may meet the form's own saving: then once more. */
  private async saveOnServer(): Promise<boolean> {
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const body = new FormData(this.form);
      const answer = await fetch(this.form.action, { method: "POST", body, headers: { "X-Autosave": "yes", "X-CSRFToken": csrfToken(), Accept: "application/json" }, redirect: "manual" }).catch(() => null);
      if (answer?.ok) {
        const revision = answer.headers.get("X-Revision");
        for (const input of all<HTMLInputElement>(this.form, "input[name=revision]")) input.value = revision ?? input.value;
        await this.renew(answer);
        return true;
      }
      if (answer?.status !== 409) break;
      const problem = (await answer.json().catch(() => ({}))) as { code?: string; detail?: string; revision?: number };
      if (problem.code !== "stale") throw new Refused(409, problem.code ?? "", problem.detail ?? "");
      await new Promise((resolve) => setTimeout(resolve, 1200));
      if (attempt === 2) throw new Refused(409, "stale", problem.detail ?? "");
    }
    return false;
  }

  private async renew(answer: Response): Promise<void> {
    const { parts = {} } = (await answer.json().catch(() => ({}))) as { parts?: Record<string, string> };
    for (const [id, text] of Object.entries(parts)) {
      const part = new DOMParser().parseFromString(text, "text/html").getElementById(id);
      if (part) document.getElementById(id)?.replaceWith(part);
    }
  }

  /* Words */

  private say(text: string, failing: boolean): void {
    this.saved.textContent = text;
    this.saved.classList.toggle("is-failing", failing);
  }

  private refuse(place: "file" | "review" | "import", sentence: string): null {
    const slot = this.form.querySelector<HTMLElement>(`[data-sealing-error="${place}"]`);
    if (slot) {
      slot.querySelector("[data-sealing-error-words]")!.textContent = sentence;
      slot.hidden = false;
      slot.scrollIntoView({ block: "nearest" });
    }
    return null;
  }

  private clear(place: "file" | "review" | "import"): void {
    const slot = this.form.querySelector<HTMLElement>(`[data-sealing-error="${place}"]`);
    if (slot) slot.hidden = true;
  }
}

/** The page where a bid is signed: what was sealed is shown from this browser, and compared with what is signed. */
async function signingPage(root: HTMLElement): Promise<void> {
  const sealed = await sealedFor(root.dataset.sealed ?? "").catch(() => null);
  const form = document.querySelector<HTMLFormElement>("form[data-sign]");
  const show = (name: string): void => {
    for (const part of all(root, `[data-sealed-${name}]`)) part.hidden = false;
  };
  if (!sealed || !form) return show("unknown");
  const payload = new TextDecoder().decode(Uint8Array.from(atob(form.dataset.payload ?? ""), (c) => c.charCodeAt(0)));
  if (!names(payload, sealed)) {
    form.querySelector("[data-sign-button]")?.setAttribute("aria-disabled", "true");
    return show("mismatch");
  }
  show("match");
  const digits = Number(root.dataset.digits ?? 2);
  const money = (text: string): string => {
    const value = parse(text);
    return value ? display(value, digits, language) : text;
  };
  for (const { item, unit_price, amount } of sealed.lines) {
    for (const cell of all(root, `[data-sealed-price="${item}"]`)) cell.textContent = money(unit_price);
    for (const cell of all(root, `[data-sealed-amount="${item}"]`)) cell.textContent = money(amount);
  }
  const answered = new Map((sealed.answers ?? []).map(({ question, answer }) => [question, answer]));
  for (const cell of all(root, "[data-sealed-answer]")) cell.textContent = answered.get(cell.dataset.sealedAnswer ?? "") ?? "—";
  for (const part of all(root, "[data-sealed-counts]")) {
    part.hidden = !sealed.counts;
    part.querySelector("[data-sealed-counts-as]")!.textContent = sealed.counts ?? "";
  }
  for (const cell of all(root, "[data-sealed-total]")) cell.textContent = money(sealed.total);
  for (const part of all(root, "[data-sealed-remarks]")) {
    part.querySelector("p")!.textContent = sealed.remarks;
    part.hidden = sealed.remarks === "";
  }
  for (const list of all(root, "[data-sealed-documents]")) {
    list.querySelector("ul")!.replaceChildren(
      ...sealed.documents.map(({ name, size }) => {
        const row = document.createElement("li");
        const text = document.createElement("bdi");
        text.textContent = name;
        row.append(text, ` · ${megabytes(size)} MB`);
        return row;
      }),
    );
    list.hidden = sealed.documents.length === 0;
  }
}

const settings = document.getElementById("sealing-settings");
for (const form of all<HTMLFormElement>(document, "form[data-sealing]")) {
  if (!globalThis.crypto?.subtle) {
    for (const note of all(form, "[data-sealing-insecure]")) note.hidden = false;
  } else if (settings?.textContent) new BidPage(form, JSON.parse(settings.textContent) as PageSettings);
}
for (const mark of all(document, "[data-forget-draft]")) void drafts.erase(Number(mark.dataset.forgetDraft)).catch(() => undefined);
for (const root of all(document, "[data-sealed]")) void signingPage(root);
