/** Calls of the platform's API with the page's own log-in. */
import { csrfToken } from "../lib/dom";
import { say } from "../lib/words";

/** The server said no; the message is the sentence for the person. */
export class Refused extends Error {
  override readonly name = "Refused";
  constructor(
    readonly status: number,
    readonly code: string,
    sentence: string,
  ) {
    super(sentence);
  }
}

interface Problem {
  readonly code?: string;
  readonly detail?: string;
  readonly title?: string;
}

export async function call<T>(method: "GET" | "POST" | "DELETE", url: string, body?: unknown): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(url, {
      method,
      headers: { Accept: "application/json", "X-CSRFToken": csrfToken(), ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new Refused(0, "connection", say("The connection is lost. What you typed is kept; try again when it is back."));
  }
  if (answer.ok) return (answer.status === 204 ? undefined : await answer.json()) as T;
  const problem = (await answer.json().catch(() => ({}))) as Problem;
  const lost = answer.status === 401 ? say("You were logged out. Log in in another tab and go on here: nothing is lost.") : "";
  throw new Refused(answer.status, problem.code ?? "", lost || problem.detail || problem.title || say("This did not work. Nothing was changed; try again in a moment."));
}

export function base64(bytes: Uint8Array): string {
  let text = "";
  for (let place = 0; place < bytes.length; place += 0x8000) text += String.fromCharCode(...bytes.subarray(place, place + 0x8000));
  return btoa(text);
}

export function unbase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
