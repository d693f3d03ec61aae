/** The theme switch: as the system has it, light, dark. The choice stays in this browser. */
import { all, once } from "../lib/dom";

const CHOICES = ["auto", "light", "dark"] as const;

function choice(): (typeof CHOICES)[number] {
  const said = document.documentElement.dataset.themeChoice;
  return CHOICES.find((one) => one === said) ?? "auto";
}

export function themeSwitches(root: ParentNode): void {
  for (const button of all<HTMLButtonElement>(root, "[data-theme-switch]")) {
    if (!once(button, "theme")) continue;
    const words = button.querySelector<HTMLElement>("[data-theme-words]");
    const show = (): void => {
      const said = { auto: button.dataset.wordsAuto, light: button.dataset.wordsLight, dark: button.dataset.wordsDark }[choice()];
      button.title = said ?? "";
      if (words) words.textContent = said ?? "";
    };
    button.addEventListener("click", () => {
      const next = CHOICES[(CHOICES.indexOf(choice()) + 1) % CHOICES.length] ?? "auto";
      try {
        if (next === "auto") localStorage.removeItem("openlot.theme");
        else localStorage.setItem("openlot.theme", next);
      } catch {
        document.documentElement.dataset.themeChoice = next; // storage is forbidden: the choice lasts for this page
      }
      dispatchEvent(new Event("openlot:theme"));
      show();
    });
    show();
  }
}
