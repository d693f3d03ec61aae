/** A member's own share: tried before the deadline, released after it; whoever comes last puts the key together. */
import { csrfToken } from "../lib/dom";
import { say } from "../lib/words";
import { Refusal } from "../signing/refusal";
import { subsets } from "./ceremony";
import type { Form } from "./form";
import { base64, bytesOf, DoesNotOpen, lotPublicKey, type Opener, type Recipient, sealTo, sha256 } from "./keys";
import { challengeAnswered } from "./mine";
import { combine, SharesRefused } from "./shamir";
import { unlocked } from "./unlock";

type Bytes = Uint8Array<ArrayBuffer>;

interface Own {
  readonly index: number;
  readonly sealed: string;
  readonly info: string;
  readonly commitment: string;
}

/** Another member: where to seal this person's share to, and what that member has released to this person. */
interface Other {
  readonly index: number;
  readonly name: string;
  readonly commitment: string;
  /** null for the platform, which needs no shares. */
  readonly recipient: Recipient | null;
  readonly infoTo: string;
  readonly released: string | null;
  readonly infoFrom: string;
}

export interface State {
  readonly threshold: number;
  readonly own: Own;
  readonly others: readonly Other[];
  /** The lots' public keys by id, base64. */
  readonly lots: Readonly<Record<string, string>>;
  /** Set once the key is there. */
  readonly complete: boolean;
}

function stateOf(form: HTMLElement): State {
  const source = document.getElementById(form.dataset.state ?? "");
  return JSON.parse(source?.textContent ?? "") as State;
}

async function ownShare(own: Own, opener: Opener): Promise<Bytes> {
  let share: Bytes;
  try {
    share = await opener.open(bytesOf(own.sealed), own.info);
  } catch (error) {
    if (!(error instanceof DoesNotOpen)) throw error;
    throw new Refusal("page", say("Your key opens, but the share does not open with it. Tell the buyer’s officer: the keys have to be made again."));
  }
  if ((await sha256(share)) !== own.commitment || share[0] !== own.index) {
    throw new Refusal("page", say("What was sealed to you is not the share that was announced. Tell the buyer’s officer: the keys have to be made again."));
  }
  return share;
}

/** "I can open my share": it opens and is the announced one; the server gets the answer to its own riddle, never the share. */
export async function confirmShare(form: Form): Promise<void> {
  form.tell(say("Opening your share…"));
  const opener = await unlocked(form.element);
  (await ownShare(stateOf(form.element).own, opener)).fill(0);
  form.value("answer", await challengeAnswered(form, opener));
  form.submit();
}

export async function releaseShare(form: Form): Promise<void> {
  form.tell(say("Opening your share…"));
  const opener = await unlocked(form.element);
  const state = stateOf(form.element);
  const share = await ownShare(state.own, opener);
  form.tell(say("Sealing it to the other members…"));
  const releases: Record<string, string> = {};
  for (const other of state.others) {
    if (other.recipient) releases[other.index] = base64(await sealTo(other.recipient, share, other.infoTo));
  }
  const now = await post<State>(form.element.dataset.releaseUrl ?? "", { releases });
  if (!now.complete) await putTogether(form, now, share, opener);
  form.element.querySelectorAll<HTMLInputElement>("[data-secret]").forEach((secret) => (secret.value = ""));
  location.assign(form.element.dataset.afterUrl ?? location.href);
}

/** With enough sound shares the seed is put together, checked against the lots' keys and sent. */
async function putTogether(form: Form, state: State, share: Bytes, opener: Opener): Promise<void> {
  const sound: Bytes[] = [share];
  const wrong: Other[] = [];
  for (const other of state.others) {
    if (other.released === null) continue;
    const opened = await opener.open(bytesOf(other.released), other.infoFrom).catch(() => null);
    if (opened && opened[0] === other.index && (await sha256(opened)) === other.commitment) sound.push(opened);
    else wrong.push(other);
  }
  if (wrong.length > 0) await post(form.element.dataset.wrongUrl ?? "", { wrong: wrong.map(({ index }) => index) });
  if (sound.length < state.threshold) {
    if (wrong.length > 0) throw new Refusal("page", say("The share of {names} is not the one that was announced; it is left out. Your own share is released.", { names: wrong.map(({ name }) => name).join(", ") }));
    return;
  }
  form.tell(say("Enough shares: putting the key together…"));
  for (const chosen of subsets(sound, state.threshold)) {
    const seed = combined(chosen);
    if (seed && (await makes(seed, state.lots))) {
      await post(form.element.dataset.keyUrl ?? "", { seed: base64(seed) });
      seed.fill(0);
      return;
    }
  }
  throw new Refusal("page", say("The shares are the announced ones, but together they do not give the keys of the lots. Tell the buyer’s officer."));
}

function combined(shares: readonly Bytes[]): Bytes | null {
  try {
    return combine(shares);
  } catch (error) {
    if (error instanceof SharesRefused) return null;
    throw error;
  }
}

async function makes(seed: Bytes, lots: State["lots"]): Promise<boolean> {
  for (const [lot, key] of Object.entries(lots)) if ((await lotPublicKey(seed, Number(lot))) !== key) return false;
  return true;
}

async function post<T>(url: string, content: object): Promise<T> {
  let answer: Response;
  try {
    const headers = { "Content-Type": "application/json", "X-CSRFToken": csrfToken(), Accept: "application/json" };
    answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(content), redirect: "error" });
  } catch {
    throw new Refusal("page", say("The connection is lost. Nothing is wrong with your share: press the button again when it is back."));
  }
  const said = (await answer.json().catch(() => ({}))) as T & { error?: string };
  if (!answer.ok) throw new Refusal("page", said.error ?? say("The server did not take it. Load the page again and try once more."));
  return said;
}
