/** The limit down to which the system bids for its bidder, one step at a time. Nobody else is told. */
import { parse, plain } from "../lib/decimal";
import { randomKey } from "../lib/dom";
import { say } from "../lib/words";
import { type Desk, message, type Panel, refusal } from "./desk";

export class LimitPanel implements Panel {
  private readonly input: HTMLInputElement;
  private readonly drop: HTMLButtonElement | null;
  private sending = false;

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
    try {
      const answer = await this.desk.gateway.move("limit", amount, randomKey(), () => message(this.desk, say("No answer yet. Sending it again; it counts once."), "warn", "limit-message"));
      if ("code" in answer) message(this.desk, refusal(this.desk, answer), "bad", "limit-message");
      else {
        message(this.desk, amount === null ? say("Taken back. You bid yourself again.") : say("Your limit stands."), "good", "limit-message");
        this.input.value = "";
      }
    } catch {
      message(this.desk, say("The server does not answer. Try again when the connection is back."), "bad", "limit-message");
    }
    this.sending = false;
  }
}
