/** What the live page says of a room, moment by moment: pure, of rooms made up here. */
import assert from "node:assert/strict";
import path from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const START = Date.parse("2026-03-04T12:00:00Z");
const at = (seconds) => new Date(START + seconds * 1000).toISOString();
let live;

/** As much of an element as the list of what happened takes. */
class Element {
  constructor() {
    Object.assign(this, { dataset: {}, children: [], textContent: "", className: "" });
  }
  append(...children) {
    this.children.push(...children);
  }
  prepend(...children) {
    this.children.unshift(...children);
  }
  get childElementCount() {
    return this.children.length;
  }
  querySelector(selector) {
    const number = selector.match(/^\[data-number="(\d+)"\]$/)[1];
    return this.children.find((child) => child.dataset.number === number) ?? null;
  }
  get words() {
    return this.children.map((child) => child.textContent).join(" ");
  }
}

before(async () => {
  globalThis.Element = Element;
  globalThis.document = { getElementById: () => null, documentElement: { lang: "en" }, createElement: () => new Element() };
  const built = await esbuild.build({
    stdin: {
      contents: 'export * from "./words"; export { courseAt } from "./course"; export { effect } from "./effect"; export { Lines } from "./lines"; export { thinned } from "./rows"; export { ClockPanel } from "./clock-panel"; export { BidPanel } from "./bid-panel";',
      resolveDir: path.resolve(here, "../src/live"),
    },
    bundle: true,
    format: "esm",
    platform: "browser",
    write: false,
  });
  live = await import(`data:text/javascript;base64,${Buffer.from(built.outputFiles[0].contents).toString("base64")}`);
});

const OWN = { label: "2", amount: "95.00", rank: 2, leading: false, made: null, limit: null };
const CLOCK = { tick: "5.00", interval_s: 30, last: "83.00" };
const TICK = { kind: "tick", number: 1, last: 4, until: at(60), price: "95.00", label: null, own: false, order: [] };

function room(changes = {}) {
  return {
    kind: "english", status: "running", starts_at: at(0), ends_at: at(600), extensions: 0, currency: "EUR", direction: "down", step: "1.00",
    reference: "leader", shown: "both", bidders: 3, course: null, clock: null, own: OWN, best: { label: "1", amount: "94.00" }, allowed: "93.00", refused: null,
    ...changes,
  };
}

function desk(state, lastPrice = null) {
  return {
    page: { dataset: {} },
    state: () => state,
    lastPrice: () => lastPrice,
    amount: (value) => value ?? "—",
    withCurrency: (value) => `${value} EUR`,
    clockTime: (moment) => new Date(moment).toISOString().slice(11, 19),
  };
}

test("everybody reads where they stand", () => {
  const leads = { ...OWN, rank: 1, leading: true };
  const said = (changes) => {
    const one = room(changes);
    return live.standing(one, one.course);
  };
  assert.equal(said({}), "Rank 2");
  assert.equal(said({ own: leads }), "You lead");
  assert.equal(said({ own: { ...OWN, rank: null } }), "You do not lead");
  assert.equal(said({ own: leads, status: "ended" }), "You won");
  assert.equal(said({ own: { ...OWN, rank: null }, status: "ended" }), "You did not win");
  assert.equal(said({ own: leads, status: "cancelled" }), "—");
  assert.equal(said({ kind: "dutch", clock: CLOCK, course: TICK }), "Still open");
  const japanese = { kind: "japanese", clock: CLOCK, course: TICK };
  assert.equal(said(japanese), "Confirm now");
  assert.equal(said({ ...japanese, refused: "already_confirmed" }), "You are in");
  assert.equal(said({ ...japanese, refused: "bidder_out" }), "You are out");
  assert.equal(said({ own: null }), "Bidder 1");
  assert.equal(said({ own: null, best: null }), "Nobody yet");
});

test("the price has the name of what it is, and a pause stops the clock at it", () => {
  const said = (changes, lastPrice) => {
    const one = room(changes);
    return [live.priceLabel(one, one.course), live.price(desk(one, lastPrice), one, one.course)];
  };
  assert.deepEqual(said({}), ["Price to beat", "94.00"]);
  assert.deepEqual(said({ own: { ...OWN, leading: true } }), ["Best price", "94.00"]);
  assert.deepEqual(said({ reference: "own" }), ["Best price", "94.00"]);
  assert.deepEqual(said({ own: null, status: "cancelled" }), ["Best price", "94.00"]);
  assert.deepEqual(said({ shown: "rank", reference: "own", best: null }), ["Best price", "Not shown"]);
  const clock = { kind: "dutch", clock: CLOCK, best: null };
  assert.deepEqual(said({ ...clock, course: TICK }, "95.00"), ["Price now", "95.00"]);
  assert.deepEqual(said({ ...clock, status: "paused" }, "95.00"), ["Price now", "95.00"]);
  assert.deepEqual(said({ ...clock, status: "paused" }, null), ["Price now", "—"]);
  assert.deepEqual(said({ ...clock, status: "ended" }, "95.00"), ["Best price", "—"]);
});

test("the clock's price is known before the server has written it down", () => {
  const one = room({ kind: "dutch", clock: CLOCK, course: TICK });
  const known = (seconds) => {
    const { number, price, until } = live.courseAt(one, START + seconds * 1000);
    return [number, price, until];
  };
  assert.deepEqual(known(59.999), [1, "95.00", at(60)]);
  assert.deepEqual(known(60), [2, "90.00", at(90)]);
  // The last price is where the clock stops, however far the tick would go.
  assert.deepEqual(known(125), [4, "83.00", at(150)]);
  assert.deepEqual(known(9_999), [4, "83.00", at(150)]);
  assert.equal(live.courseAt(room({ status: "paused", clock: CLOCK, course: null }), START + 70_000), null);
});

test("what an amount counts as is rounded half up to the currency's digits, and exact before", () => {
  const counts = (amount, factor, addend = "0") => live.effect({ factor, addend }, amount, 2).units;
  assert.equal(counts({ units: 10_001n, scale: 2 }, "7/8"), 8_751n);
  assert.equal(counts({ units: 10_000n, scale: 2 }, "1", "-25/2"), 8_750n);
  assert.equal(counts({ units: 1n, scale: 2 }, "1/2"), 1n);
  assert.equal(counts({ units: 1n, scale: 2 }, "49/100"), 0n);
});

test("what happened is listed once, the newest first, with every move of the end", () => {
  const list = new Element();
  const lines = new live.Lines(desk(room()), list);
  const events = [
    { number: 2, kind: "started", at: at(0) },
    { number: 3, kind: "bid", at: at(590), own: false, label: "1", amount: "94.00", leads: true, ends_at: at(650) },
    { number: 4, kind: "extended", at: at(640), ends_at: at(700) },
    { number: 5, kind: "paused", at: at(660), reason: "A power cut" },
    { number: 6, kind: "resumed", at: at(720), ends_at: at(760) },
  ];
  lines.take(events);
  lines.take(events.slice(1));
  assert.deepEqual(
    list.children.map((line) => line.words),
    [
      "12:12:00 Resumed, ends at 12:12:40",
      "12:11:00 Paused: A power cut",
      "12:10:40 Extended to 12:11:40",
      "12:09:50 Extended to 12:10:50",
      "12:09:50 Bidder 1 94.00",
      "12:00:00 Started",
    ],
  );
});

test("the chart keeps no more rows than it has places for, and the last one", () => {
  const rows = Array.from({ length: 50_000 }, (_, n) => [n < 10 ? n * 1_000 : 10_000 + n / 50, 100 - n, null]);
  const kept = live.thinned(rows, 1_000);
  assert.ok(kept.length <= 1_001, `${kept.length} rows`);
  // What is far from all others is never left out.
  assert.deepEqual(kept.slice(0, 10), rows.slice(0, 10));
  assert.deepEqual(kept.at(-1), rows.at(-1));
  assert.deepEqual(live.thinned(rows.slice(0, 1), 1_000), rows.slice(0, 1));
});

/** As much of the page as the panels take: its slots by name, and what its controls hear. */
function panelled(state) {
  const slots = new Map();
  const slot = (name) => slots.get(name) ?? slots.set(name, control()).get(name);
  const heard = {};
  const listens = { addEventListener: (kind, listener) => (heard[kind] = listener), setAttribute() {}, focus() {}, select() {}, textContent: "", className: "", value: "" };
  const control = () => ({ ...listens, disabled: false });
  const sent = [];
  const own = {
    ...desk(state),
    digits: 2,
    mayAct: true,
    mayNot: "",
    page: { dataset: {}, querySelector: (name) => (name.includes("withdraw") ? null : slot(name)), querySelectorAll: () => [] },
    amount: (value) => (typeof value === "string" ? value : value ? `${value.units / 100n}.00` : "—"),
    withCurrency: (value) => own.amount(value),
    write: (name, text) => (slot(`[data-live-${name}]`).textContent = text),
    moves: { ofEarlierPage: () => [], make: (...move) => new Promise(() => sent.push(move)) },
  };
  const form = { ...listens, querySelector: () => control() };
  return { desk: own, form, control, sent, said: () => slot("[data-live-message]").textContent, press: () => heard.submit({ preventDefault() {} }) };
}

test("why a press was refused is taken back when it holds no longer", () => {
  const state = room({ kind: "dutch", status: "scheduled", starts_at: new Date(Date.now() + 60_000).toISOString(), ends_at: new Date(Date.now() + 600_000).toISOString() });
  for (const panelOf of [
    ({ desk, form, control }) => new live.ClockPanel(desk, { ...control(), form }, "accept"),
    ({ desk, form, control }) => new live.BidPanel(desk, { ...control(), form, value: "93.00" }),
  ]) {
    const shown = { ...state };
    const page = panelled(shown);
    const panel = panelOf(page);
    panel.show();
    page.press();
    assert.equal(page.said(), "The auction has not started yet.");
    shown.status = "running";
    panel.tick(Date.now());
    assert.equal(page.said(), "");
  }
});

test("far better than needed takes a second press, and a double click is one", (context) => {
  const clock = context.mock.method(performance, "now", () => 1_000);
  const page = panelled(room({ ends_at: new Date(Date.now() + 600_000).toISOString() }));
  const input = { ...page.control(), form: page.form, value: "9.00" };
  const panel = new live.BidPanel(page.desk, input);
  panel.show();
  page.press();
  assert.equal(page.said(), "This is far better than is needed. If you mean it, press once more.");
  clock.mock.mockImplementation(() => 1_200);
  page.press();
  assert.deepEqual(page.sent, []);
  clock.mock.mockImplementation(() => 2_000);
  page.press();
  assert.deepEqual(page.sent.map((move) => move.slice(0, 2)), [["bid", "9.00"]]);
});

test("who is in at the last price of the clock waits for no other", () => {
  const said = (number) => {
    const course = { ...TICK, number, last: 4, until: new Date(Date.now() + 60_000).toISOString() };
    const page = panelled(room({ kind: "japanese", clock: CLOCK, course, refused: "already_confirmed", ends_at: new Date(Date.now() + 600_000).toISOString() }));
    new live.ClockPanel(page.desk, { ...page.control(), form: page.form }, "confirm").show();
    return page.desk.page.querySelector("[data-live-why]").textContent;
  };
  assert.match(said(3), /^You are in at this price\. The next one comes at \d\d:\d\d:\d\d\.$/);
  assert.equal(said(4), "You are in at this price. It is the last one.");
});
