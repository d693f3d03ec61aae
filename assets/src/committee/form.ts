/** What every form of a committee does around its own work: one press at a time, refusals beside their field, a spoken status. */
import { say } from "../lib/words";
import { Refusal } from "../signing/refusal";

export interface Form {
  readonly element: HTMLFormElement;
  tell(words: string): void;
  value(name: string, value: string): void;
  submit(): void;
}

const FIELDS = ["file", "password", "key", "page"] as const;

/** Runs `work` at each press of the form's button; the form is sent only by `submit`. */
export function attach(element: HTMLFormElement, work: (form: Form) => Promise<void>): void {
  const button = element.querySelector<HTMLButtonElement>("[data-work-button]");
  const status = element.querySelector<HTMLElement>("[data-work-status]");
  if (!button || !status) throw new Error("the form lacks its button or its status");
  let isBusy = false;
  let isSending = false;
  const form: Form = {
    element,
    tell: (words) => (status.textContent = words),
    value: (name, value) => {
      const field = element.querySelector<HTMLInputElement>(`input[type=hidden][name="${name}"]`);
      if (!field) throw new Error(`the form lacks its field ${name}`);
      field.value = value;
    },
    submit: () => {
      isSending = true;
      for (const secret of element.querySelectorAll<HTMLInputElement>("[data-secret]")) secret.value = "";
      element.submit();
    },
  };
  const run = async (): Promise<void> => {
    if (isBusy || isSending) return;
    isBusy = true;
    clear(element);
    button.classList.add("is-busy");
    button.setAttribute("aria-busy", "true");
    try {
      await work(form);
    } catch (error) {
      status.textContent = "";
      refuse(element, error instanceof Refusal ? error : new Refusal("page", say("This did not work in your browser. Load the page again, or use another browser.")));
      if (!(error instanceof Refusal)) console.error(error);
    }
    isBusy = isSending;
    if (!isSending) {
      button.classList.remove("is-busy");
      button.removeAttribute("aria-busy");
    }
  };
  button.addEventListener("click", () => void run());
  element.addEventListener("submit", (event) => {
    event.preventDefault(); // Enter in a field
    void run();
  });
}

function slotOf(form: HTMLElement, field: string): HTMLElement | null {
  return form.querySelector<HTMLElement>(`[data-work-error="${field}"]`);
}

function inputOf(slot: HTMLElement | null): HTMLInputElement | null {
  return slot?.parentElement?.querySelector<HTMLInputElement>("input:not([type=hidden])") ?? null;
}

function clear(form: HTMLElement): void {
  for (const field of FIELDS) {
    const slot = slotOf(form, field);
    if (slot) slot.hidden = true;
    if (field === "page") continue;
    inputOf(slot)?.classList.remove("is-invalid");
    inputOf(slot)?.removeAttribute("aria-invalid");
  }
}

function refuse(form: HTMLElement, refusal: Refusal): void {
  const slot = slotOf(form, refusal.field) ?? slotOf(form, "page");
  if (!slot) return;
  (slot.querySelector("[data-work-error-words]") ?? slot).textContent = refusal.message;
  slot.hidden = false;
  const input = slot.dataset.workError === "page" ? null : inputOf(slot);
  input?.classList.add("is-invalid");
  input?.setAttribute("aria-invalid", "true");
  (input ?? slot).focus();
}
