/** What becomes of a move whose answer does not come: against a gateway and a clock made up here. */
import assert from "node:assert/strict";
import path from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const START = Date.parse("2026-03-04T12:00:00Z");
let live;

before(async () => {
  globalThis.document = { getElementById: () => null, documentElement: { lang: "en" } };
  const built = await esbuild.build({
    stdin: { contents: 'export * from "./moves"; export * from "./outcome"; export { Gateway as Wire } from "./gateway"; export { hearServerTime, localNow, serverNow } from "../lib/clock";', resolveDir: path.resolve(here, "../src/live") },
    bundle: true,
    format: "esm",
    platform: "browser",
    write: false,
  });
  live = await import(`data:text/javascript;base64,${Buffer.from(built.outputFiles[0].contents).toString("base64")}`);
});

/** A tab: its storage, over all the pages that are loaded in it. */
class Tab {
  storage = new Map();

  kept(seat = "7-12-33") {
    const { storage } = this;
    const getItem = (name) => storage.get(name) ?? null;
    return new live.Kept(seat, () => ({ getItem, setItem: (name, value) => storage.set(name, value), removeItem: (name) => storage.delete(name) }));
  }
}

/** Time passes only where somebody waits for it. `ahead`: of this machine's, by how much the page believes the server's to be. */
class Clock {
  constructor(ahead = 0) {
    this.passed = 0;
    this.ahead = ahead;
  }
  server = () => START + this.passed + this.ahead;
  wall = () => START + this.passed;
  pause = async (milliseconds) => {
    this.passed += milliseconds;
  };
}

/** A gateway that does with a sending what it is told to, and finds what is in its log. */
class Gateway {
  constructor(clock, ...does) {
    Object.assign(this, { clock, does, sendings: [], asked: 0, log: new Map(), awayUntil: 0, code: null });
  }
  now = () => START + this.clock.passed;

  async send(content, patience) {
    this.sendings.push(content);
    const what = this.does.length > 1 ? this.does.shift() : this.does[0];
    if (what === "nothing") return this.noAnswer(patience);
    if (typeof what === "object") return what;
    const { idempotency_key: key, amount = null } = content;
    if (!this.log.has(key)) {
      if (this.now() > Date.parse(content.not_after)) return refusal(409, "move_expired");
      this.log.set(key, { number: 3, amount, received_at: new Date(this.now()).toISOString() });
    }
    if (what === "takes, and is silent") return this.noAnswer(patience);
    return { status: 201, content: { accepted: true, ...this.log.get(key) } };
  }

  async noAnswer(patience) {
    this.clock.passed += patience;
    return null;
  }

  async ask(key) {
    this.asked++;
    if (this.clock.passed < this.awayUntil) return this.noAnswer(100);
    const found = this.log.get(key);
    const unknown = this.code ? { status: "refused", code: this.code, detail: `Because of ${this.code}.` } : { status: "unknown" };
    return { status: 200, content: { as_of: new Date(this.now()).toISOString(), ...(found ? { status: "accepted", ...found } : unknown) } };
  }

  async measure() {
    this.clock.ahead = 0;
  }
}

const refusal = (status, code, more = {}) => ({ status, content: { code, detail: `Because of ${code}.`, ...more } });
const DECIDED = { received_at: new Date(START).toISOString() };

/** Press once; what was said meanwhile, and what became of it. */
async function pressed(gateway, tab = new Tab(), action = "bid", amount = "96.00") {
  const moves = new live.Moves(gateway, tab.kept(), gateway.clock);
  const waited = [];
  const outcome = await moves.make(action, amount, (how) => waited.at(-1) !== how && waited.push(how));
  assert.deepEqual(tab.kept().all(), []);
  assert.ok(new Set(gateway.sendings.map((one) => one.idempotency_key)).size === 1);
  assert.ok(gateway.sendings.every((one) => one.amount === (amount ?? undefined)));
  return { is: outcome.is, late: outcome.late, code: outcome.problem?.code, waited, outcome };
}

const known = ({ is, late, code, waited }) => [is, late, code, ...waited];

test("what is answered is over", async () => {
  assert.deepEqual(known(await pressed(new Gateway(new Clock(), "takes"))), ["taken", false, undefined]);
  const refuses = new Gateway(new Clock(), refusal(409, "step_not_met", DECIDED));
  assert.deepEqual(known(await pressed(refuses)), ["refused", false, "step_not_met"]);
  assert.equal(refuses.sendings.length, 1);
});

test("while it is new a move is sent again under its key, and counts no longer than that", async () => {
  const gateway = new Gateway(new Clock(), refusal(429, "too_many_bids"), "nothing", refusal(503, "not_recorded"), { status: 502, content: null }, "takes");
  assert.deepEqual(known(await pressed(gateway)), ["taken", false, undefined, "again"]);
  assert.deepEqual([...new Set(gateway.sendings.map((one) => one.not_after))], ["2026-03-04T12:00:15.000Z"]);
});

test("a move that was taken is known to be, however long its gateway was away", async () => {
  const gateway = new Gateway(new Clock(), "takes, and is silent");
  gateway.does = ["takes, and is silent", "nothing"];
  gateway.awayUntil = 40 * 60_000;
  const { outcome, ...rest } = await pressed(gateway);
  assert.deepEqual(known(rest), ["taken", true, undefined, "again", "unknown"]);
  assert.deepEqual([outcome.taken.amount, outcome.taken.received_at], ["96.00", "2026-03-04T12:00:00.000Z"]);
  assert.ok(gateway.sendings.every((one) => Date.parse(one.not_after) === START + 15_000));
  assert.ok(gateway.asked < 400, "it asks every some seconds, no more often");
});

test("a move is not told to be lost before it can come into the log no more, and is sent no more", async () => {
  const gateway = new Gateway(new Clock(), "nothing");
  assert.deepEqual(known(await pressed(gateway)), ["lost", true, undefined, "again", "unknown"]);
  assert.ok(gateway.clock.passed >= 16_500 && gateway.clock.passed < 25_000, `after ${gateway.clock.passed} ms`);
  const held = new Gateway(new Clock(), "nothing");
  const find = held.ask.bind(held);
  let pending = 3;
  held.ask = async (key) => (pending-- > 0 ? { status: 200, content: { status: "pending", as_of: "2026-03-04T12:30:00Z" } } : find(key));
  assert.deepEqual(known(await pressed(held)), ["lost", true, undefined, "again", "unknown"]);
  const code = new Gateway(new Clock(), "nothing");
  code.code = "auction_paused";
  assert.deepEqual(known(await pressed(code)), ["refused", true, "auction_paused", "again", "unknown"]);
  assert.ok(code.clock.passed >= 16_500);
});

test("what only this sending was refused for says nothing of one without an answer", async () => {
  const busy = () => refusal(503, "too_busy");
  assert.deepEqual(known(await pressed(new Gateway(new Clock(), busy()))), ["refused", false, "too_busy", "again"]);
  for (const later of [busy(), refusal(429, "too_many_bids"), refusal(403, "bidding_role_missing"), refusal(401, "ticket_refused")]) {
    const gateway = new Gateway(new Clock(), "takes, and is silent", later);
    assert.deepEqual(known(await pressed(gateway)), ["taken", true, undefined, "again", "unknown"], later.content.code);
  }
  // That it is too late by the clock of this gateway says nothing of an earlier sending that came to another.
  const late = new Gateway(new Clock(), "takes, and is silent", refusal(409, "move_expired"));
  assert.deepEqual(known(await pressed(late)), ["taken", true, undefined, "again", "unknown"]);
  // The room looks for the key first.
  const decided = new Gateway(new Clock(), "nothing", refusal(409, "step_not_met", DECIDED));
  assert.deepEqual(known(await pressed(decided)), ["refused", false, "step_not_met", "again"]);
  // Some answer on the way is none of the gateway's.
  const proxy = new Gateway(new Clock(), { status: 200, content: { hello: "hotel" } }, "takes");
  assert.deepEqual(known(await pressed(proxy)), ["taken", false, undefined, "again"]);
});

test("a page that knows the server's time badly measures it once and goes on; a machine that slept does not bid late", async () => {
  const behind = new Gateway(new Clock(-3_600_000), "takes");
  assert.deepEqual(known(await pressed(behind)), ["taken", false, undefined, "again"]);
  const slept = new Gateway(new Clock(-3_600_000), "takes");
  const send = slept.send.bind(slept);
  slept.send = async (...all) => {
    slept.clock.passed += 1_800_000;
    return send(...all);
  };
  assert.deepEqual(known(await pressed(slept)), ["lost", false, undefined]);
  assert.equal(slept.log.size, 0);
});

test("the page that is loaded next asks for what was not answered, and sends nothing", async () => {
  const tab = new Tab();
  const before = new Gateway(new Clock(), "takes, and is silent");
  before.send = (content) => Gateway.prototype.send.call(before, content, 0).then(() => new Promise(() => {}));
  void new live.Moves(before, tab.kept(), before.clock).make("bid", "96.00", () => {});
  void new live.Moves(before, tab.kept(), before.clock).make("limit", "90.00", () => {});
  await new Promise(setImmediate);
  assert.equal(tab.kept().all().length, 2);
  // Nobody else who logs in in this tab is told of them.
  assert.deepEqual(new live.Moves(before, tab.kept("7-14-35"), before.clock).ofEarlierPage(), []);

  const after = new Gateway(new Clock(), "takes");
  after.log = before.log;
  const moves = new live.Moves(after, tab.kept(), after.clock);
  const [bid, ...others] = moves.ofEarlierPage(["bid", "withdraw"]);
  assert.equal(others.length, 0);
  const outcome = await bid.outcome;
  assert.deepEqual([outcome.is, outcome.late, outcome.taken.amount, outcome.move.key], ["taken", true, "96.00", bid.move.key]);
  // What no part of the page asks for is asked for all the same, and each only once.
  const left = moves.ofEarlierPage();
  assert.deepEqual(left.map(({ move }) => move.action), ["limit"]);
  assert.deepEqual(moves.ofEarlierPage(), []);
  await left[0].outcome;
  assert.equal(after.sendings.length, 0);
  assert.deepEqual(tab.kept().all(), []);
});

test("it is asked at once when the gateway is there again", async () => {
  const clock = new Clock();
  const gateway = new Gateway(clock, "nothing");
  const moves = new live.Moves(gateway, new Tab().kept(), { ...clock, pause: (ms) => (clock.passed < 15_000 ? clock.pause(ms) : new Promise(() => {})) });
  gateway.awayUntil = Infinity;
  let outcome;
  void moves.make("bid", "96.00", () => {}).then((found) => (outcome = found));
  for (let turns = 0; turns < 50; turns++) await new Promise(setImmediate);
  assert.equal(outcome, undefined);
  gateway.awayUntil = 0;
  clock.passed += 3_600_000;
  moves.reconnected();
  for (let turns = 0; turns < 50; turns++) await new Promise(setImmediate);
  assert.equal(outcome.is, "lost");
});

test("without a storage a move is asked for as long as its page is open", async () => {
  const gateway = new Gateway(new Clock(), "takes, and is silent");
  gateway.does = ["takes, and is silent", "nothing"];
  const forbidden = new live.Kept("7-12-33", () => {
    throw new Error("denied");
  });
  const outcome = await new live.Moves(gateway, forbidden, gateway.clock).make("bid", "96.00", () => {});
  assert.deepEqual([outcome.is, outcome.late], ["taken", true]);
});

test("a stream that is refused is no lost connection: its viewer is told why, and it is not asked for every second", async (context) => {
  const heard = {};
  const pauses = [];
  context.mock.method(globalThis, "setTimeout", (_done, milliseconds) => pauses.push(milliseconds));
  let fetched = 0;
  const answers = [
    { status: 403, json: async () => ({ detail: "You do not take part in this auction." }) },
    { status: 502, json: async () => ({}) },
    { status: 404, json: async () => ({ message: "of some proxy" }) },
  ];
  Object.assign(globalThis.document, { addEventListener: () => {} });
  globalThis.addEventListener = (name, listener) => (heard[name] = listener);
  globalThis.fetch = async () => answers[Math.min(fetched++, answers.length - 1)];
  const wire = new live.Wire("", "7", "ticket", async () => null);
  const told = [];
  const listening = wire.listen(() => {}, (is) => told.push(is));
  const until = async (times) => {
    while (told.length < times) await new Promise(setImmediate);
    await new Promise(setImmediate);
    return pauses.at(-1);
  };
  assert.ok((await until(1)) > 30_000);
  heard.online();
  assert.ok((await until(2)) < 1_000);
  heard.online();
  assert.ok((await until(3)) < 1_000);
  assert.deepEqual(told, [{ barred: "You do not take part in this auction.", status: 403 }, "lost", "lost"]);
  wire.stop();
  heard.online();
  await listening;
});

test("only a log-in that is over is told as one, and a new one is found out", async (context) => {
  const heard = {};
  const pauses = [];
  context.mock.method(globalThis, "setTimeout", (_done, milliseconds) => pauses.push(milliseconds));
  Object.assign(globalThis.document, { addEventListener: () => {} });
  globalThis.addEventListener = (name, listener) => (heard[name] = listener);
  const sent = [];
  globalThis.fetch = async (_address, { headers }) => {
    sent.push(headers.Authorization);
    return { status: 401, json: async () => ({}) };
  };
  const renewals = [() => Promise.reject(new Error("502")), async () => null, async () => "new"];
  const wire = new live.Wire("", "7", "old", () => (renewals.shift() ?? (async () => null))());
  const told = [];
  const listening = wire.listen(() => {}, (is) => told.push(is));
  const pause = async (times) => {
    while (pauses.length < times) await new Promise(setImmediate);
    return pauses.at(-1);
  };
  assert.ok((await pause(1)) < 1_000, "the web is away: soon again");
  heard.online();
  assert.ok((await pause(2)) > 30_000);
  heard.online();
  await pause(3);
  heard.online();
  assert.deepEqual(told, ["lost", "refused"]);
  while (sent.length < 4) await new Promise(setImmediate);
  assert.deepEqual(sent, ["Bearer old", "Bearer old", "Bearer old", "Bearer new"]);
  wire.stop();
  heard.online();
  await listening.catch(() => {});
});

test("a stream that died while the machine slept is noticed when it wakes", async (context) => {
  let look;
  context.mock.method(globalThis, "setTimeout", () => 0);
  context.mock.method(globalThis, "setInterval", (callback) => (look = callback));
  const now = context.mock.method(Date, "now", () => START);
  globalThis.addEventListener = () => {};
  globalThis.fetch = (_address, { signal }) => new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const wire = new live.Wire("", "7", "ticket", async () => null);
  const told = [];
  void wire.listen(() => {}, (is) => told.push(is));
  look();
  await new Promise(setImmediate);
  assert.deepEqual(told, []);
  now.mock.mockImplementation(() => START + 3_600_000);
  look();
  await new Promise(setImmediate);
  assert.deepEqual(told, ["lost"]);
  wire.stop();
});

test("an answer that took long does not move the clock that is known better, but a clock that was set does", () => {
  const hear = (ahead, took, late = took / 2) => {
    const sent = live.localNow();
    live.hearServerTime(sent + late + ahead, sent, sent + took);
    return Math.round(live.serverNow() - live.localNow());
  };
  assert.equal(hear(500, 20), 500);
  assert.equal(hear(500, 3_000, 2_900), 500);
  assert.equal(hear(500, 10, 8), 503);
  assert.equal(hear(60_000, 40), 60_000);
});

test("every outcome is a plain sentence", () => {
  const desk = {
    page: { dataset: { zone: "Europe/Berlin" }, querySelector: () => null },
    state: () => ({ direction: "down" }),
    withCurrency: (amount) => `${amount} EUR`,
    clockTime: (moment) => new Date(moment).toISOString().slice(11, 19),
  };
  const taken = { number: 3, amount: "96.00", received_at: "2026-03-04T12:00:01Z" };
  const said = (action, amount, outcome) => live.outcomeWords(desk, { move: { action, amount }, late: true, ...outcome });
  const yes = (action, amount = "96.00") => said(action, amount, { is: "taken", taken: { ...taken, amount } })[0];
  assert.equal(yes("bid"), "Your bid of 96.00 EUR was taken. It was received at 12:00:01 (Europe/Berlin).");
  assert.equal(yes("accept"), "Accepted at 12:00:01: 96.00 EUR. The lot is yours.");
  assert.equal(yes("confirm"), "Confirmed at 12:00:01: 96.00 EUR");
  assert.equal(yes("withdraw", null), "Taken back. Your bid from before this turn stands.");
  assert.equal(yes("limit"), "Your limit stands.");
  assert.equal(yes("limit", null), "Taken back. You bid yourself again.");
  const problem = { code: "step_not_met", detail: "The bid does not improve the price by the step." };
  assert.deepEqual(said("bid", "96.00", { is: "refused", problem }), [`Your bid of 96.00 EUR was not taken. ${problem.detail}`, "bad"]);
  assert.deepEqual(said("bid", "96.00", { is: "refused", problem, late: false }), [problem.detail, "bad"]);
  const lost = "It was not recorded in time. Send it again if you still want to.";
  assert.deepEqual(said("bid", "96.00", { is: "lost" }), [`Your bid of 96.00 EUR was not taken. ${lost}`, "bad"]);
  assert.deepEqual(said("limit", null, { is: "lost" }), [`What you sent was not taken. ${lost}`, "bad"]);
});
