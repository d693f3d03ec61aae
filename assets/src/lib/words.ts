/**
 * The sentences scripts say, translated: the page carries them as JSON (templates/components/_words.html) by their English text.
 */
let table: Record<string, string> | null = null;

function words(): Record<string, string> {
  if (table === null) {
    const element = document.getElementById("words");
    table = element?.textContent ? (JSON.parse(element.textContent) as Record<string, string>) : {};
  }
  return table;
}

export function say(english: string, values: Record<string, string | number> = {}): string {
  const sentence = words()[english] ?? english;
  return sentence.replace(/\{(\w+)\}/g, (hole, name: string) => String(values[name] ?? hole));
}
