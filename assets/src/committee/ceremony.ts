/**
 * The ceremony: a seed is made, gives every lot its key, is split, each share sealed to its member, and forgotten. What leaves the page
 * are public keys, sealed shares and the shares' hashes.
 */
import { say } from "../lib/words";
import { Refusal } from "../signing/refusal";
import type { Form } from "./form";
import { base64, type Recipient, SEED_SIZE, sealTo, sha256, lotPublicKey } from "./keys";
import { combine, split } from "./shamir";

export interface Plan {
  readonly threshold: number;
  readonly lots: readonly number[];
  /** In the order of their places, from 1. */
  readonly members: readonly (Recipient & { readonly index: number; readonly info: string })[];
}

function planOf(form: HTMLElement): Plan {
  const source = document.getElementById(form.dataset.plan ?? "");
  return JSON.parse(source?.textContent ?? "") as Plan;
}

export async function makeKeys(form: Form): Promise<void> {
  if (!globalThis.crypto?.subtle) throw new Refusal("page", say("Keys can be used on secure pages only (https, or this very machine)."));
  const plan = planOf(form.element);
  const seed = crypto.getRandomValues(new Uint8Array(SEED_SIZE));
  form.tell(say("Making the keys of the lots…"));
  const lotKeys: Record<string, string> = {};
  for (const lot of plan.lots) lotKeys[lot] = await lotPublicKey(seed, lot);
  form.tell(say("Splitting the key and sealing each share…"));
  const shares = split(seed, plan.threshold, plan.members.length);
  const sealed = [];
  for (const [place, member] of plan.members.entries()) {
    const share = shares[place];
    if (!share || share[0] !== member.index) throw new Error("the shares are not in the members' order");
    sealed.push({ index: member.index, sealed: base64(await sealTo(member, share, member.info)), commitment: await sha256(share) });
  }
  form.tell(say("Trying every way of putting the shares together…"));
  for (const chosen of subsets(shares, plan.threshold)) {
    const again = combine(chosen);
    if (base64(again) !== base64(seed)) throw new Refusal("page", say("The trial failed: the shares do not give the key back. Nothing was sent. Try another browser."));
    again.fill(0);
  }
  seed.fill(0);
  for (const share of shares) share.fill(0);
  form.value("made", JSON.stringify({ lot_keys: lotKeys, shares: sealed }));
  form.tell(say("Tried and sealed. Sending…"));
  form.submit();
}

/** Every choice of `size` of the things; ten shares have at most 252. */
export function* subsets<T>(things: readonly T[], size: number): Generator<T[]> {
  if (size === 0) yield [];
  else for (const [place, thing] of things.entries()) for (const rest of subsets(things.slice(place + 1), size - 1)) yield [thing, ...rest];
}
