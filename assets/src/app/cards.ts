/** The queue of cards by keyboard: j and k from card to card, and one letter for each thing to do with it. */
import { all, closest } from "../lib/dom";

const TYPING = "input, textarea, select, [contenteditable]";

export function cardKeys(): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || closest(event.target, TYPING)) return;
    const cards = all(document, "[data-cards] [data-card]");
    const here = closest(event.target, "[data-card]");
    const step = { j: 1, k: -1 }[event.key];
    if (step && cards.length) {
      const next = cards[here ? cards.indexOf(here) + step : 0];
      next?.focus();
      next?.scrollIntoView({ block: "nearest" });
      event.preventDefault();
      return;
    }
    const act = here && /^[a-z]$/.test(event.key) ? here.querySelector<HTMLElement>(`[data-key="${event.key}"]`) : null;
    if (!act) return;
    event.preventDefault();
    act.click();
    const form = act.closest("details[open]");
    form?.querySelector<HTMLElement>("input:not([type=hidden]), textarea, button")?.focus();
  });
  // The place of a card that was dealt with is taken by what was done: the focus stays there.
  document.addEventListener("htmx:load", (event) => {
    const element = (event as CustomEvent<{ elt: HTMLElement }>).detail.elt;
    if (element.matches(".insight-done")) element.querySelector("button")?.focus({ preventScroll: true });
    if (element.matches("[data-card]")) element.focus({ preventScroll: true });
  });
}
