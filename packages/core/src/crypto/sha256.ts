import { concatBytes } from '../bytes.js'

/**
 * SHA-256 of the parts one after the other (FIPS 180-4): 32 bytes. In a third of the bytes that
 * @noble/hashes takes, since every page with a device loads it.
 */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const message = concatBytes(...parts)
  const { length } = message
  const blocks = new Uint8Array(((length + 72) >> 6) << 6)
  blocks.set(message)
  blocks[length] = 0x80
  const view = new DataView(blocks.buffer)
  view.setUint32(blocks.length - 8, length / 2 ** 29)
  view.setUint32(blocks.length - 4, length << 3)
  const state = initial.slice()
  for (let at = 0; at < blocks.length; at += 64) absorb(state, view, at)
  for (let i = 0; i < 8; i++) view.setInt32(4 * i, state[i]!)
  return blocks.slice(0, 32)
}

function absorb(state: Int32Array, view: DataView, at: number) {
  for (let i = 0; i < 64; i++) {
    const x = schedule[i - 15]!
    const y = schedule[i - 2]!
    schedule[i] =
      i < 16
        ? view.getInt32(at + 4 * i)
        : (rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3)) +
          (rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10)) +
          schedule[i - 16]! +
          schedule[i - 7]!
  }
  // The eight words stay where they are; which is a and which is h moves by one each round.
  const words = state.slice()
  for (let i = 0; i < 64; i++) {
    const a = words[-i & 7]!
    const b = words[(1 - i) & 7]!
    const c = words[(2 - i) & 7]!
    const e = words[(4 - i) & 7]!
    const t =
      words[(7 - i) & 7]! +
      (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
      ((e & words[(5 - i) & 7]!) ^ (~e & words[(6 - i) & 7]!)) +
      constants[i]! +
      schedule[i]!
    words[(3 - i) & 7]! += t
    words[(7 - i) & 7] =
      t + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))
  }
  for (let i = 0; i < 8; i++) state[i]! += words[i]!
}

function rotate(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by))
}

const schedule = /* @__PURE__ */ new Int32Array(64)
const primes = /* @__PURE__ */ firstPrimes(64)
const initial = /* @__PURE__ */ toFractions(primes.slice(0, 8), 1 / 2)
const constants = /* @__PURE__ */ toFractions(primes, 1 / 3)

function firstPrimes(count: number): number[] {
  const primes: number[] = []
  for (let n = 2; primes.length < count; n++) if (primes.every((p) => n % p > 0)) primes.push(n)
  return primes
}

/**
 * First 32 bits of the fractions of roots. A double has 15 bits more than that, and none of these
 * roots is near enough to a step for an engine's last bits to matter (the test says how near).
 */
function toFractions(primes: readonly number[], power: number): Int32Array {
  return Int32Array.from(primes, (prime) => (prime ** power % 1) * 2 ** 32)
}
