/** The list of what happened, newest first. What the lot does not show never comes here. */
import { say } from "../lib/words";
import type { Desk } from "./desk";
import type { RoomEvent } from "./room";
import { bidder } from "./words";

const MOST_LINES = 200;

interface Line {
  readonly words: string;
  readonly amount?: string | null;
  readonly css: string;
}

export class Lines {
  constructor(
    private readonly desk: Desk,
    private readonly list: HTMLElement,
  ) {}

  take(events: readonly RoomEvent[]): void {
    // More than the list holds need not be made.
    for (const event of events.slice(-MOST_LINES)) {
      if (this.list.querySelector(`[data-number="${event.number}"]`)) continue;
      for (const line of [...this.lines(event), ...this.extension(event)]) this.list.prepend(this.made(event, line));
    }
    while (this.list.childElementCount > MOST_LINES) this.list.lastElementChild?.remove();
  }

  private made(event: RoomEvent, { words, amount, css }: Line): HTMLLIElement {
    const line = document.createElement("li");
    line.dataset.number = String(event.number);
    line.className = css;
    const time = document.createElement("time");
    time.dateTime = event.at;
    time.textContent = this.desk.clockTime(event.at);
    const text = document.createElement("span");
    text.textContent = words;
    line.append(time, text);
    if (amount) {
      const price = document.createElement("bdi");
      price.textContent = this.desk.amount(amount);
      line.append(price);
    }
    return line;
  }

  private lines(event: RoomEvent): Line[] {
    const { amount } = event;
    const css = event.own === true ? "is-own" : event.leads ? "is-best" : "";
    const who = event.own === true ? say("You") : bidder(event.label);
    switch (event.kind) {
      case "bid":
        // In turns nobody else sees it yet; the same bid comes again when the turn ends.
        return [{ words: event.own === true && this.desk.state().kind === "turn_based" ? say("You, in your turn") : who, amount, css }];
      case "accept":
        return [{ words: event.own === true ? say("You accepted") : say("{who} accepted", { who }), amount, css: css || "is-best" }];
      case "confirm":
        return [{ words: event.own === true ? say("You stay in") : say("{who} stays in", { who }), amount, css }];
      case "withdraw":
        return [{ words: say("{who}: bid of this turn taken back", { who }), css }];
      case "limit":
        return [{ words: amount ? say("Your limit for bids by the system") : say("Your limit was taken back"), amount, css: "is-own" }];
      case "limit_dropped":
        return [{ words: say("The system bids for you no more: your organisation may not bid now"), css: "is-own" }];
      case "automatic_bids":
        return (event.bids ?? []).map((bid) => ({
          words: say("{who}, by the system", { who: bid.own ? say("You") : bidder(bid.label) }),
          amount: bid.amount,
          css: bid.own ? "is-own" : bid.leads ? "is-best" : "",
        }));
      case "published":
        return (event.bids ?? []).map((bid) => ({ words: bid.own ? say("You") : bidder(bid.label), amount: bid.amount, css: bid.own ? "is-own" : bid.leads ? "is-best" : "" }));
      default:
        return this.moment(event);
    }
  }

  /** A late bid moves the end, which everybody may know, whatever they may know of the bid. */
  private extension(event: RoomEvent): Line[] {
    if (!event.ends_at || event.kind === "resumed" || event.kind === "retimed") return [];
    return [{ words: say("Extended to {time}", { time: this.desk.clockTime(event.ends_at) }), css: "is-moment" }];
  }

  private moment(event: RoomEvent): Line[] {
    const words = this.momentWords(event);
    const mine = this.desk.state().own?.label;
    const left = (event.out ?? []).map((label) => ({ words: label === mine ? say("You are out") : say("{who} is out", { who: bidder(label) }), css: "" }));
    const told = event.reason ? `${words}: ${event.reason}` : words;
    return words ? [...left, { words: told, amount: event.price ?? null, css: "is-moment" }] : left;
  }

  private momentWords(event: RoomEvent): string {
    const own = event.own === true;
    const ends = event.ends_at ? this.desk.clockTime(event.ends_at) : "";
    switch (event.kind) {
      case "started":
        return say("Started");
      case "paused":
        return say("Paused");
      case "resumed":
        return ends ? say("Resumed, ends at {time}", { time: ends }) : say("Resumed");
      case "retimed":
        return ends ? say("Moved by an outage of the platform, ends at {time}", { time: ends }) : say("Moved by an outage of the platform");
      case "ended":
        return say("Ended");
      case "cancelled":
        return say("Cancelled");
      case "tick":
        if (!event.price) return say("The clock stops");
        return this.desk.page.dataset.counts === undefined ? say("New price") : say("New price, as it counts");
      case "pause":
        return say("Pause before round {round}", { round: event.course ?? "" });
      case "turn":
        return own ? say("Your turn, round {round}", { round: event.course ?? "" }) : say("Turn of {bidder}, round {round}", { bidder: bidder(event.label), round: event.course ?? "" });
      case "announcement":
        return say("Result announced");
      default:
        return "";
    }
  }
}
