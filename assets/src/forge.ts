/** node-forge, for key files that older tools protected with RC2 or triple DES, which WebCrypto cannot read. */
import forge from "node-forge";

(globalThis as { openlotForge?: typeof forge }).openlotForge = forge;
