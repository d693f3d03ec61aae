/** Forms lose nothing and submit once: the guard against double clicks, the guard against leaving, drafts that save themselves. */
import { all, language, once } from "../lib/dom";
import { say } from "../lib/words";
import { note } from "./notes";

type Field = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;
type Values = Record<string, string[]>;

const SECRET = new Set(["password", "file", "hidden", "submit", "button"]);

function fields(form: HTMLFormElement): Field[] {
  return [...form.elements].filter(
    (element): element is Field =>
      (element instanceof HTMLInputElement || element instanceof HTMLSelectElement || element instanceof HTMLTextAreaElement) &&
      Boolean(element.name) &&
      !SECRET.has(element.type),
  );
}

function values(form: HTMLFormElement): Values {
  const found: Values = {};
  for (const field of fields(form)) {
    const several = (found[field.name] ??= []);
    if (field instanceof HTMLInputElement && (field.type === "checkbox" || field.type === "radio")) {
      if (field.checked) several.push(field.value);
    } else if (field instanceof HTMLSelectElement) {
      several.push(...[...field.selectedOptions].map((option) => option.value));
    } else {
      several.push(field.value);
    }
  }
  return found;
}

function fill(form: HTMLFormElement, kept: Values): boolean {
  let changed = false;
  const taken: Record<string, number> = {};
  for (const field of fields(form)) {
    const wanted = kept[field.name];
    if (!wanted) continue;
    if (field instanceof HTMLInputElement && (field.type === "checkbox" || field.type === "radio")) {
      changed ||= field.checked !== wanted.includes(field.value);
      field.checked = wanted.includes(field.value);
    } else if (field instanceof HTMLSelectElement) {
      for (const option of field.options) {
        changed ||= option.selected !== wanted.includes(option.value);
        option.selected = wanted.includes(option.value);
      }
    } else {
      const value = wanted[(taken[field.name] = (taken[field.name] ?? -1) + 1)] ?? field.value;
      changed ||= field.value !== value;
      field.value = value;
    }
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  return changed;
}

function addressOf(form: HTMLFormElement): string {
  return new URL(form.getAttribute("action") || location.href, location.href).pathname;
}

/* What was sent stays in this tab until the server has taken it: after a refusal the form is filled with it again. */

const SENT = "openlot.sent:";
const REFUSED = "openlot.refused";

function keep(form: HTMLFormElement): void {
  try {
    sessionStorage.setItem(SENT + addressOf(form), JSON.stringify(values(form)));
  } catch {
    // no storage: the browser's own Back still has the input
  }
}

export function restoreRefused(): void {
  if (document.querySelector(".error-page")) {
    sessionStorage.setItem(REFUSED, location.pathname);
    return;
  }
  const refused = sessionStorage.getItem(REFUSED);
  sessionStorage.removeItem(REFUSED);
  for (const key of Object.keys(sessionStorage)) {
    if (!key.startsWith(SENT)) continue;
    const form = all<HTMLFormElement>(document, "form[method=post]").find((one) => addressOf(one) === key.slice(SENT.length));
    if (form && refused === key.slice(SENT.length)) {
      const kept = JSON.parse(sessionStorage.getItem(key) ?? "{}") as Values;
      if (fill(form, kept)) note(say("What you had typed is filled in again."), "info");
    }
    if (form || refused !== key.slice(SENT.length)) sessionStorage.removeItem(key);
  }
}

/* Once */

export function submitGuards(): void {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.method !== "post" || event.defaultPrevented) return;
    if (form.dataset.sending) {
      event.preventDefault();
      return;
    }
    if (form.hasAttribute("hx-post") || form.hasAttribute("hx-put") || form.hasAttribute("data-no-guard")) return;
    form.dataset.sending = "yes";
    if (!form.hasAttribute("data-no-keep")) keep(form);
    const button = event.submitter;
    button?.classList.add("is-busy");
    button?.setAttribute("aria-busy", "true");
    // A download or a refused connection leaves the page in place: the button must come back.
    setTimeout(() => release(form), 15_000);
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) for (const form of all<HTMLFormElement>(document, "form[data-sending]")) release(form);
  });
}

function release(form: HTMLFormElement): void {
  delete form.dataset.sending;
  for (const button of all(form, ".is-busy")) {
    button.classList.remove("is-busy");
    button.removeAttribute("aria-busy");
  }
}

/* Leaving */

const dirty = new Set<HTMLFormElement>();

export function leaveGuards(root: ParentNode): void {
  for (const form of all<HTMLFormElement>(root, "form[data-guard]")) {
    if (!once(form, "guard")) continue;
    form.addEventListener("input", () => dirty.add(form));
    form.addEventListener("submit", () => dirty.delete(form));
  }
}

export function watchLeaving(): void {
  addEventListener("beforeunload", (event) => {
    if ([...dirty].some((form) => form.isConnected)) event.preventDefault();
  });
}

/* Drafts: a form with data-autosave="address" is sent there as it changes; the answer 2xx means saved. */

export function drafts(root: ParentNode): void {
  for (const form of all<HTMLFormElement>(root, "form[data-autosave]")) {
    if (!once(form, "autosave")) continue;
    const status = form.querySelector<HTMLElement>("[data-saved]") ?? appendStatus(form);
    let timer = 0;
    let saving = false;
    let again = false;
    let waiting: { submitter: HTMLElement | null } | null = null;

    const show = (text: string, failing: boolean): void => {
      status.textContent = text;
      status.classList.toggle("is-failing", failing);
    };

    const save = async (): Promise<void> => {
      if (saving) {
        again = true;
        return;
      }
      saving = true;
      show(say("Saving…"), false);
      try {
        const answer = await fetch(form.dataset.autosave ?? "", {
          method: "POST",
          body: withoutFiles(new FormData(form)),
          headers: { "X-Autosave": "yes", Accept: "application/json" },
          redirect: "manual",
        });
        if (answer.type === "opaqueredirect" || answer.status === 401) {
          show(say("You were logged out. Log in in another tab and go on here: nothing is lost."), true);
        } else if (answer.status === 409) {
          show(say("Somebody changed this meanwhile. Your input stays here; load the page again to compare."), true);
        } else if (!answer.ok && answer.status !== 422) {
          show(say("Not saved yet: the server did not take it. Trying again."), true);
          retry();
        } else {
          dirty.delete(form);
          // The next save must name the revision that this one made, or it would be taken for a stale form.
          const revision = answer.headers.get("X-Revision");
          for (const input of all<HTMLInputElement>(form, "input[name=revision]")) input.value = revision ?? input.value;
          await renew(answer);
          show(say("Saved {time}", { time: new Date().toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }) }), false);
        }
      } catch {
        show(say("Not saved yet: the connection is lost. Trying again."), true);
        retry();
      }
      saving = false;
      const { submitter } = waiting ?? {};
      if (waiting) {
        waiting = null;
        again = false;
        form.requestSubmit(submitter);
      } else if (again) {
        again = false;
        void save();
      }
    };

    const retry = (): void => {
      clearTimeout(timer);
      timer = window.setTimeout(() => void save(), 5_000);
    };

    form.addEventListener("input", (event) => {
      if (event.target instanceof HTMLInputElement && event.target.type === "file") return;
      dirty.add(form);
      clearTimeout(timer);
      timer = window.setTimeout(() => void save(), 1_200);
    });
    form.addEventListener("submit", (event) => {
      clearTimeout(timer);
      if (!saving) return;
      // Sent now, it would name the revision that the save under way is about to leave behind.
      event.preventDefault();
      waiting = { submitter: event.submitter };
    });
    addEventListener("online", () => {
      if (dirty.has(form)) void save();
    });
  }
}

/** An answer may bring parts of the page that say what is saved by now, by their ids. */
async function renew(answer: Response): Promise<void> {
  if (answer.status !== 200 || !answer.headers.get("Content-Type")?.startsWith("application/json")) return;
  const { parts = {} } = (await answer.json()) as { parts?: Record<string, string> };
  for (const [id, text] of Object.entries(parts)) {
    const part = new DOMParser().parseFromString(text, "text/html").getElementById(id);
    if (part) document.getElementById(id)?.replaceWith(part);
  }
}

function withoutFiles(body: FormData): FormData {
  for (const [name, value] of [...body.entries()]) if (value instanceof File) body.delete(name);
  return body;
}

function appendStatus(form: HTMLFormElement): HTMLElement {
  const status = document.createElement("span");
  status.className = "saved-note";
  status.setAttribute("role", "status");
  (form.querySelector(".form-buttons") ?? form).append(status);
  return status;
}

export function focusErrors(root: ParentNode): void {
  all(root, "[data-focus]")[0]?.focus();
}
