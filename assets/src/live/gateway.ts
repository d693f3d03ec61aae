/**
 * The wire to the gateway: a stream of server-sent events over fetch (so that the ticket travels in a header and the last event's
 * number with it), bids, and the measurement of the server's clock.
 */
import { hearServerTime, localNow } from "../lib/clock";
import type { Answer, Wire } from "./moves";
import type { Update } from "./room";

const SILENCE = 40_000; // the gateway says something every 15 s
const LONGEST_ASK = 5_000; // the gateway gives up after 4 s
const BARRED_FOR = 45_000;
const WAITS = [300, 700, 1_500, 3_000, 5_000, 8_000];

/** Lost: it is tried again. Refused: the log-in is over, or somebody else's. Barred: the gateway says in a sentence why not. */
export type Connection = "open" | "lost" | "refused" | { readonly barred: string; readonly status: number };

export class Gateway implements Wire {
  private lastEvent = "";
  private aborted = new AbortController();
  private wake: (() => void) | null = null;
  private stopped = false;

  constructor(
    private readonly origin: string,
    private readonly lot: string,
    private token: string,
    /** A new ticket; null where there is none for this viewer any more. Fails where nobody knows. */
    private readonly renew: () => Promise<string | null>,
  ) {
    addEventListener("online", () => this.wake?.());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.wake?.();
    });
  }

  private headers(): Record<string, string> {
    return { Authorization: `Bearer ${this.token}` };
  }

  stop(): void {
    this.stopped = true;
    this.aborted.abort();
  }

  /** Runs until stopped. `connection` is told when the stream breaks and when it is back. */
  async listen(take: (update: Update) => void, connection: (is: Connection) => void): Promise<void> {
    for (let attempt = 0, barred = false; !this.stopped; ) {
      const opened = await this.stream(take, () => {
        attempt = 0;
        connection("open");
      }).catch(() => "broken" as const);
      if (this.stopped) return;
      if (opened === "refused") {
        const token = await this.renew().catch(() => undefined);
        if (token === undefined) connection("lost");
        else if (token === null) connection("refused");
        else this.token = token;
        barred = token === null;
      } else {
        connection(opened === "broken" ? "lost" : opened);
        barred = opened !== "broken";
      }
      const wait = barred ? BARRED_FOR : (WAITS[Math.min(attempt++, WAITS.length - 1)] ?? 8_000);
      await this.pause(wait * (0.75 + Math.random() / 2));
    }
  }

  private pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private async stream(take: (update: Update) => void, open: () => void): Promise<"broken" | "refused" | { readonly barred: string; readonly status: number }> {
    this.aborted = new AbortController();
    let heard = Date.now();
    // By the clock that goes on while the machine sleeps: what came to nothing meanwhile is noticed at once.
    const silence = setInterval(() => {
      if (Math.abs(Date.now() - heard) > SILENCE) this.aborted.abort();
    }, 1_000);
    try {
      const answer = await fetch(`${this.origin}/live/lots/${this.lot}/events`, {
        headers: { ...this.headers(), Accept: "text/event-stream", ...(this.lastEvent ? { "Last-Event-ID": this.lastEvent } : {}) },
        cache: "no-store",
        credentials: "omit",
        signal: this.aborted.signal,
      });
      if (answer.status === 401) return "refused";
      if ([403, 404, 429].includes(answer.status)) {
        const { detail } = (await answer.json()) as { detail?: unknown };
        return typeof detail === "string" ? { barred: detail, status: answer.status } : "broken";
      }
      if (!answer.ok || !answer.body) return "broken";
      open();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; ; ) {
        const { value, done } = await reader.read();
        if (done) return "broken";
        heard = Date.now();
        const parts = (rest + value).split("\n\n");
        rest = parts.pop() ?? "";
        for (const part of parts) this.event(part, take);
      }
    } finally {
      clearInterval(silence);
    }
  }

  private event(text: string, take: (update: Update) => void): void {
    let id = "";
    const lines: string[] = [];
    for (const line of text.split("\n")) {
      if (line.startsWith("id:")) id = line.slice(3).trim();
      else if (line.startsWith("data:")) lines.push(line.slice(5).trimStart());
    }
    if (lines.length === 0) return;
    take(JSON.parse(lines.join("\n")) as Update);
    if (id) this.lastEvent = id;
  }

  /** Take a new ticket while the old one still serves: nobody waits for it then. */
  async renewAhead(): Promise<void> {
    const token = await this.renew().catch(() => null);
    if (token !== null) this.token = token;
  }

  /** Send a move, once. */
  send(content: object, patience: number): Promise<Answer | null> {
    const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) };
    return this.answered("", request, patience);
  }

  /** Ask what became of the move of that key. */
  ask(key: string): Promise<Answer | null> {
    return this.answered(`/${key}`, {}, LONGEST_ASK);
  }

  /** With a new ticket where the old one is not valid any more. */
  private async answered(path: string, request: RequestInit, patience: number): Promise<Answer | null> {
    const fetched = (): Promise<Response> =>
      fetch(`${this.origin}/live/lots/${this.lot}/bids${path}`, {
        ...request,
        headers: { ...request.headers, ...this.headers() },
        cache: "no-store",
        credentials: "omit",
        signal: AbortSignal.timeout(patience),
      });
    try {
      let answer = await fetched();
      const token = answer.status === 401 ? await this.renew() : null;
      if (token !== null) {
        this.token = token;
        answer = await fetched();
      }
      return { status: answer.status, content: await answer.json().catch(() => null) };
    } catch {
      return null;
    }
  }

  /** Hears the server's time some times; returns the shortest round trip in milliseconds, or null when away. */
  async measure(samples: number): Promise<number | null> {
    let best: number | null = null;
    for (let i = 0; i < samples; i++) {
      try {
        const sent = localNow();
        const answer = await fetch(`${this.origin}/live/time`, { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(4_000) });
        const server = Date.parse(((await answer.json()) as { now: string }).now);
        const back = localNow();
        // A proxy may have answered.
        if (Number.isNaN(server)) continue;
        hearServerTime(server, sent, back);
        best = Math.min(best ?? Infinity, back - sent);
      } catch {
        // the next measurement comes soon
      }
    }
    return best;
  }
}
