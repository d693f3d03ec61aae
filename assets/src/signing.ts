/**
 * Signing in the browser: templates/components/_sign.html. The key file and its password are read here and nowhere else: their
 * inputs carry no name, so a form cannot send them, and this page's policy lets no other script run.
 */
import type { OldCiphers } from "./forge";
import { readPageTime, serverNow } from "./lib/clock";
import { all, language } from "./lib/dom";
import { say } from "./lib/words";
import { sign } from "./signing/cades";
import { describe } from "./signing/certificate";
import type { SigningKey } from "./signing/keys";
import { bytesOf, readKeyFile } from "./signing/pkcs12";
import { Refusal } from "./signing/refusal";

function part<T extends HTMLElement>(form: HTMLElement, name: string): T {
  const found = form.querySelector<T>(`[data-sign-${name}]`);
  if (!found) throw new Error(`the signing form lacks data-sign-${name}`);
  return found;
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function encode(bytes: Uint8Array): string {
  return btoa([...bytes].map((byte) => String.fromCharCode(byte)).join(""));
}

async function sha256(bytes: BufferSource): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The old ciphers come only for files of older tools, as a script of our own origin with its published hash. */
function loadOldCiphers(form: HTMLFormElement): Promise<OldCiphers> {
  const holder = globalThis as { openlotOldCiphers?: OldCiphers };
  if (holder.openlotOldCiphers) return Promise.resolve(holder.openlotOldCiphers);
  const notLoaded = new Refusal("file", say("This file is of an older kind, and the part that reads it could not be loaded. Check the connection and try again."));
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    if (form.dataset.forgeIntegrity) {
      script.integrity = form.dataset.forgeIntegrity;
      script.crossOrigin = "anonymous";
    }
    script.src = form.dataset.forge ?? "";
    script.addEventListener("load", () => (holder.openlotOldCiphers ? resolve(holder.openlotOldCiphers) : reject(notLoaded)));
    script.addEventListener("error", () => reject(notLoaded));
    document.head.append(script);
  });
}

class SigningForm {
  private readonly form: HTMLFormElement;
  private readonly file: HTMLInputElement;
  private readonly password: HTMLInputElement;
  private readonly button: HTMLButtonElement;
  private readonly status: HTMLElement;
  private readonly choice: HTMLElement;
  private keys: SigningKey[] = [];
  private busy = false;

  constructor(form: HTMLFormElement) {
    this.form = form;
    this.file = part(form, "file");
    this.password = part(form, "password");
    this.button = part(form, "button");
    this.status = part(form, "status");
    this.choice = part(form, "choice");
    this.button.addEventListener("click", () => void this.run());
    this.password.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      void this.run();
    });
    for (const input of [this.file, this.password]) {
      input.addEventListener("input", () => {
        this.keys = [];
        this.choice.hidden = true;
        this.clear();
      });
    }
    if (!globalThis.crypto?.subtle) {
      this.refuse(new Refusal("page", say("This browser signs on secure pages only (https, or this very machine). Sign elsewhere and upload the signature below.")));
      this.button.setAttribute("aria-disabled", "true");
    }
  }

  private clear(): void {
    for (const name of ["file", "password", "key", "page"]) {
      const slot = this.form.querySelector<HTMLElement>(`[data-sign-error="${name}"]`);
      if (slot) slot.hidden = true;
    }
    for (const input of [this.file, this.password]) {
      input.classList.remove("is-invalid");
      input.removeAttribute("aria-invalid");
    }
  }

  private refuse(refusal: Refusal): void {
    this.status.textContent = "";
    const slot = this.form.querySelector<HTMLElement>(`[data-sign-error="${refusal.field}"]`);
    if (slot) {
      const words = slot.querySelector("[data-sign-error-words]") ?? slot;
      words.textContent = refusal.message;
      slot.hidden = false;
    }
    const input = { file: this.file, password: this.password, key: null, page: null }[refusal.field];
    input?.classList.add("is-invalid");
    input?.setAttribute("aria-invalid", "true");
    if (refusal.field === "password") this.password.select();
    (input ?? slot)?.focus();
  }

  private async run(): Promise<void> {
    if (this.busy || this.button.getAttribute("aria-disabled") === "true") return;
    this.busy = true;
    this.clear();
    this.button.classList.add("is-busy");
    this.button.setAttribute("aria-busy", "true");
    try {
      if (this.keys.length === 0) this.keys = await this.open();
      const key = this.chosen();
      if (key) await this.signAndSend(key);
    } catch (error) {
      this.refuse(error instanceof Refusal ? error : new Refusal("page", say("Signing failed in this browser. Sign elsewhere and upload the signature below, or try another browser.")));
      if (!(error instanceof Refusal)) console.error(error);
    }
    this.busy = false;
    this.button.classList.remove("is-busy");
    this.button.removeAttribute("aria-busy");
  }

  private async open(): Promise<SigningKey[]> {
    const file = this.file.files?.[0];
    if (!file) throw new Refusal("file", say("Choose your key file (.p12 or .pfx)."));
    this.status.textContent = say("Opening the key file…");
    const keys = await readKeyFile(await bytesOf(file), this.password.value, () => loadOldCiphers(this.form));
    this.status.textContent = "";
    return keys;
  }

  /** The key to sign with; null while the person still has to choose. */
  private chosen(): SigningKey | null {
    const first = this.keys[0];
    if (this.keys.length === 1 && first) return this.checked(first);
    const picked = this.choice.querySelector<HTMLInputElement>("input:checked");
    if (!this.choice.hidden && picked) return this.checked(this.keys[Number(picked.value)] ?? first!);
    this.offer();
    return null;
  }

  private offer(): void {
    const list = part<HTMLElement>(this.choice, "keys");
    list.replaceChildren(
      ...this.keys.map(({ certificate }, index) => {
        const said = describe(certificate);
        const label = document.createElement("label");
        label.className = "sign-key";
        const radio = document.createElement("input");
        radio.type = "radio";
        radio.className = "form-check-input";
        radio.name = "sign-key";
        radio.setAttribute("form", ""); // of no form: never sent, and the arrow keys still go from one to the next
        radio.value = String(index);
        const text = document.createElement("span");
        const until = new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(said.until);
        text.textContent = [said.name, said.organisation, said.identifiers.join(", "), say("issued by {issuer}", { issuer: said.issuer }), say("valid until {date}", { date: until })]
          .filter(Boolean)
          .join(" · ");
        label.append(radio, text);
        return label;
      }),
    );
    this.choice.hidden = false;
    this.status.textContent = say("The file holds several keys. Choose one, then sign.");
    list.querySelector("input")?.focus();
  }

  /** Refused here already, with the names in it, what the server would refuse. */
  private checked(key: SigningKey): SigningKey {
    const said = describe(key.certificate);
    const now = serverNow();
    const date = (moment: Date): string => new Intl.DateTimeFormat(language, { dateStyle: "long" }).format(moment);
    if (said.until.getTime() < now) throw new Refusal("file", say("This certificate expired on {date}. Use a current one.", { date: date(said.until) }));
    if (said.from.getTime() > now) throw new Refusal("file", say("This certificate is not valid before {date}.", { date: date(said.from) }));
    const wanted = (this.form.dataset.identifiers ?? "").split(" ").filter(Boolean);
    if (wanted.length && said.identifiers.length && !said.identifiers.some((identifier) => wanted.includes(identifier))) {
      throw new Refusal(
        "file",
        say("This certificate belongs to {organisation} ({theirs}), but you sign for the organisation with {ours}.", {
          organisation: said.organisation || said.name,
          theirs: said.identifiers.join(", "),
          ours: wanted.join(", "),
        }),
      );
    }
    return key;
  }

  private async signAndSend(key: SigningKey): Promise<void> {
    this.status.textContent = say("Signing…");
    const payload = decode(this.form.dataset.payload ?? "");
    if ((await sha256(payload)) !== this.form.dataset.sha256) {
      throw new Refusal("page", say("What this page would sign is not what the server prepared. Load the page again."));
    }
    part<HTMLInputElement>(this.form, "value").value = encode(await sign(payload, key, new Date(serverNow())));
    this.password.value = "";
    this.keys = [];
    this.status.textContent = say("Signed by {name}. Sending…", { name: describe(key.certificate).name });
    this.form.requestSubmit(part<HTMLButtonElement>(this.form, "submit"));
  }
}

readPageTime();
for (const form of all<HTMLFormElement>(document, "form[data-sign]")) new SigningForm(form);
