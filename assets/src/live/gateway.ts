/**
 * The wire to the gateway: a stream of server-sent events over fetch (so that the ticket travels in a header and the last event's
 * number with it), bids, and the measurement of the server's clock.
 */
import { localNow, setServerTime } from "../lib/clock";
import type { Action, Update } from "./room";

const SILENCE = 40_000; // the gateway says something every 15 s
const WAITS = [300, 700, 1_500, 3_000, 5_000, 8_000];

export interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly allowed_amount?: string;
}

export interface Accepted {
  readonly amount: string | null;
  readonly received_at: string;
  readonly ends_at?: string | null;
}

export class Gateway {
  private lastEvent = "";
  private aborted = new AbortController();
  private wake: (() => void) | null = null;
  private stopped = false;

  constructor(
    private readonly origin: string,
    private readonly lot: string,
    private token: string,
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
  async listen(take: (update: Update) => void, connection: (is: "open" | "lost" | "refused") => void): Promise<void> {
    for (let attempt = 0; !this.stopped; ) {
      const opened = await this.stream(take, () => {
        attempt = 0;
        connection("open");
      }).catch(() => "broken" as const);
      if (this.stopped) return;
      if (opened === "refused") {
        const token = await this.renew();
        if (token === null) {
          connection("refused");
          return;
        }
        this.token = token;
      } else {
        connection("lost");
      }
      const wait = WAITS[Math.min(attempt++, WAITS.length - 1)] ?? 8_000;
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

  private async stream(take: (update: Update) => void, open: () => void): Promise<"broken" | "refused"> {
    this.aborted = new AbortController();
    let silence = setTimeout(() => this.aborted.abort(), SILENCE);
    try {
      const answer = await fetch(`${this.origin}/live/lots/${this.lot}/events`, {
        headers: { ...this.headers(), Accept: "text/event-stream", ...(this.lastEvent ? { "Last-Event-ID": this.lastEvent } : {}) },
        cache: "no-store",
        credentials: "omit",
        signal: this.aborted.signal,
      });
      if (answer.status === 401) return "refused";
      if (!answer.ok || !answer.body) return "broken";
      open();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; ; ) {
        const { value, done } = await reader.read();
        if (done) return "broken";
        clearTimeout(silence);
        silence = setTimeout(() => this.aborted.abort(), SILENCE);
        const parts = (rest + value).split("\n\n");
        rest = parts.pop() ?? "";
        for (const part of parts) this.event(part, take);
      }
    } finally {
      clearTimeout(silence);
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

  /**
   * Sends a move. A lost connection or a busy gateway is tried again under the same key: it counts once. Where no answer comes in
   * the end, the gateway is asked by the key what became of it.
   */
  async move(action: Action, amount: string | null, key: string, again: () => void): Promise<Accepted | Problem> {
    try {
      return await this.sent(action, amount, key, again);
    } catch (error) {
      const known = await this.asked(key);
      if (known) return known;
      throw error;
    }
  }

  private async sent(action: Action, amount: string | null, key: string, again: () => void): Promise<Accepted | Problem> {
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await fetch(`${this.origin}/live/lots/${this.lot}/bids`, {
          method: "POST",
          headers: { ...this.headers(), "Content-Type": "application/json" },
          body: JSON.stringify({ action, ...(amount === null ? {} : { amount }), idempotency_key: key }),
          cache: "no-store",
          credentials: "omit",
          signal: AbortSignal.timeout(8_000),
        });
        if (answer.status === 401 && attempt < 2) {
          const token = await this.renew();
          if (token !== null) {
            this.token = token;
            continue;
          }
        }
        if ((answer.status !== 503 && answer.status !== 429) || attempt >= 8) return (await answer.json()) as Accepted | Problem;
      } catch (error) {
        if (attempt >= 8) throw error;
      }
      again();
      await new Promise((resolve) => setTimeout(resolve, 250 * Math.min(attempt + 1, 4)));
    }
  }

  /** What became of a move whose answer never came; null where nobody can say, or it never arrived. */
  private async asked(key: string): Promise<Accepted | null> {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        const answer = await fetch(`${this.origin}/live/lots/${this.lot}/bids/${key}`, {
          headers: this.headers(),
          cache: "no-store",
          credentials: "omit",
          signal: AbortSignal.timeout(4_000),
        });
        const found = (await answer.json()) as { status: string } & Accepted;
        if (found.status === "accepted") return found;
        if (found.status !== "pending") return null;
      } catch {
        // asked once more below
      }
      await new Promise((resolve) => setTimeout(resolve, 700));
    }
    return null;
  }

  /** Sets the server's clock from the fastest of some answers; returns the round trip in milliseconds, or null when away. */
  async measure(samples: number): Promise<number | null> {
    let best: number | null = null;
    for (let i = 0; i < samples; i++) {
      try {
        const sent = localNow();
        const answer = await fetch(`${this.origin}/live/time`, { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(4_000) });
        const { now } = (await answer.json()) as { now: string };
        const back = localNow();
        if (best === null || back - sent < best) {
          best = back - sent;
          setServerTime(Date.parse(now), (sent + back) / 2);
        }
      } catch {
        // the next measurement comes soon
      }
    }
    return best;
  }
}
