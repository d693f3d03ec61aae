/** The limit down to which the system bids for its bidder, one step at a time. Nobody else is told. */
import { parse, plain } from "../lib/decimal";
import { say } from "../lib/words";
import { type Desk, message, type Panel } from "./desk";
import type { Outcome } from "./moves";
import { tell, tellWaiting } from "./outcome";

export class LimitPanel implements Panel {
  private readonly input: HTMLInputElement;
  private readonly drop: HTMLButtonElement | null;
  private sending = false;
  private sent = "";

  constructor(
    private readonly desk: Desk,
    form: HTMLFormElement,
  ) {
    this.input = form.querySelector("input[data-live-limit]") as HTMLInputElement;
    this.drop = form.querySelector("[data-live-limit-drop]");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.set();
    });
    this.drop?.addEventListener("click", () => void this.send(null));
    for (const { move, outcome } of desk.moves.ofEarlierPage(["limit"])) {
      this.sending = true;
      this.sent = this.input.value = move.amount === null ? "" : desk.amount(move.amount);
      this.input.closest("details")?.setAttribute("open", "");
      tellWaiting(desk, move, "unknown");
      void outcome.then((known) => this.settle(known));
    }
  }

  show(): void {
    const { own, status } = this.desk.state();
    const limit = own?.limit ?? null;
    if (this.drop) this.drop.hidden = limit === null;
    const open = status === "running" && this.desk.mayAct;
    for (const control of [this.input, this.input.form?.querySelector("button")]) control?.toggleAttribute("disabled", !open);
    this.desk.write(
      "limit-now",
      limit ? say("The system bids for you as far as {amount}, one step at a time.", { amount: this.desk.withCurrency(limit) }) : say("You bid yourself; the system does not bid for you."),
    );
  }

  tick(): void {}

  private async set(): Promise<void> {
    const typed = parse(this.input.value);
    if (!typed || typed.units <= 0n) {
      message(this.desk, say("Enter an amount."), "bad", "limit-message");
      this.input.focus();
      return;
    }
    await this.send(plain(typed, this.desk.digits));
  }

  private async send(amount: string | null): Promise<void> {
    if (this.sending) return;
    this.sending = true;
    this.sent = this.input.value;
    this.settle(await this.desk.moves.make("limit", amount, (how) => tellWaiting(this.desk, { action: "limit", amount }, how)));
  }

  private settle(outcome: Outcome): void {
    this.sending = false;
    tell(this.desk, outcome);
    // What was typed meanwhile stays.
    if (outcome.is === "taken" && this.input.value === this.sent) this.input.value = "";
  }
}
