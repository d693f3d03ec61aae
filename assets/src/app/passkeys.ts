/** Passkeys: what the browser refuses is said in words. The ceremony itself is allauth's (mfa/js/webauthn.js). */
import { say } from "../lib/words";
import { note } from "./notes";

function sentence(problem: unknown): string {
  const name = problem instanceof Error ? problem.name : "";
  if (!window.isSecureContext || !("PublicKeyCredential" in window) || name === "SecurityError") {
    return say("Passkeys work on secure pages with a name only (https://…). Log in with your password here.");
  }
  if (name === "InvalidStateError") return say("This device has a passkey for your account already.");
  if (name === "NotAllowedError" || name === "AbortError") {
    return say("Nothing was confirmed: it was cancelled, took too long, or this device has no passkey for this site.");
  }
  return say("The device did not answer as it should. Try again, or use your password.");
}

export function passkeyErrors(): void {
  document.addEventListener("allauth.error", (event) => {
    event.preventDefault();
    note(sentence((event as CustomEvent<{ exception: unknown }>).detail.exception), "error");
  });
}
