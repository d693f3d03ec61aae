/** The bidding as a step line: the best price, and one's own. What the lot does not show is not there. */
import uPlot from "uplot";
import { serverNow } from "../lib/clock";
import { colour, language } from "../lib/dom";
import { say } from "../lib/words";
import type { RoomEvent, RoomState } from "./room";
import { type Row, thinned } from "./rows";

// Seconds between two marks: what the labels can tell apart.
const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400];

// Twice as many as the widest chart has places for.
const MOST_ROWS = 8_000;

/** Above and below the line; a line that is flat yet lies in the middle. */
function margin(low: number, high: number): number {
  return (high - low) * 0.12 || Math.abs(high) * 0.005 || 1;
}

/** As wide as the longest price needs it. */
function wide(plot: uPlot, prices: string[] | null): number {
  const font = plot.axes[1]?.font;
  plot.ctx.font = (Array.isArray(font) ? font[0] : font) ?? plot.ctx.font;
  const longest = Math.max(0, ...(prices ?? []).map((one) => plot.ctx.measureText(one).width));
  return Math.max(84, Math.ceil(longest / devicePixelRatio) + 16);
}

export class BiddingChart {
  private rows: Row[] = [];
  private plot: uPlot | null = null;
  private best: number | null = null;
  private own: number | null = null;
  private start = 0;
  private isOver = false;
  private begun = false;
  /** More than the price counts: the lines are of what prices count as. */
  private counts = false;

  constructor(
    private readonly element: HTMLElement,
    private readonly observer: boolean,
    private readonly room: Pick<RoomState, "shown" | "kind">,
    private readonly zone: string,
  ) {
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(element);
    new MutationObserver(() => this.rebuild()).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
  }

  take(events: readonly RoomEvent[], state: RoomState): void {
    this.start = Date.parse(state.starts_at) / 1000;
    this.isOver = state.status === "ended" || state.status === "cancelled";
    for (const event of events) {
      this.begun ||= event.kind === "started";
      // For drawing only: prices are compared and sent as exact decimals elsewhere.
      const at = Math.max(Date.parse(event.at) / 1000, this.start);
      if (event.kind === "scheduled") {
        this.counts = event.best_counts_as !== undefined;
        const [best, own] = this.counts ? [event.best_counts_as, event.own_counts_as] : [event.best, event.own];
        this.best = best ? Number(best) : null;
        this.own = typeof own === "string" ? Number(own) : null;
      } else if ((event.kind === "automatic_bids" || event.kind === "published") && event.bids?.length) {
        // What is bid in a turn can be taken back until then.
        for (const bid of event.bids) this.bid(bid.counts_as ?? bid.amount, bid.leads, bid.own, state);
      } else if (event.kind === "bid" && event.amount && this.room.kind !== "turn_based") {
        this.bid(event.counts_as ?? event.amount, Boolean(event.leads), event.own === true, state);
      } else if (event.kind === "tick" && event.price) {
        this.best = Number(event.price);
      } else if ((event.kind === "accept" || event.kind === "confirm") && event.amount) {
        // The price of the clock, whatever amount it is for this bidder.
        if (event.own === true) this.own = this.best ?? Number(event.amount);
      } else if (event.kind !== "ended" && event.kind !== "cancelled") {
        continue;
      }
      this.rows.push([at, this.best, this.own]);
    }
    if (this.rows.length > MOST_ROWS) this.rows = thinned(this.rows, MOST_ROWS / 2);
    this.draw();
  }

  private bid(amount: string, leads: boolean, own: boolean, state: RoomState): void {
    if (leads && (this.observer || state.shown !== "rank")) this.best = Number(amount);
    if (own) this.own = Number(amount);
  }

  draw(): void {
    if (!this.begun || this.rows.length === 0) return;
    const now = Math.max(serverNow() / 1000, this.start);
    const last = this.rows.at(-1);
    const rows = this.isOver || !last || last[0] >= now ? this.rows : [...this.rows, [now, this.best, this.own] as Row];
    const series: uPlot.AlignedData = [rows.map((row) => row[0]), rows.map((row) => row[1]), ...(this.observer ? [] : [rows.map((row) => row[2])])];
    if (this.plot) this.plot.setData(series);
    else this.plot = new uPlot(this.options(), series, this.element);
  }

  private rebuild(): void {
    // The new one takes the size of the place before the old one leaves it empty.
    const old = this.plot;
    this.plot = null;
    this.draw();
    old?.destroy();
  }

  private size(): { width: number; height: number } {
    return { width: this.element.clientWidth, height: Math.max(180, this.element.clientHeight) };
  }

  private options(): uPlot.Options {
    const text = colour("--tblr-secondary-color");
    const line = colour("--tblr-border-color-translucent");
    const steps = uPlot.paths.stepped?.({ align: 1 });
    const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: this.zone });
    const price = (value: number, step: number): string => {
      const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
      return new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
    };
    const colours = [colour("--tblr-link-color"), colour("--ol-amber")];
    const isClock = this.room.kind === "dutch" || this.room.kind === "japanese";
    const axis = { stroke: text, font: `13px ${getComputedStyle(document.body).fontFamily}`, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 } };
    return {
      ...this.size(),
      // Half of the last time stands beyond its mark.
      padding: [12, 40, 0, 0],
      cursor: { points: { size: 7 }, drag: { x: false, y: false } },
      legend: { live: false, markers: { fill: (_plot, index) => colours[index - 1] ?? "" } },
      scales: { y: { range: (_plot, low, high) => [low - margin(low, high), high + margin(low, high)] } },
      axes: [
        { ...axis, values: (_plot, times) => times.map((time) => clock.format(time * 1000)), incrs: SECONDS, space: 90, size: 34 },
        { ...axis, values: (_plot, prices, _axis, _space, step) => prices.map((one) => price(one, step)), size: wide },
      ],
      series: [
        { label: say("Time") },
        { label: this.counts ? say("Best, as it counts") : isClock ? say("Price") : say("Best price"), show: this.observer || this.room.shown !== "rank", stroke: colours[0], width: 2.5, paths: steps, points: { show: this.rows.length < 200, size: 5 } },
        ...(this.observer
          ? []
          : [{ label: this.counts ? say("Yours, as it counts") : say("Your price"), stroke: colours[1], width: 2, dash: [6, 4], paths: steps, points: { show: false } }]),
      ],
    };
  }
}
