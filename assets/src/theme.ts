/** Sets the theme before the first paint. A classic, blocking script: the policy allows no inline one, and a deferred one would flash. */
const dark = matchMedia("(prefers-color-scheme: dark)");

function remembered(): string | null {
  try {
    return localStorage.getItem("openlot.theme");
  } catch {
    return null; // storage may be forbidden; the system's preference then decides
  }
}

function apply(): void {
  const choice = remembered();
  const theme = choice === "light" || choice === "dark" ? choice : dark.matches ? "dark" : "light";
  document.documentElement.dataset.bsTheme = theme;
  document.documentElement.dataset.themeChoice = choice ?? "auto";
}

apply();
document.documentElement.classList.add("has-js");
dark.addEventListener("change", apply);
addEventListener("openlot:theme", apply);
