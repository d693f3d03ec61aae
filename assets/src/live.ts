/** The live auction page: templates/procurement/auction.html. Everything runs by the server's clock and the gateway's word. */
import { timeLeft } from "./app/times";
import { clockOffset, serverNow } from "./lib/clock";
import { compare, type Decimal, add, display, multiply, parse, plain, subtract } from "./lib/decimal";
import { all, language, randomKey } from "./lib/dom";
import { say } from "./lib/words";
import { BiddingChart } from "./live/chart";
import { type Accepted, Gateway, type Problem } from "./live/gateway";
import type { RoomEvent, RoomState, Update } from "./live/room";

const MOST_LINES = 200;
const SLIP_PER_CENT = 5n;

class LivePage {
  private readonly page: HTMLElement;
  private readonly gateway: Gateway;
  private readonly chart: BiddingChart;
  private readonly digits: number;
  private readonly mayBid: boolean;
  private readonly observer: boolean;
  private readonly input: HTMLInputElement | null;
  private readonly button: HTMLButtonElement | null;
  private state: RoomState;
  private prefilled = "";
  private armed = "";
  private sending = false;
  private banner: { text: string; tone: string; until: number } | null = null;
  private lostAt = 0;

  constructor(page: HTMLElement) {
    this.page = page;
    this.state = JSON.parse(document.getElementById("auction-state")?.textContent ?? "{}") as RoomState;
    this.digits = Number(page.dataset.digits ?? 2);
    this.observer = this.state.own === null;
    this.mayBid = page.dataset.mayBid === "yes";
    this.gateway = new Gateway(page.dataset.gateway ?? "", page.dataset.lot ?? "", page.dataset.token ?? "", () => this.renewed());
    this.chart = new BiddingChart(this.slot("chart"), this.observer, this.state.shown, this.zone);
    this.input = page.querySelector("[data-live-input]");
    this.button = page.querySelector("[data-live-button]");
    this.bindBidding();
    this.show();
    this.tick();
    setInterval(() => this.tick(), 200);
    setInterval(() => this.chart.draw(), 1_000);
    void this.measure();
    setInterval(() => void this.measure(1), 10_000);
    void this.gateway.listen(
      (update) => this.take(update),
      (is) => this.connection(is),
    );
  }

  private slot(name: string): HTMLElement {
    const found = this.page.querySelector<HTMLElement>(`[data-live-${name}]`);
    if (!found) throw new Error(`the auction page lacks data-live-${name}`);
    return found;
  }

  private write(name: string, text: string): void {
    for (const slot of all(this.page, `[data-live-${name}]`)) if (slot.textContent !== text) slot.textContent = text;
  }

  private amount(value: string | Decimal | null): string {
    const exact = typeof value === "string" ? parse(value) : value;
    return exact ? display(exact, this.digits, language) : "—";
  }

  private withCurrency(value: string | Decimal | null): string {
    return `${this.amount(value)} ${this.state.currency}`;
  }

  /** Every time on this page is told in the tender's zone, which stands beside the end of the auction. */
  private get zone(): string {
    return this.page.dataset.zone || "UTC";
  }

  private clockTime(moment: string | number, milliseconds = false): string {
    return new Intl.DateTimeFormat(language, {
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      ...(milliseconds ? { fractionalSecondDigits: 3 as const } : {}),
      hourCycle: "h23",
      timeZone: this.zone,
    }).format(new Date(moment));
  }

  /* What the gateway says */

  private take(update: Update): void {
    const before = this.state;
    this.state = update.state;
    this.chart.take(update.events, update.state);
    this.list(update.events);
    this.show();
    this.announce(before, update.state);
  }

  private announce(before: RoomState, now: RoomState): void {
    const end = this.clockTime(now.ends_at);
    if (now.extensions > before.extensions) this.tell(say("Extended: a late bid moved the end to {time}.", { time: end }), "live", 8);
    if (now.status === "running" && before.status === "paused") this.tell(say("The auction goes on. It ends at {time}.", { time: end }), "live", 8);
    if (now.status === "running" && before.status === "scheduled") this.tell(say("The auction has started."), "live", 5);
    const own = now.own;
    if (!own || now.status !== "running" || now.number === before.number) return;
    if (before.own?.leading && !own.leading) this.say(say("You no longer lead. {detail}", { detail: this.toBeat() }));
    else if (!before.own?.leading && own.leading) this.say(say("You lead."));
    else if (before.own && own.rank !== before.own.rank && own.rank !== null) this.say(say("You are now at rank {rank}.", { rank: own.rank }));
  }

  private toBeat(): string {
    return this.state.best ? say("Price to beat: {amount}", { amount: this.withCurrency(this.state.best.amount) }) : "";
  }

  private say(text: string): void {
    this.write("said", text);
  }

  private connection(is: "open" | "lost" | "refused"): void {
    if (is === "open") {
      if (this.lostAt) this.tell(say("Connected again. Nothing was missed: what happened meanwhile is in the list."), "good", 5);
      this.lostAt = 0;
    } else if (is === "lost") {
      this.lostAt ||= serverNow();
    } else {
      this.tell(say("You were logged out. Log in in another tab and load this page again; the auction goes on."), "bad", Infinity);
    }
    this.page.classList.toggle("is-lost", this.lostAt > 0);
    this.write("connection", this.lostAt ? say("reconnecting…") : say("live"));
  }

  /** A new ticket, out of a fresh copy of this page; null where the log-in is over. */
  private async renewed(): Promise<string | null> {
    const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store" }).catch(() => null);
    if (!answer?.ok) return null;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector<HTMLElement>("[data-live]");
    return fresh?.dataset.token || null;
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
    const { state } = this;
    const status = state.status;
    this.page.dataset.status = status;
    this.showStatus();
    this.page.classList.toggle("is-leading", Boolean(state.own?.leading) && status !== "scheduled" && status !== "cancelled");
    if (state.own) {
      const rank = state.own.rank;
      const place = state.own.leading ? say("You lead") : rank !== null ? say("Rank {rank}", { rank }) : say("You do not lead");
      const final = state.own.leading ? say("You won") : rank !== null ? say("Rank {rank}", { rank }) : say("You did not win");
      this.write("standing", { ended: final, cancelled: "—" }[status as string] ?? place);
      this.write("own", state.own.amount ? say("Your price: {amount}", { amount: this.withCurrency(state.own.amount) }) : "");
    } else {
      this.write("standing", state.best?.label ? bidder(state.best.label) : "—");
      this.ranking();
    }
    this.write("best", state.best ? this.amount(state.best.amount) : state.shown === "rank" ? say("not shown") : "—");
    this.write("bidders", String(state.bidders));
    this.write("ends", this.clockTime(status === "scheduled" ? state.starts_at : state.ends_at));
    this.prefill();
    this.showButton();
    this.tick();
  }

  private showStatus(): void {
    const badge = this.page.querySelector(".live-head .status-badge");
    const words = badge?.querySelector("span");
    if (!badge || !words) return;
    const [tone, name] = {
      scheduled: ["wait", say("Not yet started")],
      running: ["live", say("Running")],
      paused: ["warn", say("Paused")],
      ended: ["quiet", say("Ended")],
      cancelled: ["bad", say("Cancelled")],
    }[this.state.status] as [string, string];
    if (words.textContent === name) return;
    badge.className = `status-badge tone-${tone}`;
    badge.querySelector("svg")?.remove();
    words.textContent = name;
  }

  private ranking(): void {
    const body = this.page.querySelector("[data-live-ranking]");
    body?.replaceChildren(
      ...(this.state.ranking ?? []).map((row) => {
        const line = document.createElement("tr");
        if (row.rank === 1) line.className = "best";
        for (const [text, css] of [[String(row.rank), ""], [bidder(row.label), ""], [this.amount(row.amount), "figure"], [this.clockTime(row.at), "figure"]] as const) {
          const cell = document.createElement("td");
          cell.className = css;
          cell.textContent = text;
          line.append(cell);
        }
        return line;
      }),
    );
  }

  private list(events: readonly RoomEvent[]): void {
    const list = this.slot("events");
    for (const event of events) {
      const words = this.words(event);
      if (!words || list.querySelector(`[data-number="${event.number}"]`)) continue;
      const line = document.createElement("li");
      line.dataset.number = String(event.number);
      if (event.kind === "bid") line.className = event.own === true ? "is-own" : event.leads ? "is-best" : "";
      else line.className = "is-moment";
      const time = document.createElement("time");
      time.dateTime = event.at;
      time.textContent = this.clockTime(event.at);
      const text = document.createElement("span");
      text.textContent = words;
      line.append(time, text);
      if (event.amount) {
        const price = document.createElement("bdi");
        price.textContent = this.amount(event.amount);
        line.append(price);
      }
      list.prepend(line);
    }
    while (list.childElementCount > MOST_LINES) list.lastElementChild?.remove();
  }

  private words(event: RoomEvent): string {
    if (event.kind === "bid") return event.own === true ? say("You") : bidder(event.label ?? "");
    return {
      scheduled: "",
      started: say("Started"),
      paused: say("Paused by the operator"),
      resumed: say("Resumed"),
      ended: say("Ended"),
      cancelled: say("Cancelled"),
    }[event.kind];
  }

  private tell(text: string, tone: "live" | "good" | "warn" | "bad", seconds: number): void {
    this.banner = { text, tone, until: serverNow() + seconds * 1000 };
    this.tick();
  }

  private tick(): void {
    const { state } = this;
    const now = serverNow();
    const target = Date.parse(state.status === "scheduled" ? state.starts_at : state.ends_at);
    const left = target - now;
    const open = state.status === "running" || state.status === "scheduled";
    this.write("left", open ? (left > 0 ? timeLeft(left) : state.status === "running" ? say("Closing…") : say("Starting…")) : this.statusWords());
    this.page.classList.toggle("is-close", state.status === "running" && left < 60_000);
    this.write("clock", this.clockTime(now));
    document.title = this.tabTitle(left);
    this.showBanner(now, left);
    this.showButton();
  }

  private statusWords(): string {
    return { paused: say("Paused"), ended: say("Over"), cancelled: say("Cancelled"), running: "", scheduled: "" }[this.state.status];
  }

  private tabTitle(left: number): string {
    const { own, status } = this.state;
    if (status !== "running") return this.page.dataset.title ?? document.title;
    const place = own ? (own.leading ? say("You lead") : own.rank !== null ? say("Rank {rank}", { rank: own.rank }) : "") : "";
    return [place, left > 0 ? timeLeft(left) : "", this.page.dataset.title].filter(Boolean).join(" · ");
  }

  private showBanner(now: number, left: number): void {
    const slot = this.slot("banner");
    let shown = this.banner && this.banner.until > now ? this.banner : null;
    if (this.state.status === "paused") shown = { text: say("The auction is paused. The time lost is given back when it goes on."), tone: "warn", until: 0 };
    else if (this.state.status === "running" && left <= 0) shown = { text: say("The time is over. Bids received in time are still being decided."), tone: "live", until: 0 };
    else if (this.state.status === "ended") shown = { text: this.overWords(), tone: this.state.own?.leading ? "good" : "live", until: 0 };
    else if (this.state.status === "cancelled") shown = { text: say("The auction was cancelled."), tone: "bad", until: 0 };
    if (this.lostAt) shown = { text: say("Connection lost at {time}. Reconnecting: the auction goes on meanwhile.", { time: this.clockTime(new Date(this.lostAt).toISOString()) }), tone: "bad", until: 0 };
    slot.classList.toggle("is-shown", shown !== null);
    slot.className = slot.className.replace(/ ?tone-\w+/g, "") + (shown ? ` tone-${shown.tone}` : "");
    this.write("banner-words", shown?.text ?? "");
    for (const link of all(this.page, "[data-live-result]")) link.hidden = this.state.status !== "ended";
  }

  private overWords(): string {
    const { own, best } = this.state;
    const price = best ? say("The best price is {amount}.", { amount: this.withCurrency(best.amount) }) : "";
    const place = own ? (own.leading ? say("The auction is over: yours is the best price.") : say("The auction is over.")) : say("The auction is over.");
    return `${place} ${price}`.trim();
  }

  /* Bidding */

  private bindBidding(): void {
    const { input, button } = this;
    if (!input || !button) return;
    input.addEventListener("input", () => {
      this.armed = "";
      this.showHint();
      this.showButton();
      this.message("", "");
    });
    input.addEventListener("focus", () => input.select());
    input.addEventListener("keydown", (event) => {
      const change = { ArrowUp: 1n, ArrowDown: -1n, PageUp: 10n, PageDown: -10n }[event.key];
      if (change === undefined) return;
      event.preventDefault();
      this.step(change);
    });
    input.form?.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.send();
    });
    for (const use of all<HTMLButtonElement>(this.page, "[data-live-use]")) {
      use.addEventListener("click", () => {
        this.fillAllowed();
        input.focus();
      });
    }
    input.focus();
  }

  private typed(): Decimal | null {
    const value = parse(this.input?.value ?? "");
    return value && value.units > 0n && value.scale <= this.digits ? value : value && value.units > 0n ? trimmed(value, this.digits) : null;
  }

  private fillAllowed(): void {
    if (!this.input || this.state.allowed === null) return;
    this.prefilled = this.amount(this.state.allowed);
    this.input.value = this.prefilled;
    this.armed = "";
    this.showButton();
  }

  /** The best allowed amount stands in the field until the person types another. */
  private prefill(): void {
    const { input, state } = this;
    if (!input) return;
    const untouched = input.value.trim() === "" || input.value === this.prefilled;
    if (untouched && state.own?.leading) input.value = this.prefilled = "";
    else if (untouched) this.fillAllowed();
    this.showHint();
  }

  /** The way out while less than the step is typed. */
  private showHint(): void {
    const { state } = this;
    const typed = this.typed();
    const allowed = state.allowed ? parse(state.allowed) : null;
    const tooWeak = Boolean(typed && allowed && (state.direction === "down" ? compare(typed, allowed) > 0 : compare(typed, allowed) < 0));
    for (const hint of all(this.page, "[data-live-hint]")) hint.hidden = !tooWeak || Boolean(state.own?.leading);
    this.write("allowed", state.allowed ? this.withCurrency(state.allowed) : "");
  }

  private step(times: bigint): void {
    const step = parse(this.state.step);
    const from = this.typed() ?? (this.state.allowed ? parse(this.state.allowed) : null);
    if (!this.input || !step || !from) return;
    const next = add(from, multiply(step, { units: times, scale: 0 }));
    if (next.units <= 0n) return;
    this.input.value = display(next, this.digits, language);
    this.armed = "";
    this.prefill();
    this.showButton();
  }

  private reasonNot(): string {
    const { status, own, ends_at } = this.state;
    if (!this.mayBid) return say("Your role lets you watch. Bid managers, signers and administrators bid.");
    if (status === "scheduled") return say("The auction has not started yet.");
    if (status === "paused") return say("The auction is paused.");
    if (status !== "running" || Date.parse(ends_at) <= serverNow()) return say("The auction is over.");
    if (own?.leading) return say("You lead. You need not bid against yourself.");
    if (!this.typed()) return say("Enter an amount.");
    return "";
  }

  private showButton(): void {
    const { button } = this;
    if (!button) return;
    const why = this.reasonNot();
    const typed = this.typed();
    button.setAttribute("aria-disabled", String(Boolean(why)));
    const text = this.sending ? say("Sending…") : typed ? say("Bid {amount}", { amount: this.withCurrency(typed) }) : this.state.own?.leading ? say("You lead") : say("Bid");
    const label = this.armed && typed && this.armed === plain(typed) ? say("Yes, bid {amount}", { amount: this.withCurrency(typed) }) : text;
    this.write("button-words", label);
    this.write("why", why);
  }

  /** Far better than needed is more often a slip of the finger than a plan: it takes a second press. */
  private looksLikeSlip(amount: Decimal): boolean {
    const allowed = this.state.allowed ?? this.state.own?.amount;
    const reference = allowed ? parse(allowed) : null;
    const step = parse(this.state.step);
    if (!reference || !step) return false;
    const better = this.state.direction === "down" ? subtract(reference, amount) : subtract(amount, reference);
    const threeSteps = multiply(step, { units: 3n, scale: 0 });
    const share = multiply(reference, { units: SLIP_PER_CENT, scale: 2 });
    return compare(better, threeSteps) > 0 && compare(better, share) > 0;
  }

  private async send(): Promise<void> {
    const amount = this.typed();
    const why = this.reasonNot();
    if (this.sending) return;
    if (why || !amount) {
      this.message(why || say("Enter an amount."), "bad");
      this.input?.focus();
      return;
    }
    const exact = plain(amount, this.digits);
    if (this.looksLikeSlip(amount) && this.armed !== plain(amount)) {
      this.armed = plain(amount);
      this.showButton();
      this.message(say("This is far better than the price to beat. If you mean it, press once more."), "warn");
      return;
    }
    this.sending = true;
    this.message(say("Sending {amount}…", { amount: this.withCurrency(exact) }), "");
    this.showButton();
    try {
      const answer = await this.gateway.bid(exact, randomKey(), () => this.message(say("No answer yet. Sending the same bid again; it counts once."), "warn"));
      this.answered(answer);
    } catch {
      this.message(say("The server does not answer. Look at your standing above when the connection is back: a bid that arrived counts."), "bad");
    }
    this.sending = false;
    this.armed = "";
    this.showButton();
  }

  private answered(answer: Accepted | Problem): void {
    if ("code" in answer) {
      const allowed = answer.allowed_amount ? ` ${say("The best allowed amount is {amount}.", { amount: this.withCurrency(answer.allowed_amount) })}` : "";
      this.message(answer.detail + allowed, "bad");
      this.input?.select();
      return;
    }
    const words = { time: this.clockTime(answer.received_at, true), zone: this.zone, amount: this.withCurrency(answer.amount) };
    this.message(say("Received at {time} ({zone}): {amount}", words), "good");
    // The next allowed amount comes with the stream; until then an empty field invites no bid against oneself.
    if (this.input) this.input.value = this.prefilled = "";
  }

  private message(text: string, tone: "" | "good" | "warn" | "bad"): void {
    const slot = this.page.querySelector<HTMLElement>("[data-live-message]");
    if (!slot) return;
    slot.textContent = text;
    slot.className = `live-message${tone ? ` tone-${tone}` : ""}`;
  }
}

/** Bidders stay anonymous until the award: they are known by their labels. */
function bidder(label: string): string {
  return label ? say("Bidder {label}", { label }) : "";
}

/** Without digits below the minor unit when they are zeros; null where they say something. */
function trimmed(value: Decimal, digits: number): Decimal | null {
  const divisor = 10n ** BigInt(value.scale - digits);
  return value.units % divisor === 0n ? { units: value.units / divisor, scale: digits } : null;
}

const page = document.querySelector<HTMLElement>("[data-live]");
if (page) new LivePage(page);
