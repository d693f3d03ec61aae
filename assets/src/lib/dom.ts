/** Small helpers over the document. Every feature takes a root, so that fragments brought by HTMX get it too. */

export function all<T extends Element = HTMLElement>(root: ParentNode, selector: string): T[] {
  const found = [...root.querySelectorAll<T>(selector)];
  if (root instanceof Element && root.matches(selector)) found.unshift(root as unknown as T);
  return found;
}

export function closest<T extends Element = HTMLElement>(target: EventTarget | null, selector: string): T | null {
  return target instanceof Element ? target.closest<T>(selector) : null;
}

/** Runs once per element, however often its surroundings are swapped. */
const seen = new WeakMap<Element, Set<string>>();
export function once(element: Element, feature: string): boolean {
  const features = seen.get(element) ?? new Set<string>();
  seen.set(element, features);
  if (features.has(feature)) return false;
  features.add(feature);
  return true;
}

export const language = document.documentElement.lang || "en";

/** A colour of the style sheet as the canvas can use it: light-dark() is resolved by an element that carries it. */
export function colour(name: string): string {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const resolved = getComputedStyle(probe).color;
  probe.remove();
  return resolved;
}

/** A random key. `crypto.randomUUID` exists on secure pages only; a demonstration in a local network is none. */
export function randomKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function csrfToken(): string {
  const headers = document.body.getAttribute("hx-headers");
  if (headers) return (JSON.parse(headers) as Record<string, string>)["X-CSRFToken"] ?? "";
  return document.querySelector<HTMLInputElement>("input[name=csrfmiddlewaretoken]")?.value ?? "";
}
