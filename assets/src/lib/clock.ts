/** The server's clock in the browser: every deadline runs by it. Times are milliseconds since the epoch. */

let offset = 0;
/** By how much it may be wrong; unknown before the server was asked. */
let doubt = Infinity;

/** Local time that no adjustment of the machine's clock moves. */
function local(): number {
  return performance.timeOrigin + performance.now();
}

export function serverNow(): number {
  return local() + offset;
}

/** How far the server's clock is ahead of this machine's wall clock. */
export function clockOffset(): number {
  return serverNow() - Date.now();
}

/**
 * What the server said its time was, asked at `sent` and heard at `back` by `localNow`: somewhere between the two it said so. An answer
 * that took long does not move what is known better, unless the two cannot both be true: then a clock was set.
 */
export function hearServerTime(server: number, sent: number, back: number): void {
  const [heard, half] = [server - (sent + back) / 2, (back - sent) / 2];
  if (half > doubt && Math.abs(heard - offset) <= half + doubt) return;
  offset = heard;
  doubt = half;
}

export const localNow = local;

/** The page says when it was rendered; half the time until its first byte lies between the two clocks. */
export function readPageTime(): void {
  const said = document.querySelector<HTMLMetaElement>("meta[name=server-time]")?.content;
  const navigation = performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming | undefined;
  if (!said) return;
  const arrived = performance.timeOrigin + (navigation?.responseStart || 0);
  // A page out of the browser's cache says an old time: this machine's own clock is then the better guess.
  const stale = navigation?.type === "back_forward" && navigation.transferSize === 0;
  offset = stale ? Date.now() - local() : Date.parse(said) - arrived;
}

/** Monotonic time stands still while a machine sleeps; the wall clock tells by how much, until the server says it better. */
export function watchForSleep(woken = (): void => {}): void {
  let wall = Date.now();
  let steady = local();
  setInterval(() => {
    const slept = Date.now() - wall - (local() - steady);
    if (slept > 2_000) {
      offset += slept;
      doubt = Infinity;
      woken();
    }
    wall = Date.now();
    steady = local();
  }, 5_000);
}
