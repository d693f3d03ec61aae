/** What the three figures at the top say, for every kind and for everybody who looks. */
import { serverNow } from "../lib/clock";
import { say } from "../lib/words";
import type { Desk } from "./desk";
import type { Course, RoomState } from "./room";

/** Bidders stay anonymous until the award: they are known by their labels. */
export function bidder(label: string | null | undefined): string {
  return label ? say("Bidder {label}", { label }) : "";
}

/** Where the viewer stands, or who leads. */
export function standing(room: RoomState, course: Course | null): string {
  if (room.status === "cancelled") return "—";
  if (!room.own) return room.best?.label ? bidder(room.best.label) : room.status === "running" ? say("Nobody yet") : "—";
  const { leading, rank } = room.own;
  if (room.status === "ended") return leading ? say("You won") : rank !== null ? say("Rank {rank}", { rank }) : say("You did not win");
  if (room.kind === "dutch") return room.status === "running" ? say("Still open") : say("Admitted");
  if (room.kind === "japanese") {
    if (room.refused === "bidder_out") return say("You are out");
    return room.status === "scheduled" ? say("Admitted") : mustConfirm(room, course) ? say("Confirm now") : say("You are in");
  }
  return leading ? say("You lead") : rank !== null ? say("Rank {rank}", { rank }) : say("You do not lead");
}

/** Whether the bidder has to confirm the price of the clock before the next one comes. */
export function mustConfirm(room: RoomState, course: Course | null): boolean {
  return room.kind === "japanese" && room.own !== null && room.status === "running" && room.refused !== "bidder_out" && !isIn(room, course);
}

/** Whether the bidder has confirmed the price of the clock that runs. */
function isIn(room: RoomState, course: Course | null): boolean {
  return course?.kind !== "tick" || (room.refused === "already_confirmed" && room.course?.number === course.number);
}

/** What an observer reads above the one who leads. */
export function leaderLabel(room: RoomState): string {
  return room.status === "ended" ? say("Best bidder") : say("Leading");
}

/** How many take part; `out` of them no more. */
export function bidders(room: RoomState, out: number): string {
  const all = say("{count} bidders", { count: room.bidders });
  return out > 0 ? `${all} · ${say("{count} still in", { count: room.bidders - out })}` : all;
}

/** What the time below the countdown is. */
export function endsLabel(room: RoomState): string {
  if (room.status === "scheduled") return say("starts at");
  if (room.status === "paused") return say("was to end at");
  return room.status === "ended" ? say("ended at") : say("ends at");
}

export interface Timer {
  readonly label: string;
  readonly until: number;
  readonly over: string;
}

/** What the time runs towards: the start, the next price, the end of a turn, the end. */
export function timer(room: RoomState, course: Course | null): Timer {
  if (room.status === "scheduled") return { label: say("Starts in"), until: Date.parse(room.starts_at), over: say("Starting…") };
  const end = { label: say("Time left"), until: Date.parse(room.ends_at), over: say("Closing…") };
  if (room.status !== "running" || !course?.until) return end;
  const until = Date.parse(course.until);
  switch (course.kind) {
    case "tick":
      return course.number === course.last ? { ...end, label: say("Last price, for") } : { label: say("Next price in"), until, over: "…" };
    case "pause":
      return { label: say("Round {round} begins in", { round: course.number }), until, over: "…" };
    case "turn":
      return { label: course.own ? say("Your turn ends in") : say("{bidder}: turn ends in", { bidder: bidder(course.label) }), until, over: "…" };
    case "announcement":
      return { label: say("Result in"), until, over: say("Closing…") };
  }
}

/** The bidder's own price, below the standing. */
export function ownPrice(desk: Desk, room: RoomState): string {
  return room.own?.amount ? say("Your price: {amount}", { amount: desk.withCurrency(room.own.amount) }) : "";
}

/** Which round it is, and when in it the bidder's turn comes. */
export function round(room: RoomState, course: Course | null): string {
  if (!course || course.order.length === 0 || room.status !== "running") return "";
  const place = room.own ? course.order.indexOf(room.own.label) + 1 : 0;
  const turn = place > 0 ? say("your turn is {place} of {count}", { place, count: course.order.length }) : "";
  return [say("Round {round} of {rounds}", { round: course.number, rounds: course.last }), turn].filter(Boolean).join(" · ");
}

/** The price that counts now: the clock's, or the best one. */
export function price(desk: Desk, room: RoomState, course: Course | null): string {
  if (course?.kind === "tick" && room.status === "running") return desk.amount(ownPriceNow(room, course) ?? course.price);
  // A pause stops the clock at its price.
  if (room.status === "paused" && room.clock && desk.lastPrice()) return desk.amount(desk.lastPrice());
  return room.best ? desk.amount(room.best.amount) : room.shown === "rank" && room.own ? say("Not shown") : "—";
}

/** Where more than the price counts, the clock's price is not the one that the bidder accepts or confirms. */
export function ownPriceNow(room: RoomState, course: Course | null): string | null {
  return room.formula && room.status === "running" && course?.kind === "tick" && room.course?.number === course.number ? room.allowed : null;
}

/** What that price is. */
export function priceLabel(room: RoomState, course: Course | null): string {
  if (room.status === "ended" || room.status === "cancelled") return say("Best price");
  if (room.clock && room.status === "scheduled") return say("The clock’s price");
  if (ownPriceNow(room, course)) return say("Your price now");
  if (room.clock || course?.kind === "tick") return say("Price now");
  return room.own && !room.own.leading && room.reference === "leader" ? say("Price to beat") : say("Best price");
}

/** What is said aloud and over the page when the course goes on; empty where nothing is. */
export function called(desk: Desk, before: RoomState, now: RoomState): string {
  const [was, is] = [before.course, now.course];
  if (!is || now.status !== "running" || (was && was.kind === is.kind && was.number === is.number && was.label === is.label)) return "";
  switch (is.kind) {
    case "tick":
      return now.own && now.refused !== "bidder_out" ? say("The price is {amount}.", { amount: desk.withCurrency(is.price) }) : "";
    case "pause":
      return say("Pause before round {round}.", { round: is.number });
    case "turn":
      return is.own ? say("It is your turn, until {time}.", { time: is.until ? desk.clockTime(is.until) : "" }) : say("It is the turn of {bidder}.", { bidder: bidder(is.label) });
    case "announcement":
      return say("The last turn is over. The result comes at {time}.", { time: is.until ? desk.clockTime(is.until) : "" });
  }
}

export function isMyTurn(room: RoomState): boolean {
  return room.status === "running" && room.course?.kind === "turn" && room.course.own && (!room.course.until || Date.parse(room.course.until) > serverNow());
}
