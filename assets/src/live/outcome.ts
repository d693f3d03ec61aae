/** What became of a move, in a sentence. */
import { say } from "../lib/words";
import { type Desk, message, type Tone } from "./desk";
import type { Move, Outcome, Problem, Taken, Waiting } from "./moves";

/** Says it beside the button that sent the move. */
export function tell(desk: Desk, outcome: Outcome): void {
  const [text, tone] = outcomeWords(desk, outcome);
  message(desk, text, tone, slotOf(desk, outcome.move));
}

export function tellWaiting(desk: Desk, move: Pick<Move, "action" | "amount">, how: Waiting): void {
  message(desk, how === "again" ? againWords(move) : unknownWords(desk, move), "warn", slotOf(desk, move));
}

export function outcomeWords(desk: Desk, outcome: Outcome): [string, Tone] {
  const { move, late } = outcome;
  if (outcome.is === "taken") return [takenWords(desk, move, outcome.taken, late), "good"];
  const why = outcome.is === "refused" ? refusalWords(desk, outcome.problem) : say("It was not recorded in time. Send it again if you still want to.");
  return [late || outcome.is === "lost" ? `${notTaken(desk, move)} ${why}` : why, "bad"];
}

function takenWords(desk: Desk, { action, amount }: Move, taken: Taken, late: boolean): string {
  const zone = desk.page.dataset.zone || "UTC";
  const words = { time: desk.clockTime(taken.received_at, true), zone, amount: desk.withCurrency(taken.amount ?? amount) };
  switch (action) {
    case "accept":
      return say("Accepted at {time}: {amount}. The lot is yours.", words);
    case "confirm":
      return say("Confirmed at {time}: {amount}", words);
    case "withdraw":
      return say("Taken back. Your bid from before this turn stands.");
    case "limit":
      return amount === null ? say("Taken back. You bid yourself again.") : say("Your limit stands.");
    default:
      return late ? say("Your bid of {amount} was taken. It was received at {time} ({zone}).", words) : say("Received at {time} ({zone}): {amount}", words);
  }
}

/** The server's own sentence on the limit price serves purchases and sales alike. */
function refusalWords(desk: Desk, { code, detail, allowed_amount }: Problem): string {
  const { direction, formula } = desk.state();
  const limit = direction === "down" ? say("The bid is above the limit price.") : say("The bid is below the reserve price.");
  const why = code === "limit_not_met" && !formula ? limit : detail;
  return allowed_amount ? `${why} ${say("The best allowed amount is {amount}.", { amount: desk.withCurrency(allowed_amount) })}` : why;
}

function notTaken(desk: Desk, { action, amount }: Move): string {
  return action === "bid" ? say("Your bid of {amount} was not taken.", { amount: desk.withCurrency(amount) }) : say("What you sent was not taken.");
}

function againWords({ action }: Pick<Move, "action">): string {
  return action === "bid" ? say("No answer yet. Sending the same bid again; it counts once.") : say("No answer yet. Sending it again; it counts once.");
}

function unknownWords(desk: Desk, { action, amount }: Pick<Move, "action" | "amount">): string {
  return action === "bid"
    ? say("Whether your bid of {amount} was taken is not known yet. You are told here as soon as it is.", { amount: desk.withCurrency(amount) })
    : say("Whether what you sent was taken is not known yet. You are told here as soon as it is.");
}

/** A page that takes no limits any more has no place of their own. */
function slotOf({ page }: Desk, { action }: Pick<Move, "action">): string {
  return action === "limit" && page.querySelector("[data-live-limit-message]") ? "limit-message" : "message";
}
