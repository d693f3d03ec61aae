/** Where an auction is by the clock: a tick is known before the server has written it down. Exact decimals throughout. */
import { add, compare, type Decimal, parse, plain, subtract } from "../lib/decimal";
import type { Course, RoomState } from "./room";

/** The course at that moment: that of the server, or the tick that has come since. */
export function courseAt(state: RoomState, now: number): Course | null {
  const { course, clock } = state;
  if (state.status !== "running" || course?.kind !== "tick" || !clock || !course.until || !course.price) return course;
  const passed = Math.floor((now - Date.parse(course.until)) / (clock.interval_s * 1000)) + 1;
  if (passed <= 0) return course;
  const number = Math.min(course.number + passed, course.last);
  const price = moved(course.price, clock.tick, clock.last, number - course.number, number === course.last);
  const until = new Date(Date.parse(course.until) + (number - course.number) * clock.interval_s * 1000).toISOString();
  return { ...course, number, price, until };
}

function moved(from: string, tick: string, last: string, times: number, isLast: boolean): string {
  if (isLast) return last;
  const [start, step, end] = [exact(from), exact(tick), exact(last)];
  const rises = compare(end, start) > 0;
  let price = start;
  for (let i = 0; i < times; i += 1) price = rises ? add(price, step) : subtract(price, step);
  return plain(price);
}

function exact(text: string): Decimal {
  const found = parse(text);
  if (found === null) throw new RangeError(`not a number: ${text}`);
  return found;
}
