/** BIP-173's digits, by value. */
const digits = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'

/** The generator of BIP-173's checksum, by bit of what is shifted out. */
const generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]

/**
 * Bech32 (BIP-173, not the later bech32m): `prefix`, `1`, the bytes in groups of five bits, six
 * digits of checksum; lower case.
 *
 * Sixty lines of our own: a library of bases would be the third dependency of core, for one format
 * that will not change.
 *
 * @param prefix 1 to 83 lower-case ASCII characters.
 */
export function encodeBech32(prefix: string, bytes: Uint8Array): string {
  const groups = regroup(bytes, 8, 5)
  const head = expand(prefix)
  const sum = polymod([...head, ...groups, 0, 0, 0, 0, 0, 0]) ^ 1
  const checksum = Array.from({ length: 6 }, (_, i) => (sum >>> (5 * (5 - i))) & 31)
  return `${prefix}1${[...groups, ...checksum].map((value) => digits[value]).join('')}`
}

/**
 * The prefix, in lower case, and the groups of five bits of a bech32 text; undefined where it is
 * none: over 90 characters, in two cases, with another character, or with a wrong checksum.
 */
export function decodeBech32(
  text: string,
): { prefix: string; groups: readonly number[] } | undefined {
  const lower = text.toLowerCase()
  const separator = text.lastIndexOf('1')
  if (text.length > 90 || separator < 1 || text.length - separator < 7) return undefined
  if ((text !== lower && text !== text.toUpperCase()) || !/^[\x21-\x7e]+$/.test(text))
    return undefined
  const prefix = lower.slice(0, separator)
  const groups = Array.from(lower.slice(separator + 1), (digit) => digits.indexOf(digit))
  if (groups.includes(-1) || polymod([...expand(prefix), ...groups]) !== 1) return undefined
  return { prefix, groups: groups.slice(0, -6) }
}

/** Groups of five bits as bytes; undefined where bits that are left over are not zero, or too many. */
export function toBytes(groups: readonly number[]): Uint8Array | undefined {
  const left = (groups.length * 5) % 8
  const bytes = regroup(groups, 5, 8)
  if (left > 4) return undefined
  if (left === 0) return Uint8Array.from(bytes)
  return bytes.at(-1) === 0 ? Uint8Array.from(bytes.slice(0, -1)) : undefined
}

/** Cuts a string of bits into other groups; zeros fill the last one. */
function regroup(values: ArrayLike<number>, from: number, to: number): number[] {
  const groups: number[] = []
  let bits = 0
  let held = 0
  for (const value of Array.from(values)) {
    held = (held << from) | value
    for (bits += from; bits >= to; ) {
      bits -= to
      groups.push((held >>> bits) & ((1 << to) - 1))
    }
    held &= (1 << bits) - 1
  }
  if (bits > 0) groups.push((held << (to - bits)) & ((1 << to) - 1))
  return groups
}

function expand(prefix: string): number[] {
  const codes = Array.from(prefix, (character) => character.charCodeAt(0))
  return [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)]
}

function polymod(values: readonly number[]): number {
  let sum = 1
  for (const value of values) {
    const top = sum >>> 25
    sum = ((sum & 0x1ffffff) << 5) ^ value
    for (let i = 0; i < 5; i++) if ((top >>> i) & 1) sum ^= generator[i] as number
  }
  return sum
}
