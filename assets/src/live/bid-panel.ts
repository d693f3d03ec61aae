/** The field and button of those kinds in which a price is typed: English, and turns. */
import { serverNow } from "../lib/clock";
import { add, compare, type Decimal, display, multiply, parse, plain, subtract } from "../lib/decimal";
import { all, language } from "../lib/dom";
import { say } from "../lib/words";
import { type Desk, message, type Panel, said, unsay } from "./desk";
import { effect } from "./effect";
import type { Outcome, Waiting } from "./moves";
import { tell, tellWaiting } from "./outcome";
import type { Action } from "./room";

const SLIP_PER_CENT = 5n;
const DOUBLE_CLICK = 500;

export class BidPanel implements Panel {
  private readonly button: HTMLButtonElement;
  private readonly withdraw: HTMLButtonElement | null;
  private prefilled = "";
  private armed = "";
  private armedAt = 0;
  /** Why a press was refused here last. */
  private refusal = "";
  /** A move is under way, or nobody knows yet what became of it: until then nothing else is sent. */
  private sending: "" | "sending" | "unknown" = "";

  constructor(
    private readonly desk: Desk,
    private readonly input: HTMLInputElement,
  ) {
    this.button = input.form?.querySelector("[data-live-button]") as HTMLButtonElement;
    this.withdraw = desk.page.querySelector("[data-live-withdraw]");
    this.withdraw?.addEventListener("click", () => void this.takeBack());
    this.bind();
    for (const { move, outcome } of desk.moves.ofEarlierPage(["bid", "withdraw"])) {
      if (move.action === "bid") input.value = desk.amount(move.amount);
      this.waits(move.action, move.amount, "unknown");
      void outcome.then((known) => this.settle(known));
    }
  }

  show(): void {
    const { status } = this.desk.state();
    // Nobody is to press once more.
    if (status === "ended" || status === "cancelled") this.disarm();
    this.prefill();
    this.showButton();
  }

  tick(): void {
    this.showButton();
  }

  private bind(): void {
    const { input } = this;
    input.addEventListener("input", () => {
      this.armed = "";
      this.showHint();
      this.showButton();
      if (!this.sending) message(this.desk, "", "");
    });
    input.addEventListener("focus", () => input.select());
    input.addEventListener("keydown", (event) => {
      const change = { ArrowUp: 1n, ArrowDown: -1n, PageUp: 10n, PageDown: -10n }[event.key];
      if (change === undefined) return;
      event.preventDefault();
      this.step(change);
    });
    // A key that is held down is one press.
    input.form?.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.repeat) event.preventDefault();
    });
    input.form?.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.send();
    });
    for (const use of all<HTMLButtonElement>(this.desk.page, "[data-live-use]")) {
      use.addEventListener("click", () => {
        this.fillAllowed();
        input.focus();
      });
    }
    if (!input.disabled) input.focus();
  }

  private typed(): Decimal | null {
    const { digits } = this.desk;
    const value = parse(this.input.value);
    return value && value.units > 0n && value.scale <= digits ? value : value && value.units > 0n ? trimmed(value, digits) : null;
  }

  private fillAllowed(): void {
    const { allowed } = this.desk.state();
    if (allowed === null) return;
    this.prefilled = this.desk.amount(allowed);
    if (this.input.value === this.prefilled) return;
    this.input.value = this.prefilled;
    // What is typed now replaces the amount, wherever it came from.
    if (document.activeElement === this.input) this.input.select();
    this.disarm();
    this.showButton();
  }

  /** Another amount is asked for anew. */
  private disarm(): void {
    if (this.armed) unsay(this.desk, slipWords());
    this.armed = "";
  }

  /** The best allowed amount stands in the field until the person types another; what was typed is never lost. */
  private prefill(): void {
    const { input } = this;
    // What is being sent may be wanted again.
    const untouched = !this.sending && (input.value.trim() === "" || input.value === this.prefilled);
    if (untouched && this.refusesLeader()) input.value = this.prefilled = "";
    else if (untouched) this.fillAllowed();
    this.showHint();
  }

  private refusesLeader(): boolean {
    const { own, reference } = this.desk.state();
    return Boolean(own?.leading) && reference === "leader";
  }

  /** The way out while less than the step is typed. */
  private showHint(): void {
    const state = this.desk.state();
    const typed = this.typed();
    const allowed = state.allowed ? parse(state.allowed) : null;
    const tooWeak = Boolean(typed && allowed && (state.direction === "down" ? compare(typed, allowed) > 0 : compare(typed, allowed) < 0));
    for (const hint of all(this.desk.page, "[data-live-hint]")) hint.hidden = !tooWeak || this.refusesLeader();
    this.desk.write("allowed", state.allowed ? this.desk.withCurrency(state.allowed) : "");
  }

  private step(times: bigint): void {
    const state = this.desk.state();
    const step = parse(state.step);
    const from = this.typed() ?? (state.allowed ? parse(state.allowed) : null);
    if (!step || !from) return;
    const next = add(from, multiply(step, { units: times, scale: 0 }));
    if (next.units <= 0n) return;
    this.input.value = display(next, this.desk.digits, language);
    this.disarm();
    this.prefill();
    this.showButton();
  }

  private reasonNot(): string {
    const { status, course, ends_at, kind } = this.desk.state();
    if (!this.desk.mayAct) return this.desk.mayNot;
    if (status === "scheduled") return say("The auction has not started yet.");
    if (status === "paused") return say("The auction is paused.");
    if (status !== "running" || Date.parse(ends_at) <= serverNow()) return say("The auction is over.");
    if (this.refusesLeader()) return say("You lead. You need not bid against yourself.");
    if (kind === "turn_based" && !(course?.kind === "turn" && course.own)) return say("You bid when it is your turn.");
    return this.typed() ? "" : this.unread();
  }

  private unread(): string {
    const { input, desk } = this;
    if (input.value.trim() === "") return say("Enter an amount.");
    return say("This is not an amount above zero with at most {digits} decimals.", { digits: desk.digits });
  }

  private showButton(): void {
    const { desk, button } = this;
    const why = this.reasonNot();
    if (why !== this.refusal) {
      unsay(desk, this.refusal);
      this.refusal = "";
    }
    const typed = this.typed();
    button.setAttribute("aria-disabled", String(Boolean(why) || this.sending === "unknown"));
    const made = desk.state().own?.made ?? null;
    const bid = typed ? (made ? say("Change to {amount}", { amount: desk.withCurrency(typed) }) : say("Bid {amount}", { amount: desk.withCurrency(typed) })) : "";
    const text = this.sending ? (this.sending === "sending" ? say("Sending…") : say("Waiting for the answer…")) : bid || (this.refusesLeader() ? say("You lead") : say("Bid"));
    const label = this.armed && typed && this.armed === plain(typed) ? say("Yes, bid {amount}", { amount: desk.withCurrency(typed) }) : text;
    desk.write("button-words", label);
    // With a bid made an empty field asks for nothing.
    const stands = made && desk.state().status === "running" && (!why || this.input.value.trim() === "");
    const shown = stands ? say("Your bid of this turn: {amount}. It is published when your turn ends.", { amount: desk.withCurrency(made) }) : why;
    desk.write("why", shown && said(desk) === shown ? "" : shown);
    if (this.withdraw) this.withdraw.hidden = made === null || desk.state().status !== "running";
    const { formula } = desk.state();
    desk.write("counts", formula && typed ? say("{amount} counts as {counts} with your answers.", { amount: desk.withCurrency(typed), counts: desk.withCurrency(effect(formula, typed, desk.digits)) }) : "");
  }

  /** Far better than needed is more often a slip of the finger than a plan: it takes a second press. */
  private looksLikeSlip(amount: Decimal): boolean {
    const state = this.desk.state();
    const allowed = state.allowed ?? state.own?.amount;
    const reference = allowed ? parse(allowed) : null;
    const step = parse(state.step);
    if (!reference || !step) return false;
    const better = state.direction === "down" ? subtract(reference, amount) : subtract(amount, reference);
    const threeSteps = multiply(step, { units: 3n, scale: 0 });
    const share = multiply(reference, { units: SLIP_PER_CENT, scale: 2 });
    return compare(better, threeSteps) > 0 && compare(better, share) > 0;
  }

  private async send(): Promise<void> {
    const { desk } = this;
    const amount = this.typed();
    const why = this.reasonNot();
    if (this.sending) return;
    if (why || !amount) {
      message(desk, why, "bad");
      this.refusal = why;
      this.showButton();
      this.input.focus();
      return;
    }
    const exact = plain(amount, desk.digits);
    if (this.looksLikeSlip(amount) && this.armed !== plain(amount)) {
      this.armed = plain(amount);
      this.armedAt = performance.now();
      this.showButton();
      message(desk, slipWords(), "warn");
      return;
    }
    // Who clicks twice at once has read nothing.
    if (this.armed && performance.now() - this.armedAt < DOUBLE_CLICK) return;
    this.sending = "sending";
    message(desk, say("Sending {amount}…", { amount: desk.withCurrency(exact) }), "");
    this.showButton();
    this.settle(await desk.moves.make("bid", exact, (how) => this.waits("bid", exact, how)));
  }

  private waits(action: Action, amount: string | null, how: Waiting): void {
    this.sending = how === "again" ? "sending" : "unknown";
    tellWaiting(this.desk, { action, amount }, how);
    this.showButton();
  }

  private settle(outcome: Outcome): void {
    const { input } = this;
    this.sending = this.armed = "";
    tell(this.desk, outcome);
    const sent = outcome.move.action === "bid" && outcome.move.amount !== null ? this.desk.amount(outcome.move.amount) : "";
    const typed = this.typed();
    if (outcome.is === "taken" && typed && sent === this.desk.amount(typed)) {
      // The next allowed amount comes with the stream; until then an empty field invites no bid against oneself.
      input.value = this.prefilled = "";
      if (this.desk.state().number >= outcome.taken.number) this.prefill();
    } else {
      this.prefill();
      if (!outcome.late) input.select();
    }
    this.showButton();
  }

  /** Takes back the bid of this turn; what stood before the turn stands again. */
  private async takeBack(): Promise<void> {
    if (this.sending) return;
    this.sending = "sending";
    this.settle(await this.desk.moves.make("withdraw", null, (how) => this.waits("withdraw", null, how)));
  }
}

function slipWords(): string {
  return say("This is far better than is needed. If you mean it, press once more.");
}

/** Without digits below the minor unit when they are zeros; null where they say something. */
function trimmed(value: Decimal, digits: number): Decimal | null {
  const divisor = 10n ** BigInt(value.scale - digits);
  return value.units % divisor === 0n ? { units: value.units / divisor, scale: digits } : null;
}
