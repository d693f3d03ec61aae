/** Countdowns, the clock of the footer and the reader's own time, all by the server's clock. */
import { serverNow } from "../lib/clock";
import { all, language, once } from "../lib/dom";
import { say } from "../lib/words";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const running = new Map<HTMLElement, { until: number; announced: number }>();

function unit(count: number, name: "day" | "hour"): string {
  return new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay: "long" }).format(count);
}

/** "2 days 4 hours" from a day up, "4:05:09" below it, "05:09" in the last hour. */
export function timeLeft(milliseconds: number): string {
  const left = Math.max(0, Math.ceil(milliseconds / 1000) * 1000);
  if (left >= DAY) {
    const hours = Math.floor((left % DAY) / HOUR);
    return `${unit(Math.floor(left / DAY), "day")}${hours ? ` ${unit(hours, "hour")}` : ""}`;
  }
  const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
  const rest = `${two((left % HOUR) / MINUTE)}:${two((left % MINUTE) / 1000)}`;
  return left >= HOUR ? `${Math.floor(left / HOUR)}:${rest}` : rest;
}

function tick(): void {
  const now = serverNow();
  for (const [element, state] of running) {
    if (!element.isConnected) {
      running.delete(element);
      continue;
    }
    const left = state.until - now;
    const value = element.querySelector<HTMLElement>("[data-countdown-value]");
    const said = element.querySelector<HTMLElement>("[data-countdown-said]");
    if (left <= 0) {
      element.classList.add("is-over");
      element.classList.remove("is-close");
      if (value) value.textContent = element.dataset.over ?? "";
      if (said) said.textContent = element.dataset.over ?? "";
      running.delete(element);
      element.dispatchEvent(new CustomEvent("countdown-over", { bubbles: true }));
      continue;
    }
    if (value) value.textContent = timeLeft(left);
    element.classList.toggle("is-close", left < 10 * MINUTE);
    for (const mark of [10, 1]) {
      if (left <= mark * MINUTE && state.announced > mark) {
        state.announced = mark;
        if (said) said.textContent = say(mark === 1 ? "One minute left" : "Ten minutes left");
      }
    }
  }
  for (const clock of all<HTMLTimeElement>(document, "[data-server-clock]")) {
    clock.textContent = new Date(now).toISOString().slice(11, 19);
  }
}

export function countdowns(root: ParentNode): void {
  for (const element of all(root, "[data-countdown]:not(.is-over)")) {
    if (!once(element, "countdown")) continue;
    const until = Date.parse(element.dataset.countdown ?? "");
    if (!Number.isNaN(until)) running.set(element, { until, announced: (until - serverNow()) / MINUTE });
  }
}

/** As the server writes it: "22 Nov 2026, 17:56 UTC+1". */
function dayAndClock(moment: Date): string {
  const format = new Intl.DateTimeFormat(language, {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
  const parts = Object.fromEntries(format.formatToParts(moment).map((part) => [part.type, part.value]));
  const minutes = -moment.getTimezoneOffset();
  const rest = Math.abs(minutes) % 60 ? `:${String(Math.abs(minutes) % 60).padStart(2, "0")}` : "";
  const zone = minutes ? `UTC${minutes > 0 ? "+" : "−"}${Math.floor(Math.abs(minutes) / 60)}${rest}` : "UTC";
  return `${parts.day} ${parts.month} ${parts.year}, ${parts.hour}:${parts.minute} ${zone}`;
}

/** Where a person has not chosen a zone, the browser's stands beside the tender's. */
export function localTimes(root: ParentNode): void {
  for (const element of all(root, "[data-local-time]")) {
    const moment = new Date(element.dataset.localTime ?? "");
    if (Number.isNaN(moment.getTime()) || -moment.getTimezoneOffset() === Number(element.dataset.offset)) continue;
    element.textContent = `${element.dataset.words} ${dayAndClock(moment)}`;
    element.hidden = false;
  }
}

export function startClock(): void {
  tick();
  setInterval(tick, 250);
}
