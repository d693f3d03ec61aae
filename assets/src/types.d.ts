declare module "@tabler/core/dist/js/tabler.esm.js";
declare module "htmx.org/dist/htmx.esm.js" {
  const htmx: { config: Record<string, unknown>; process(element: Element): void };
  export default htmx;
}
declare module "node-forge/lib/forge.js" {
  interface Cipher {
    start(iv: string): void;
    update(input: unknown): void;
    finish(): boolean;
    output: { getBytes(): string };
  }
  const forge: {
    rc2: { createDecryptionCipher(key: string, bits: number): Cipher };
    des: { createDecryptionCipher(key: string, mode: string): Cipher };
    util: { createBuffer(bytes: string): unknown };
  };
  export default forge;
}
declare module "node-forge/lib/des.js";
declare module "node-forge/lib/rc2.js";
