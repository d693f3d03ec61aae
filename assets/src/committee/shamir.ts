/**
 * Shamir's secret sharing over GF(256), as marketplace/signatures/shamir.py: a share is its place (1 to 255), then as many bytes as
 * the secret. The arithmetic has no table and no branch that depends on a secret: neither tells its bytes by the time it takes.
 */
import type { Bytes } from "../sealing/hpke";

export class SharesRefused extends Error {
  override readonly name = "SharesRefused";
}

/** `count` shares of the secret; any `threshold` of them give it back, fewer say nothing. */
export function split(secret: Uint8Array, threshold: number, count: number): Bytes[] {
  if (secret.length === 0 || threshold < 1 || threshold > count || count > 255) throw new SharesRefused("bounds");
  const coefficients = [secret];
  for (let degree = 1; degree < threshold; degree++) coefficients.push(crypto.getRandomValues(new Uint8Array(secret.length)));
  const shares: Bytes[] = [];
  for (let x = 1; x <= count; x++) {
    const share = new Uint8Array(secret.length + 1);
    share[0] = x;
    for (let place = 0; place < secret.length; place++) {
      let value = 0;
      for (let degree = threshold - 1; degree >= 0; degree--) value = multiply(value, x) ^ coefficients[degree]![place]!;
      share[place + 1] = value;
    }
    shares.push(share);
  }
  for (const coefficient of coefficients.slice(1)) coefficient.fill(0);
  return shares;
}

/** The secret that these shares give; with a wrong one among them it is another, so the caller checks what it makes. */
export function combine(shares: readonly Uint8Array[]): Bytes {
  const size = shares[0]?.length ?? 0;
  const places = shares.map((share) => share[0] ?? 0);
  if (size < 2 || shares.some((share) => share.length !== size)) throw new SharesRefused("lengths");
  if (places.includes(0) || new Set(places).size !== places.length) throw new SharesRefused("places");
  const secret = new Uint8Array(size - 1);
  shares.forEach((share, index) => {
    const weight = weightOf(index, places);
    for (let place = 0; place < secret.length; place++) secret[place]! ^= multiply(weight, share[place + 1]!);
  });
  return secret;
}

/** The product in the field of AES: x⁸ + x⁴ + x³ + x + 1. */
export function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 0; bit < 8; bit++) {
    product ^= -(b & 1) & a;
    a = (a << 1) ^ (-(a >> 7) & 0x11b);
    b >>= 1;
  }
  return product;
}

/** 1/a, as a²⁵⁴. */
export function inverse(a: number): number {
  let power = 1;
  let square = a;
  for (let step = 0; step < 7; step++) {
    square = multiply(square, square);
    power = multiply(power, square);
  }
  return power;
}

/** Lagrange's weight at 0 of one share among these places. */
function weightOf(index: number, places: readonly number[]): number {
  const own = places[index]!;
  return places.reduce((weight, other, at) => (at === index ? weight : multiply(weight, multiply(other, inverse(other ^ own)))), 1);
}
