/**
 * Triple DES and RC2, which WebCrypto lacks: for key files that older tools protected with them. Of node-forge only these
 * two ciphers; the page loads them when a file needs them.
 */
import forge from "node-forge/lib/forge.js";
import "node-forge/lib/des.js";
import "node-forge/lib/rc2.js";

export interface OldCiphers {
  /** CBC, padded; null where the padding is wrong, as it is after a wrong password. `bits` is the strength of an RC2 key. */
  decrypt(cipher: "3des" | "rc2", key: Uint8Array, bits: number, iv: Uint8Array, ciphertext: Uint8Array): Uint8Array<ArrayBuffer> | null;
}

function text(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

const oldCiphers: OldCiphers = {
  decrypt(name, key, bits, iv, ciphertext) {
    const cipher = name === "rc2" ? forge.rc2.createDecryptionCipher(text(key), bits) : forge.des.createDecryptionCipher(text(key), "CBC");
    cipher.start(text(iv));
    cipher.update(forge.util.createBuffer(text(ciphertext)));
    if (!cipher.finish()) return null;
    return Uint8Array.from(cipher.output.getBytes(), (character) => character.charCodeAt(0));
  },
};

(globalThis as { openlotOldCiphers?: OldCiphers }).openlotOldCiphers = oldCiphers;
