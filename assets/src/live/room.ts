/** What the gateway tells (procurement/auction/projection.py). Amounts are decimal strings, times ISO 8601 in UTC. */
export interface Labelled {
  readonly label: string | null;
  readonly amount: string;
}

export interface RoomState {
  readonly number: number;
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
  readonly own: { readonly label: string; readonly amount: string | null; readonly rank: number | null; readonly leading: boolean } | null;
  readonly best: Labelled | null;
  readonly allowed: string | null;
  readonly ranking?: readonly { readonly rank: number; readonly label: string; readonly amount: string; readonly at: string }[];
}

export interface RoomEvent {
  readonly number: number;
  readonly kind: "scheduled" | "started" | "bid" | "paused" | "resumed" | "ended" | "cancelled";
  readonly at: string;
  readonly own?: boolean | string | null;
  readonly label?: string | null;
  readonly amount?: string | null;
  readonly leads?: boolean;
  readonly best?: string | null;
  readonly first?: readonly { readonly label: string; readonly amount: string }[];
}

export interface Update {
  readonly events: readonly RoomEvent[];
  readonly state: RoomState;
}
