/**
 * Drafts that stay in this browser: in IndexedDB, encrypted by a key that cannot be taken out of it. A copy of the
 * profile's files is not enough to read one; this site's own pages in this browser can.
 */
import type { Bytes } from "./hpke";

const NAME = "openlot-bids";
const KEY = "key";

interface Sealed {
  iv: Bytes;
  data: ArrayBuffer;
}

function answered<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser’s storage does not answer"));
  });
}

let opened: Promise<IDBDatabase> | null = null;

function database(): Promise<IDBDatabase> {
  opened ??= (() => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("keys");
      request.result.createObjectStore("drafts");
    };
    return answered(request);
  })();
  return opened;
}

async function store(name: string, mode: IDBTransactionMode): Promise<IDBObjectStore> {
  return (await database()).transaction(name, mode).objectStore(name);
}

async function ownKey(): Promise<CryptoKey> {
  const kept = await answered<CryptoKey | undefined>((await store("keys", "readonly")).get(KEY));
  if (kept) return kept;
  const made = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  try {
    await answered((await store("keys", "readwrite")).add(made, KEY));
    return made;
  } catch {
    // Another tab was first.
    return answered<CryptoKey>((await store("keys", "readonly")).get(KEY));
  }
}

/** `place` names what is kept; it is bound to it, so that one draft cannot be put in another's place. */
export async function keep(place: string, value: unknown): Promise<void> {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const plain = new TextEncoder().encode(JSON.stringify(value));
  const additionalData = new TextEncoder().encode(place);
  const data = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, await ownKey(), plain);
  await answered((await store("drafts", "readwrite")).put({ iv, data } satisfies Sealed, place));
}

/** What was kept, or null: nothing was, or this browser has lost the key to it. */
export async function recall<T>(place: string): Promise<T | null> {
  const kept = await answered<Sealed | undefined>((await store("drafts", "readonly")).get(place));
  if (!kept) return null;
  try {
    const additionalData = new TextEncoder().encode(place);
    const plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv: kept.iv, additionalData }, await ownKey(), kept.data);
    return JSON.parse(new TextDecoder().decode(plain)) as T;
  } catch {
    return null;
  }
}

export async function forget(place: string): Promise<void> {
  await answered((await store("drafts", "readwrite")).delete(place));
}
