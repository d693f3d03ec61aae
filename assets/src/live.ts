/** The live auction page: templates/procurement/auction.html. Everything runs by the server's clock and the gateway's word. */
import { timeLeft } from "./app/times";
import { clockOffset, readPageTime, serverNow, watchForSleep } from "./lib/clock";
import { type Decimal, display, parse } from "./lib/decimal";
import { all, language } from "./lib/dom";
import { say } from "./lib/words";
import { BidPanel } from "./live/bid-panel";
import { BiddingChart } from "./live/chart";
import { ClockPanel } from "./live/clock-panel";
import { courseAt } from "./live/course";
import type { Desk, Panel } from "./live/desk";
import { type Connection, Gateway } from "./live/gateway";
import { LimitPanel } from "./live/limit-panel";
import { Lines } from "./live/lines";
import { Kept, Moves } from "./live/moves";
import { tell, tellWaiting } from "./live/outcome";
import type { Action, Course, RoomState, Update } from "./live/room";
import { Savings } from "./live/savings";
import { Sound } from "./live/sound";
import { bidder, bidders, called, endsLabel, isMyTurn, leaderLabel, mustConfirm, ownPrice, price, priceLabel, round, standing, timer } from "./live/words";

// The time is marked as running out: before the end of the auction, and of a price or a turn.
const LAST_OF_AUCTION = 60_000;
const LAST_OF_STAGE = 10_000;

type Tone = "live" | "good" | "warn" | "bad" | "quiet";

class LivePage implements Desk {
  readonly page: HTMLElement;
  readonly moves: Moves;
  readonly digits: number;
  mayAct: boolean;
  mayNot: string;
  private readonly gateway: Gateway;
  private readonly chart: BiddingChart;
  private readonly observer: boolean;
  private readonly panels: readonly Panel[];
  private readonly lines: Lines;
  private readonly savings: Savings | null;
  private readonly sound: Sound;
  private room: RoomState;
  private banner: { text: string; tone: Tone; until: number } | null = null;
  private lostAt = 0;
  /** The stream is refused to this viewer. */
  private barred = false;
  /** Why it was paused or cancelled, as the log says. */
  private reason = "";
  private tickPrice: string | null = null;
  private badge: RoomState["status"] | null = null;
  /** How long it was to the end at the last look, in milliseconds. */
  private toEnd = 0;
  /** Who is out of a Japanese clock. */
  private readonly out = new Set<string>();
  private readonly formats = new Map<string, Intl.DateTimeFormat>();

  constructor(page: HTMLElement) {
    this.page = page;
    this.room = JSON.parse(document.getElementById("auction-state")?.textContent ?? "{}") as RoomState;
    this.digits = Number(page.dataset.digits ?? 2);
    this.observer = this.room.own === null;
    this.mayAct = page.dataset.mayBid === "yes";
    this.mayNot = page.dataset.mayNot ?? "";
    this.gateway = new Gateway(page.dataset.gateway ?? "", page.dataset.lot ?? "", page.dataset.token ?? "", () => this.renewed());
    this.moves = new Moves(this.gateway, new Kept(page.dataset.seat ?? ""));
    this.chart = new BiddingChart(this.slot("chart"), this.observer, this.room, this.zone);
    this.lines = new Lines(this, this.slot("events"));
    this.savings = page.querySelector("[data-live-savings]") ? new Savings(this) : null;
    this.sound = new Sound(page.querySelector("[data-live-sound]"));
    this.panels = this.panelsOf(page);
    for (const { move, outcome } of this.moves.ofEarlierPage()) {
      tellWaiting(this, move, "unknown");
      void outcome.then((known) => tell(this, known));
    }
    watchForSleep(() => void this.measure());
    this.show();
    this.tick();
    setInterval(() => this.tick(), 200);
    setInterval(() => this.chart.draw(), 1_000);
    void this.measure();
    setInterval(() => void this.measure(1), 10_000);
    // Not all who watch at once.
    setInterval(() => this.renewAhead(), Number(page.dataset.renewAfter) * 1000 * (0.8 + Math.random() * 0.4));
    void this.gateway.listen(
      (update) => this.take(update),
      (is) => void this.connection(is),
    );
  }

  /** What can be done here, as the page offers it. */
  private panelsOf(page: HTMLElement): Panel[] {
    const found: Panel[] = [];
    const input = page.querySelector<HTMLInputElement>("input[data-live-input]");
    if (input) found.push(new BidPanel(this, input));
    const press = page.querySelector<HTMLButtonElement>("button[data-live-press]");
    if (press) found.push(new ClockPanel(this, press, press.dataset.livePress as Action));
    const limit = page.querySelector<HTMLFormElement>("form[data-live-limit-form]");
    if (limit) found.push(new LimitPanel(this, limit));
    return found;
  }

  state(): RoomState {
    return this.room;
  }

  lastPrice(): string | null {
    return this.tickPrice;
  }

  private slot(name: string): HTMLElement {
    const found = this.page.querySelector<HTMLElement>(`[data-live-${name}]`);
    if (!found) throw new Error(`the auction page lacks data-live-${name}`);
    return found;
  }

  write(name: string, text: string): void {
    for (const slot of all(this.page, `[data-live-${name}]`)) if (slot.textContent !== text) slot.textContent = text;
  }

  amount(value: string | Decimal | null): string {
    const exact = typeof value === "string" ? parse(value) : value;
    return exact ? display(exact, this.digits, language) : "—";
  }

  withCurrency(value: string | Decimal | null): string {
    return `${this.amount(value)} ${this.room.currency}`;
  }

  /** Every time on this page is told in the tender's zone, which stands beside the end of the auction. */
  private get zone(): string {
    return this.page.dataset.zone || "UTC";
  }

  clockTime(moment: string | number, milliseconds = false): string {
    return this.inWords(moment, { hour: "2-digit", minute: "2-digit", second: "2-digit", ...(milliseconds ? { fractionalSecondDigits: 3 as const } : {}) });
  }

  /** To make a format takes a hundred times as long as to use it. */
  private inWords(moment: string | number, wanted: Intl.DateTimeFormatOptions): string {
    const name = JSON.stringify(wanted);
    const format = this.formats.get(name) ?? new Intl.DateTimeFormat(language, { ...wanted, hourCycle: "h23", timeZone: this.zone });
    this.formats.set(name, format);
    return format.format(new Date(moment));
  }

  /* What the gateway says */

  /** What counts of the best price and of the own one, where that is not the price alone. */
  private showEffect(course: Course | null): void {
    const { best, own } = this.room;
    const said = (amount: string | null | undefined): string => (amount ? say("counts as {amount}", { amount: this.withCurrency(amount) }) : "");
    this.write("best-counts", said(course?.kind === "tick" && this.room.status === "running" ? course.price : best?.counts_as));
    this.write("own-counts", said(own?.counts_as));
  }

  /** A moment of another day has its date. */
  moment(moment: string): string {
    const day = (one: string): string => this.inWords(one, { year: "numeric", month: "numeric", day: "numeric" });
    if (day(moment) === day(this.room.starts_at)) return this.clockTime(moment);
    return this.inWords(moment, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  }

  private take(update: Update): void {
    const before = this.room;
    this.room = update.state;
    for (const event of update.events) {
      if (event.kind === "paused" || event.kind === "cancelled") this.reason = event.reason ?? "";
      if (event.kind === "tick" && event.price) this.tickPrice = event.price;
      for (const label of event.out ?? []) if (label) this.out.add(label);
    }
    this.page.dataset.status = update.state.status;
    this.chart.take(update.events, update.state);
    this.lines.take(update.events);
    this.show();
    this.announce(before, update.state);
    const turned = before.status !== update.state.status;
    const paused = turned && [before.status, update.state.status].includes("paused");
    const operated = turned && this.page.querySelector(".live-pause") !== null;
    if (paused || operated || update.state.starts_at !== before.starts_at) void this.refresh();
  }

  /** What the server writes and a pause or an outage changes: how far the end moves at most, and what an operator may do. */
  private async refresh(): Promise<void> {
    if (!this.page.querySelector(".live-pause")) {
      if (this.room.kind !== "english") return;
      // Not all who watch at once.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5_000));
    }
    const fresh = await this.fetched().catch(() => null);
    if (!fresh) return;
    for (const name of [".live-how", ".live-pause"]) {
      const [here, there] = [this.page.querySelector(name), fresh.querySelector(name)];
      if (there) here?.replaceWith(there);
      else here?.remove();
    }
  }

  private announce(before: RoomState, now: RoomState): void {
    const end = this.clockTime(now.ends_at);
    if (now.extensions > before.extensions) this.tell(say("Extended: a late bid moved the end to {time}.", { time: end }), "live", 8);
    if (now.status === "running" && before.status === "paused") this.tell(say("The auction goes on. It ends at {time}.", { time: end }), "live", 8);
    if (now.status === "running" && before.status === "scheduled") this.tell(say("The auction has started."), "live", 5);
    const call = called(this, before, now);
    const place = this.placeCalled(before, now);
    if (call || place) this.say([call, place].filter(Boolean).join(" "));
    if (isMyTurn(now) && !isMyTurn(before)) {
      this.tell(call, "good", 8);
      this.sound.play("high");
    }
    if (now.own && now.status === "ended" && before.status !== "ended") this.sound.play(now.own.leading ? "high" : "low");
  }

  /** What became of the bidder's place, said aloud; empty where nothing did. */
  private placeCalled(before: RoomState, now: RoomState): string {
    const { own, status, kind } = now;
    if (!own || status !== "running" || now.number === before.number) return "";
    if (now.refused === "bidder_out" && before.refused !== "bidder_out") {
      this.tell(say("You did not confirm a price in time: you are out. You may go on watching."), "bad", 8);
      this.sound.play("low");
      return "";
    }
    if (kind === "dutch" || kind === "japanese") return "";
    if (before.own?.leading && !own.leading) {
      this.sound.play("low");
      return say("You no longer lead. {detail}", { detail: this.toBeat() });
    }
    if (!before.own?.leading && own.leading) return say("You lead.");
    return before.own && own.rank !== before.own.rank && own.rank !== null ? say("You are now at rank {rank}.", { rank: own.rank }) : "";
  }

  private toBeat(): string {
    return this.room.best ? say("Price to beat: {amount}", { amount: this.withCurrency(this.room.best.amount) }) : "";
  }

  private say(text: string): void {
    this.write("said", text);
  }

  private async connection(is: Connection): Promise<void> {
    if (is === "open") {
      this.moves.reconnected();
      this.allow(this.page.dataset.mayBid === "yes", this.page.dataset.mayNot ?? "");
      if (this.lostAt) this.tell(say("Connected again. Nothing was missed: what happened meanwhile is in the list."), "good", 5);
      else if (this.barred) this.banner = null;
    } else if (is === "lost") {
      this.lostAt ||= serverNow();
    } else if (is === "refused") {
      this.tell(say("You were logged out, and the auction goes on. Log in in another tab: this page then goes on as well."), "bad", Infinity);
    } else {
      // The page knows more of it than the gateway.
      const fresh = await this.fetched().catch(() => null);
      const reasons = fresh ? all(fresh, ".error-summary li").map((reason) => reason.textContent?.replace(/\s+/g, " ").trim()) : [];
      const why = reasons.join(" ") || is.barred;
      if (is.status !== 429) this.allow(false, why);
      this.tell(why, "bad", Infinity);
    }
    this.barred = typeof is === "object" || is === "refused";
    if (is !== "lost") this.lostAt = 0;
    this.page.classList.toggle("is-lost", this.lostAt > 0);
    this.write("connection", this.lostAt ? say("reconnecting…") : this.barred ? say("not live") : say("live"));
  }

  private allow(may: boolean, mayNot: string): void {
    this.mayAct = may;
    this.mayNot = mayNot;
    for (const panel of this.panels) panel.show();
  }

  private renewAhead(): void {
    if (this.room.status !== "ended" && this.room.status !== "cancelled") void this.gateway.renewAhead();
  }

  /** A new ticket, out of a fresh copy of this page; null where the log-in is over, or is somebody else's by now. */
  private async renewed(): Promise<string | null> {
    const fresh = await this.fetched();
    return fresh?.dataset.seat === this.page.dataset.seat ? fresh?.dataset.token || null : null;
  }

  /** This page as it is now; null where there is none for the viewer. Fails where the server cannot say. */
  private async fetched(): Promise<HTMLElement | null> {
    const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store" });
    if (answer.status === 429 || answer.status >= 500) throw new Error(`the page was not had: ${answer.status}`);
    if (!answer.ok) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html").querySelector<HTMLElement>("[data-live]");
  }

  private async measure(samples = 5): Promise<void> {
    const trip = await this.gateway.measure(samples);
    const offset = clockOffset() / 1000;
    const seconds = new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(Math.abs(offset));
    const exact = Math.abs(offset) < 0.05;
    this.write(
      "offset",
      exact ? say("your clock agrees") : offset > 0 ? say("your clock is {seconds} s slow", { seconds }) : say("your clock is {seconds} s fast", { seconds }),
    );
    this.write("latency", trip === null ? "—" : say("{count} ms to the server and back", { count: Math.max(1, Math.round(trip)) }));
  }

  /* What one sees */

  private show(): void {
    const state = this.room;
    const status = state.status;
    this.showStatus();
    this.page.classList.toggle("is-leading", Boolean(state.own?.leading) && status !== "scheduled" && status !== "cancelled");
    if (!state.own) this.ranking();
    this.write("bidders", bidders(state, this.out.size));
    this.write("leader", leaderLabel(state));
    this.write("ends-label", endsLabel(state));
    this.write("ends", this.clockTime(status === "scheduled" ? state.starts_at : state.ends_at));
    for (const panel of this.panels) panel.show();
    this.tick();
  }

  /** The badge as the server draws it, for the state that it is now. */
  private showStatus(): void {
    const { status } = this.room;
    if (status === this.badge) return;
    const kept = this.page.querySelector<HTMLTemplateElement>("template[data-live-badges]")?.content.querySelector(`[data-badge="${status}"] .status-badge`);
    if (kept) this.page.querySelector(".live-head .status-badge")?.replaceWith(kept.cloneNode(true));
    this.badge = status;
  }

  private ranking(): void {
    const body = this.page.querySelector("[data-live-ranking]");
    body?.replaceChildren(
      ...(this.room.ranking ?? []).map((row) => {
        const line = document.createElement("tr");
        if (row.rank === 1) line.className = "best";
        const counts = row.counts_as === undefined ? [] : [[this.amount(row.counts_as), "figure"]];
        for (const [text = "", css = ""] of [[String(row.rank)], [bidder(row.label)], [this.amount(row.amount), "figure"], ...counts, [this.moment(row.at), "figure"]]) {
          const cell = document.createElement("td");
          cell.className = css;
          cell.textContent = text;
          line.append(cell);
        }
        return line;
      }),
    );
  }

  private tell(text: string, tone: Tone, seconds: number): void {
    this.banner = { text, tone, until: serverNow() + seconds * 1000 };
    this.tick();
  }

  private tick(): void {
    const state = this.room;
    const now = serverNow();
    const course = courseAt(state, now);
    const { label, until, over } = timer(state, course);
    const left = until - now;
    const toEnd = Date.parse(state.ends_at) - now;
    if (state.status === "running" && toEnd <= LAST_OF_AUCTION && this.toEnd > LAST_OF_AUCTION) this.say(say("One minute left"));
    this.toEnd = toEnd;
    const open = state.status === "running" || state.status === "scheduled";
    this.write("timer", open ? label : say("Time"));
    this.write("left", open ? (left > 0 ? timeLeft(left) : over) : this.statusWords());
    this.write("standing", standing(state, course));
    this.write("own", ownPrice(this, state));
    this.showEffect(course);
    this.write("round", round(state, course));
    this.write("best", price(this, state, course));
    this.write("price", priceLabel(state, course));
    this.savings?.show(state.best?.amount ?? null);
    const close = until === Date.parse(state.ends_at) ? LAST_OF_AUCTION : LAST_OF_STAGE;
    this.page.classList.toggle("is-close", state.status === "running" && left < close);
    this.page.classList.toggle("is-turn", isMyTurn(state));
    this.page.classList.toggle("is-asked", mustConfirm(state, course));
    this.write("clock", this.clockTime(now));
    document.title = this.tabTitle(left);
    this.showBanner(now, toEnd);
    for (const panel of this.panels) panel.tick(now);
  }

  private statusWords(): string {
    return { paused: say("Paused"), ended: say("Over"), cancelled: say("Cancelled"), running: "", scheduled: "" }[this.room.status];
  }

  private tabTitle(left: number): string {
    const { own, status } = this.room;
    if (status !== "running") return this.page.dataset.title ?? document.title;
    const place = own ? (own.leading ? say("You lead") : own.rank !== null ? say("Rank {rank}", { rank: own.rank }) : "") : "";
    return [place, left > 0 ? timeLeft(left) : "", this.page.dataset.title].filter(Boolean).join(" · ");
  }

  private showBanner(now: number, left: number): void {
    const slot = this.slot("banner");
    const shown = this.lasting(left) ?? (this.banner && this.banner.until > now ? this.banner : null);
    slot.classList.toggle("is-shown", shown !== null);
    slot.className = slot.className.replace(/ ?tone-\w+/g, "") + (shown ? ` tone-${shown.tone}` : "");
    this.write("banner-words", shown?.text ?? "");
    for (const after of all(this.page, "[data-live-after]")) after.hidden = this.room.status !== "ended";
  }

  /** What is said for as long as it holds. A page that is not live does not know what goes on, but why it does not. */
  private lasting(left: number): { text: string; tone: Tone } | null {
    const { status, own } = this.room;
    if (status === "ended") return { text: this.overWords(), tone: own?.leading ? "good" : "quiet" };
    if (status === "cancelled") return { text: this.because(say("The auction was cancelled.")), tone: "bad" };
    if (this.lostAt) return { text: say("Connection lost at {time}. Reconnecting: the auction goes on meanwhile.", { time: this.clockTime(this.lostAt) }), tone: "bad" };
    if (this.barred) return null;
    if (status === "paused") return { text: this.because(say("The auction is paused. The time lost is given back when it goes on.")), tone: "warn" };
    return status === "running" && left <= 0 ? { text: say("The time is over. Bids received in time are still being decided."), tone: "live" } : null;
  }

  private because(text: string): string {
    return this.reason ? `${text} ${say("Reason: {reason}", { reason: this.reason })}` : text;
  }

  private overWords(): string {
    const { own, best, kind } = this.room;
    const amount = this.withCurrency(best?.amount ?? own?.amount ?? null);
    if (own?.leading) return say("The auction is over: yours is the best price, {amount}.", { amount });
    if (best) return `${say("The auction is over.")} ${say("The best price is {amount}.", { amount })}`;
    if (own && (kind === "english" || kind === "turn_based")) return say("The auction is over.");
    return say("The auction is over. It has no winner.");
  }
}

const page = document.querySelector<HTMLElement>("[data-live]");
if (page) {
  // Until the gateway says better, and where it is away.
  readPageTime();
  new LivePage(page);
}
