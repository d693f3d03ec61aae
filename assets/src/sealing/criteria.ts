/**
 * What counts besides the price, as a bidder answers it: the rules of procurement/rules/criteria.py with exact fractions.
 * Both are held to the same cases (tests/procurement/rules/criteria.json).
 */
import { type Decimal, compare, parse, plain, round } from "../lib/decimal";

export type AnswerProblem = "missing" | "not_offered" | "not_a_number" | "negative" | "too_precise" | "too_large";

export interface Question {
  readonly name: string;
  readonly description: string;
  /** Shares are in percent; a question without options asks for a cost. */
  readonly options?: readonly { readonly name: string; readonly share: string }[];
}

export interface Criteria {
  readonly kind: "features" | "life_cycle_cost";
  readonly questions: readonly Question[];
}

export interface Answer {
  readonly question: Question;
  readonly typed: string;
  /** As the content carries it; null where there is a problem. */
  readonly plain: string | null;
  readonly problem: AnswerProblem | null;
}

export interface Answers {
  readonly given: readonly Answer[];
  readonly complete: boolean;
  readonly formula: Formula;
  /** How a total comes to what it counts as: “100.00 ÷ (1 + 10 % ÷ (100 % − 20 %)) = 88.89”. */
  arithmetic(total: string): string;
}

interface Fraction {
  readonly over: bigint;
  readonly under: bigint;
}

/** An amount counts as amount × factor + addend. */
export interface Formula {
  readonly factor: Fraction;
  readonly addend: Decimal;
}

const LARGEST: Decimal = { units: 10n ** 15n, scale: 0 };
const HUNDRED = 10_000n;

export function read(criteria: Criteria, typed: ReadonlyMap<string, string>, digits: number, direction: "down" | "up" = "down"): Answers {
  const given = criteria.questions.map((question) => answer(question, (typed.get(question.name) ?? "").trim(), digits));
  const formula = formulaOf(criteria, given, direction);
  return {
    given,
    complete: given.every(({ problem }) => problem === null),
    formula,
    arithmetic: (total) => arithmetic(criteria, given, total, counts(formula, total, digits), digits, direction),
  };
}

/** What a total counts as, rounded half up to the currency's digits. */
export function counts(formula: Formula, total: string, digits: number): string {
  const amount = exact(total);
  const scale = Math.max(amount.scale, formula.addend.scale);
  const over = amount.units * 10n ** BigInt(scale - amount.scale) * formula.factor.over + formula.addend.units * 10n ** BigInt(scale - formula.addend.scale) * formula.factor.under;
  const under = formula.factor.under * 10n ** BigInt(scale);
  const raised = over * 10n ** BigInt(digits);
  return plain({ units: (2n * raised + under) / (2n * under), scale: digits }, digits);
}

/** The limit, which is of what totals count as, as a total of this bidder: the worst that still meets it. */
export function bound(formula: Formula, limit: string, digits: number, direction: "down" | "up"): string {
  const [most, addend] = [exact(limit), formula.addend];
  const scale = Math.max(most.scale, addend.scale);
  const rest = most.units * 10n ** BigInt(scale - most.scale) - addend.units * 10n ** BigInt(scale - addend.scale);
  const over = rest * formula.factor.under * 10n ** BigInt(digits);
  const under = formula.factor.over * 10n ** BigInt(scale);
  const floor = over / under - (over % under < 0n ? 1n : 0n);
  return plain({ units: direction === "down" || floor * under === over ? floor : floor + 1n, scale: digits }, digits);
}

function answer(question: Question, typed: string, digits: number): Answer {
  const refused = (problem: AnswerProblem): Answer => ({ question, typed, plain: null, problem });
  if (!typed) return refused("missing");
  if (question.options) return question.options.some(({ name }) => name === typed) ? { question, typed, plain: typed, problem: null } : refused("not_offered");
  const cost = parse(typed);
  if (cost === null) return refused("not_a_number");
  if (cost.units < 0n) return refused("negative");
  if (compare(cost, LARGEST) >= 0) return refused("too_large");
  const rounded = round(cost, digits);
  return compare(rounded, cost) === 0 ? { question, typed, plain: plain(rounded, digits), problem: null } : refused("too_precise");
}

function formulaOf(criteria: Criteria, given: readonly Answer[], direction: "down" | "up"): Formula {
  const zero: Decimal = { units: 0n, scale: 0 };
  if (criteria.kind === "life_cycle_cost") {
    const scale = Math.max(0, ...given.map((each) => (each.plain === null ? 0 : exact(each.plain).scale)));
    const units = given.reduce((sum, each) => sum + (each.plain === null ? 0n : hundredths(each.plain, scale)), 0n);
    return { factor: { over: 1n, under: 1n }, addend: { units, scale } };
  }
  const earned = given.reduce((sum, each) => sum + hundredths(shareOf(each), 2), 0n);
  const rest = HUNDRED - weight(criteria);
  // k = 1 + earned ÷ rest
  return { factor: direction === "down" ? { over: rest, under: rest + earned } : { over: rest + earned, under: rest }, addend: zero };
}

function arithmetic(criteria: Criteria, given: readonly Answer[], total: string, result: string, digits: number, direction: "down" | "up"): string {
  const amount = plain(round(exact(total), digits), digits);
  if (criteria.kind === "life_cycle_cost") return `${amount}${given.map((each) => ` + ${each.plain ?? plain({ units: 0n, scale: 0 }, digits)}`).join("")} = ${result}`;
  const shares = given.map((each) => `${shareOf(each)} %`).join(" + ");
  return `${amount} ${direction === "down" ? "÷" : "×"} (1 + ${given.length > 1 ? `(${shares})` : shares} ÷ (100 % − ${percent(weight(criteria))} %)) = ${result}`;
}

function shareOf({ question, plain: chosen }: Answer): string {
  return question.options?.find(({ name }) => name === chosen)?.share ?? "0";
}

/** In hundredths of a percent. */
function weight(criteria: Criteria): bigint {
  return criteria.questions.reduce((sum, { options = [] }) => sum + options.reduce((most, { share }) => (hundredths(share, 2) > most ? hundredths(share, 2) : most), 0n), 0n);
}

function percent(units: bigint): string {
  return plain({ units, scale: 2 }, 2).replace(/\.?0+$/, "");
}

function hundredths(text: string, scale: number): bigint {
  const value = exact(text);
  return value.units * 10n ** BigInt(scale - value.scale);
}

function exact(text: string): Decimal {
  const found = parse(text);
  if (found === null) throw new RangeError(`not a number: ${text}`);
  return found;
}
