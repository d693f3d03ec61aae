/** What the panels of the live page share: the room as it stands, words for amounts and times, and what sends moves. */
import type { Decimal } from "../lib/decimal";
import type { Moves } from "./moves";
import type { RoomState } from "./room";

export type Tone = "" | "good" | "warn" | "bad";

export interface Desk {
  readonly page: HTMLElement;
  readonly moves: Moves;
  readonly digits: number;
  readonly mayAct: boolean;
  /** Why not, as a sentence. */
  readonly mayNot: string;
  state(): RoomState;
  /** The clock's price of the last tick that was told, as it counts; null before the first. */
  lastPrice(): string | null;
  amount(value: string | Decimal | null): string;
  withCurrency(value: string | Decimal | null): string;
  clockTime(moment: string | number, milliseconds?: boolean): string;
  write(name: string, text: string): void;
}

/** A part of the page in which something can be done. */
export interface Panel {
  /** The room has changed. */
  show(): void;
  /** A moment has passed. */
  tick(now: number): void;
}

/** Says what became of what was sent, beside the button that sent it. */
export function message(desk: Desk, text: string, tone: Tone, name = "message"): void {
  const slot = desk.page.querySelector<HTMLElement>(`[data-live-${name}]`);
  if (!slot) return;
  slot.textContent = text;
  slot.className = `live-message${tone ? ` tone-${tone}` : ""}`;
}

/** What stands beside the button now. */
export function said(desk: Desk): string {
  return desk.page.querySelector("[data-live-message]")?.textContent ?? "";
}

/** Takes back what is said there, where it still is that. */
export function unsay(desk: Desk, text: string): void {
  if (text && said(desk) === text) message(desk, "", "");
}
