/** Menus close when one clicks elsewhere or presses Escape; dialogs open in place of the page that asks the same. */
import { all, closest, once } from "../lib/dom";

export function menus(): void {
  document.addEventListener("click", (event) => {
    const inside = closest(event.target, "details.menu");
    for (const menu of all<HTMLDetailsElement>(document, "details.menu[open]")) if (menu !== inside) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = document.querySelector<HTMLDetailsElement>("details.menu[open]");
    if (!open) return;
    open.open = false;
    open.querySelector("summary")?.focus();
  });
}

export function menuButton(root: ParentNode): void {
  for (const button of all<HTMLButtonElement>(root, "[data-menu-button]")) {
    if (!once(button, "menu")) continue;
    const menu = document.getElementById(button.getAttribute("aria-controls") ?? "");
    button.addEventListener("click", () => {
      const open = menu?.classList.toggle("is-open") ?? false;
      button.setAttribute("aria-expanded", String(open));
    });
  }
}

/** Of tabs that do not fit, the current one is in sight. */
export function currentTabs(root: ParentNode): void {
  for (const tab of all(root, ".tabs [aria-current]")) {
    const bar = tab.closest<HTMLElement>(".tabs");
    if (bar && bar.scrollWidth > bar.clientWidth) tab.scrollIntoView({ block: "nearest", inline: "center" });
  }
}

export function dialogs(root: ParentNode): void {
  for (const opener of all<HTMLAnchorElement>(root, "[data-dialog]")) {
    const dialog = document.getElementById(opener.dataset.dialog ?? "");
    if (!(dialog instanceof HTMLDialogElement) || !once(opener, "dialog")) continue;
    opener.setAttribute("role", "button");
    opener.addEventListener("click", (event) => {
      event.preventDefault();
      dialog.showModal();
    });
    opener.addEventListener("keydown", (event) => {
      if (event.key !== " ") return;
      event.preventDefault();
      dialog.showModal();
    });
    for (const close of all(dialog, "[data-dialog-close]")) close.addEventListener("click", () => dialog.close());
  }
}
