/**
 * A move, from the press of the button until its bidder knows what became of it.
 *
 * For a while it is sent again under its key, which counts once. It says itself until when it is to count; from then on it is only
 * asked for, however long the gateway is away, also by the page that is loaded next in the same tab. What the gateway does not find
 * in the log after that time never comes into it: docs/procedures/live-auction.md.
 */
import { serverNow } from "../lib/clock";
import { randomKey } from "../lib/dom";
import type { Action } from "./room";

// Whoever pressed wants it now: the same move a minute later could be another decision.
const SENT_FOR = 15_000;
const LONGEST_ANSWER = 8_000;
// By how much the clocks of two gateways may differ, and a little more.
const CERTAIN_AFTER = 1_500;
const LONGEST_PAUSE = 8_000;

export interface Move {
  readonly key: string;
  readonly action: Action;
  readonly amount: string | null;
  /** Until when it is to count, in milliseconds of the server's time; moved only where that was not known here. */
  until: number;
}

export interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly allowed_amount?: string;
  /** Only where a sending was decided on. */
  readonly received_at?: string;
}

export interface Taken {
  readonly number: number;
  readonly amount: string | null;
  readonly received_at: string;
}

/** What became of a move. `late`: it was not known for a while. */
export type Outcome = { readonly move: Move; readonly late: boolean } & (
  | { readonly is: "taken"; readonly taken: Taken }
  | { readonly is: "refused"; readonly problem: Problem }
  | { readonly is: "lost" }
);

/** How the bidder waits: its move is sent again, or nobody knows. */
export type Waiting = "again" | "unknown";

/** `content` is null where it is not JSON. */
export interface Answer {
  readonly status: number;
  readonly content: unknown;
}

/** The connection. Null: no answer. */
export interface Wire {
  send(content: object, patience: number): Promise<Answer | null>;
  ask(key: string): Promise<Answer | null>;
  measure(samples: number): Promise<unknown>;
}

export interface Time {
  /** The server's, as far as it is known here. */
  server(): number;
  /** This machine's, which goes on while it sleeps. */
  wall(): number;
  pause(milliseconds: number): Promise<void>;
}

const REAL: Time = {
  server: serverNow,
  wall: () => Date.now(),
  pause: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
};

/** Moves without an answer, in this tab: of one seat, so that nobody else who logs in here is told of them. */
export class Kept {
  private readonly place: string;

  constructor(
    seat: string,
    private readonly storage: () => Storage = () => sessionStorage,
  ) {
    this.place = `openlot.moves:${seat}`;
  }

  all(): Move[] {
    try {
      return JSON.parse(this.storage().getItem(this.place) ?? "[]") as Move[];
    } catch {
      return [];
    }
  }

  keep(move: Move): void {
    this.write([...this.all().filter(({ key }) => key !== move.key), move]);
  }

  forget(key: string): void {
    this.write(this.all().filter((move) => move.key !== key));
  }

  private write(moves: readonly Move[]): void {
    try {
      if (moves.length > 0) this.storage().setItem(this.place, JSON.stringify(moves));
      else this.storage().removeItem(this.place);
    } catch {
      // no storage: the page that is loaded next does not know of it
    }
  }
}

export class Moves {
  private readonly left: Move[];
  private readonly asleep = new Set<() => void>();

  constructor(
    private readonly wire: Wire,
    private readonly kept: Kept,
    private readonly time: Time = REAL,
  ) {
    this.left = kept.all();
  }

  /** The gateway is there again. */
  reconnected(): void {
    for (const wake of this.asleep) wake();
  }

  /** Send a move; answers when it is known what became of it. */
  async make(action: Action, amount: string | null, waits: (how: Waiting) => void): Promise<Outcome> {
    const move = { key: randomKey(), action, amount, until: this.time.server() + SENT_FOR };
    this.kept.keep(move);
    return this.settled((await this.sent(move, () => waits("again"))) ?? (await this.asked(move, waits)));
  }

  /** What became of the moves of an earlier page, each of them once: of those actions, or of all that nobody asked for. */
  ofEarlierPage(actions?: readonly Action[]): { readonly move: Move; readonly outcome: Promise<Outcome> }[] {
    const claimed = this.left.filter(({ action }) => !actions || actions.includes(action));
    for (const move of claimed) this.left.splice(this.left.indexOf(move), 1);
    return claimed.map((move) => ({ move, outcome: this.asked(move, () => {}).then((outcome) => this.settled(outcome)) }));
  }

  private settled(outcome: Outcome): Outcome {
    this.kept.forget(outcome.move.key);
    return outcome;
  }

  /** Send it while it is new. Null: nobody knows whether it was taken. */
  private async sent(move: Move, again: () => void): Promise<Outcome | null> {
    const pressed = this.time.wall();
    const left = (): number => SENT_FOR - Math.abs(this.time.wall() - pressed);
    let refused: Problem | null = null;
    // A sending without an answer may be taken yet, whatever is said of the next one before it comes to the room.
    let everyAnswered = true;
    for (let attempt = 0, measured = false; left() > 0; attempt++) {
      if (attempt > 0) {
        again();
        await this.time.pause(250 * Math.min(attempt, 4));
      }
      const answer = await this.wire.send(wanted(move), Math.max(1_000, Math.min(LONGEST_ANSWER, left())));
      const taken = accepted(answer);
      if (taken) return { is: "taken", move, late: false, taken };
      const problem = problemOf(answer);
      if (problem?.code === "move_expired") {
        // The clock of another gateway, to which an earlier sending may have come, may be a little behind.
        if (measured || left() <= 0) return everyAnswered ? { is: "lost", move, late: false } : null;
        // The server's time was not known here.
        measured = true;
        await this.wire.measure(3);
        move.until = this.time.server() + Math.max(left(), 0);
        this.kept.keep(move);
      } else if (problem && !isForNow(answer) && (everyAnswered || problem.received_at)) {
        return { is: "refused", move, late: false, problem };
      } else {
        if (!problem || problem.code === "not_recorded") everyAnswered = false;
        refused = problem ?? refused;
      }
    }
    return everyAnswered && refused ? { is: "refused", move, late: false, problem: refused } : null;
  }

  /** Ask until it is known. */
  private async asked(move: Move, waits: (how: Waiting) => void): Promise<Outcome> {
    waits("unknown");
    for (let silent = 0; ; ) {
      const answer = await this.wire.ask(move.key);
      const found = answer?.status === 200 ? (answer.content as Found) : null;
      if (found?.status === "accepted") return { is: "taken", move, late: true, taken: found };
      const left = found ? move.until + CERTAIN_AFTER - Date.parse(found.as_of) : NaN;
      if (left <= 0 && found?.status === "refused") return { is: "refused", move, late: true, problem: found };
      if (left <= 0 && found?.status === "unknown") return { is: "lost", move, late: true };
      silent = found ? 0 : silent + 1;
      await this.awaken(left > 0 ? Math.min(left + 100, LONGEST_PAUSE) : Math.min(500 * 2 ** silent, LONGEST_PAUSE));
    }
  }

  private async awaken(milliseconds: number): Promise<void> {
    let wake = (): void => {};
    const woken = new Promise<void>((resolve) => (wake = resolve));
    this.asleep.add(wake);
    await Promise.race([this.time.pause(milliseconds), woken]);
    this.asleep.delete(wake);
  }
}

type Found = { readonly as_of: string } & (
  | ({ readonly status: "accepted" } & Taken)
  | ({ readonly status: "refused" } & Problem)
  | { readonly status: "pending" | "unknown" }
);

function wanted({ key, action, amount, until }: Move): object {
  return { action, ...(amount === null ? {} : { amount }), idempotency_key: key, not_after: new Date(until).toISOString() };
}

function accepted(answer: Answer | null): Taken | null {
  const content = answer?.content as (Taken & { accepted?: boolean }) | null | undefined;
  return content?.accepted === true ? content : null;
}

function problemOf(answer: Answer | null): Problem | null {
  const content = answer?.content as Problem | null | undefined;
  return typeof content?.code === "string" ? content : null;
}

/** Whether the same may be taken in a moment. */
function isForNow(answer: Answer | null): boolean {
  return !answer || answer.status === 429 || answer.status >= 500;
}
