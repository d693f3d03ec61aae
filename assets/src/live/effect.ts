/** What an amount counts as where more than the price counts, by the bidder's own formula. */
import type { Decimal } from "../lib/decimal";
import type { RoomState } from "./room";

/** amount × factor + addend, rounded half up to the currency's digits. */
export function effect(formula: NonNullable<RoomState["formula"]>, amount: Decimal, digits: number): Decimal {
  const [factor, addend] = [fraction(formula.factor), fraction(formula.addend)];
  const under = 10n ** BigInt(amount.scale) * factor.under * addend.under;
  const over = amount.units * factor.over * addend.under + addend.over * 10n ** BigInt(amount.scale) * factor.under;
  return { units: (2n * over * 10n ** BigInt(digits) + under) / (2n * under), scale: digits };
}

function fraction(text: string): { readonly over: bigint; readonly under: bigint } {
  const [over = "0", under = "1"] = text.split("/");
  return { over: BigInt(over), under: BigInt(under) };
}
