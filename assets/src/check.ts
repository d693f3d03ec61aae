/** Checking a signature (templates/marketplace/signature_check.html): files dropped on the page find their fields. */
import { all } from "./lib/dom";
import { say } from "./lib/words";

const SIGNED_DATA = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02]; // its OID, near the beginning of every CMS signature

async function isSignature(file: File): Promise<boolean> {
  if (/\.(p7s|p7m|p7b|sig|cades)$/i.test(file.name)) return true;
  const head = [...new Uint8Array(await file.slice(0, 32).arrayBuffer())].join();
  return head.includes(SIGNED_DATA.join());
}

function give(input: HTMLInputElement, file: File): void {
  const chosen = new DataTransfer();
  chosen.items.add(file);
  input.files = chosen.files;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

function prepare(form: HTMLFormElement): void {
  const fields = form.elements as unknown as { document: HTMLInputElement; signature: HTMLInputElement };
  const status = form.querySelector<HTMLElement>("[data-check-status]");
  const zone = form.querySelector<HTMLElement>("[data-check-drop]");

  const take = async (files: readonly File[]): Promise<void> => {
    if (files.length > 2) {
      if (status) status.textContent = say("Drop one document and one signature.");
      return;
    }
    const said: string[] = [];
    let hasSignature = false;
    for (const file of files) {
      const signature: boolean = !hasSignature && (await isSignature(file));
      hasSignature ||= signature;
      give(signature ? fields.signature : fields.document, file);
      said.push(signature ? say("Signature: {name}", { name: file.name }) : say("Document: {name}", { name: file.name }));
    }
    if (status) status.textContent = said.join(" · ");
  };

  const over = (on: boolean): void => void zone?.classList.toggle("is-over", on);
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    over(true);
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) over(false);
  });
  addEventListener("drop", (event) => {
    const files = [...(event.dataTransfer?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    over(false);
    void take(files);
  });
}

for (const form of all<HTMLFormElement>(document, "form[data-check]")) prepare(form);
