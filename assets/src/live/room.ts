/** What the gateway tells (procurement/auction/projection.py). Amounts are decimal strings, times ISO 8601 in UTC. */
export interface Labelled {
  readonly label: string | null;
  readonly amount: string;
  /** Where more than the price counts. */
  readonly counts_as?: string | null;
}

export type Action = "bid" | "accept" | "confirm" | "withdraw" | "limit";

/** The tick, pause or turn that runs, the same for everybody. `number` counts ticks from 0 and rounds from 1. */
export interface Course {
  readonly kind: "tick" | "pause" | "turn" | "announcement";
  readonly number: number;
  readonly last: number;
  readonly until: string | null;
  readonly price: string | null;
  readonly label: string | null;
  readonly own: boolean;
  readonly order: readonly string[];
}

/** By how much a clock's price moves, and to where: the next price is known before the server has written it down. */
export interface PriceClock {
  readonly tick: string;
  readonly interval_s: number;
  readonly last: string;
}

export interface Own {
  readonly label: string;
  readonly amount: string | null;
  /** Where more than the price counts. */
  readonly counts_as?: string | null;
  readonly rank: number | null;
  readonly leading: boolean;
  /** The bid of the turn that runs, which nobody else knows of yet. */
  readonly made: string | null;
  /** The limit down to which the system bids for the bidder. */
  readonly limit: string | null;
}

export interface RoomState {
  readonly number: number;
  readonly kind: "english" | "dutch" | "japanese" | "turn_based";
  readonly status: "scheduled" | "running" | "paused" | "ended" | "cancelled";
  readonly now: string;
  readonly starts_at: string;
  readonly ends_at: string;
  readonly extensions: number;
  readonly currency: string;
  readonly direction: "down" | "up";
  readonly step: string;
  readonly reference: string;
  readonly shown: "price" | "rank" | "both";
  readonly bidders: number;
  readonly course: Course | null;
  readonly clock: PriceClock | null;
  readonly proxy_bids: boolean;
  /** The limit or reserve price; an observer's only. */
  readonly start_price?: string | null;
  readonly own: Own | null;
  readonly best: Labelled | null;
  readonly allowed: string | null;
  /** Where more than the price counts: what the bidder's amounts come to, as fractions like "7/8". A bidder's only. */
  readonly formula?: { readonly factor: string; readonly addend: string };
  /** What may be done now, until when that may change, and why nothing may be. A bidder's only. */
  readonly actions?: readonly Action[];
  readonly until?: string | null;
  readonly refused?: string | null;
  readonly ranking?: readonly { readonly rank: number; readonly label: string; readonly amount: string; readonly counts_as?: string | null; readonly at: string }[];
}

export interface RoomEvent {
  readonly number: number;
  readonly kind:
    | ("scheduled" | "started" | "paused" | "resumed" | "retimed" | "extended" | "ended" | "cancelled")
    | ("bid" | "accept" | "confirm" | "withdraw" | "limit" | "limit_dropped")
    | ("automatic_bids" | "tick" | "pause" | "turn" | "published" | "announcement");
  readonly at: string;
  readonly own?: boolean | string | null;
  readonly label?: string | null;
  readonly amount?: string | null;
  readonly leads?: boolean;
  readonly best?: string | null;
  /** Where more than the price counts: what the amount, the best and the own first price count as. */
  readonly counts_as?: string | null;
  readonly best_counts_as?: string | null;
  readonly own_counts_as?: string | null;
  /** Of what time alone brought about: the price of a tick, the round of a turn, bids made by the system, who is out. */
  readonly price?: string | null;
  readonly course?: number;
  readonly bids?: readonly { readonly own: boolean; readonly label: string | null; readonly amount: string; readonly counts_as?: string | null; readonly leads: boolean }[];
  readonly out?: readonly (string | null)[];
  readonly reason?: string;
  /** The end, where this moved it. An event "extended" is a bid of which no more may be told. */
  readonly ends_at?: string;
  readonly first?: readonly { readonly label: string; readonly amount: string }[];
}

export interface Update {
  readonly events: readonly RoomEvent[];
  readonly state: RoomState;
}
