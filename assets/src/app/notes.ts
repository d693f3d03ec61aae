/** Messages at the top of the page, said to readers of the screen as well. */
import { closest } from "../lib/dom";
import { say } from "../lib/words";

export function note(text: string, level: "error" | "warning" | "info" = "info"): void {
  const region = document.getElementById("messages");
  if (!region) return;
  const box = document.createElement("div");
  box.className = `message message-${level}`;
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "message-close";
  close.dataset.dismiss = "";
  close.setAttribute("aria-label", say("Close this message"));
  close.textContent = "×";
  box.append(words, close);
  region.append(box);
  if (level === "error") box.scrollIntoView({ block: "nearest" });
}

export function dismissals(): void {
  document.addEventListener("click", (event) => {
    closest(event.target, "[data-dismiss]")?.closest(".message")?.remove();
  });
}

/** HTMX: a refusal or a lost connection is said in the words the server used, or in our own. */
export function requestErrors(): void {
  document.addEventListener("htmx:responseError", (event) => {
    const request = (event as CustomEvent<{ xhr: XMLHttpRequest }>).detail.xhr;
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    const said = page.querySelector(".error-text p, .error-summary-title")?.textContent?.trim();
    note(said || say("This did not work. Nothing was changed; try again in a moment."), "error");
  });
  for (const lost of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(lost, () => note(say("The connection is lost. What you typed is kept; try again when it is back."), "error"));
  }
}
