/** One button for the price of the clock: accept it (Dutch), or stay in at it (Japanese). */
import { serverNow } from "../lib/clock";
import { say } from "../lib/words";
import { courseAt } from "./course";
import { type Desk, message, type Panel, said, unsay } from "./desk";
import type { Outcome, Waiting } from "./moves";
import { tell, tellWaiting } from "./outcome";
import type { Action, Course } from "./room";

export class ClockPanel implements Panel {
  /** A move is under way, or nobody knows yet what became of it: until then nothing else is sent. */
  private sending: "" | "sending" | "unknown" = "";
  /** The tick that was confirmed here; the stream says the same a moment later. */
  private confirmed = -1;
  private number = -1;
  /** What was answered last is that the auction was over already. */
  private late = false;
  /** Why a press was refused here last. */
  private refusal = "";
  /** What was answered last came long after the press: it stays until the next one. */
  private stays = false;

  constructor(
    private readonly desk: Desk,
    private readonly button: HTMLButtonElement,
    private readonly action: Action,
  ) {
    button.form?.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.send();
    });
    if (!button.disabled) button.focus();
    for (const { move, outcome } of desk.moves.ofEarlierPage([action])) {
      this.waits(move.amount, "unknown");
      void outcome.then((known) => this.settle(known));
    }
  }

  show(): void {
    const { status, own } = this.desk.state();
    // A price beyond the last one was pressed before the end was known here: nothing that the winner has to mend.
    if (this.late && status === "ended" && own?.leading) message(this.desk, "", "");
    this.tick(serverNow());
  }

  tick(now: number): void {
    const course = courseAt(this.desk.state(), now);
    if (course && course.number !== this.number) {
      // What was answered was about another price.
      if (this.number >= 0 && this.desk.state().status === "running" && !this.sending && !this.stays) message(this.desk, "", "");
      this.number = course.number;
    }
    const why = this.reasonNot(course, now);
    if (why !== this.refusal) {
      unsay(this.desk, this.refusal);
      this.refusal = "";
    }
    this.button.setAttribute("aria-disabled", String(Boolean(why) || this.sending === "unknown"));
    const price = this.price(course);
    const words = price
      ? this.action === "accept"
        ? say("Accept {amount}", { amount: this.desk.withCurrency(price) })
        : say("Stay in at {amount}", { amount: this.desk.withCurrency(price) })
      : this.action === "accept"
        ? say("Accept the price")
        : say("Stay in");
    this.desk.write("button-words", this.sending ? (this.sending === "sending" ? say("Sending…") : say("Waiting for the answer…")) : words);
    this.desk.write("why", why && said(this.desk) === why ? "" : why || this.consequence());
  }

  /** The bidder's own price of this tick; where features count it is not the one on the clock, and comes with the stream. */
  private price(course: Course | null): string | null {
    if (course?.kind !== "tick") return null;
    const { clock, allowed, course: told } = this.desk.state();
    return clock ? course.price : told?.number === course.number ? allowed : null;
  }

  private consequence(): string {
    return this.action === "accept"
      ? say("The first to accept wins the lot at this price, at once and bindingly.")
      : say("Whoever does not confirm before the price moves is out for good.");
  }

  private reasonNot(course: Course | null, now: number): string {
    const { status, ends_at, refused } = this.desk.state();
    if (!this.desk.mayAct) return this.desk.mayNot;
    if (status === "scheduled") return say("The auction has not started yet.");
    if (status === "paused") return say("The auction is paused.");
    if (status !== "running" || Date.parse(ends_at) <= now) return say("The auction is over.");
    if (refused === "bidder_out") return say("You did not confirm a price in time: you are out. You may go on watching.");
    if (this.isConfirmed(course) && course?.number === course?.last) return say("You are in at this price. It is the last one.");
    if (this.isConfirmed(course)) return say("You are in at this price. The next one comes at {time}.", { time: course?.until ? this.desk.clockTime(course.until) : "" });
    if (course === null) return say("The price appears in a moment.");
    return "";
  }

  private isConfirmed(course: Course | null): boolean {
    if (this.action !== "confirm" || course?.kind !== "tick") return false;
    const { refused, course: told } = this.desk.state();
    return course.number === this.confirmed || (refused === "already_confirmed" && told?.number === course.number);
  }

  private async send(): Promise<void> {
    const { desk } = this;
    const course = courseAt(desk.state(), serverNow());
    const why = this.reasonNot(course, serverNow());
    const price = this.price(course);
    if (this.sending) return;
    if (why || !course) {
      message(desk, why, "bad");
      this.refusal = why;
      return;
    }
    this.sending = "sending";
    this.tick(serverNow());
    // With the price that was seen: nobody is held to another.
    const outcome = await desk.moves.make(this.action, price, (how) => this.waits(price, how));
    if (outcome.is === "taken" && this.action === "confirm") this.confirmed = course.number;
    this.settle(outcome);
  }

  private waits(price: string | null, how: Waiting): void {
    this.sending = how === "again" ? "sending" : "unknown";
    tellWaiting(this.desk, { action: this.action, amount: price }, how);
  }

  private settle(outcome: Outcome): void {
    this.sending = "";
    this.stays = outcome.late;
    this.late = outcome.is === "refused" && outcome.problem.code === "auction_over";
    tell(this.desk, outcome);
    this.show();
  }
}
