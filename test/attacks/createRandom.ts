/** Random choices that follow from a seed alone (mulberry32). */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
  const below = (limit: number) => Math.floor((next() / 2 ** 32) * limit)
  return {
    below,
    bytes(length) {
      const bytes = new Uint8Array(length)
      for (let i = 0; i < length; i++) bytes[i] = next()
      return bytes
    },
    of: (list) => list[below(list.length)]!,
    oneIn: (n) => below(n) === 0,
    text: (length, alphabet) =>
      Array.from({ length }, () => alphabet[below(alphabet.length)]).join(''),
  }
}

export type Random = {
  /** An integer in [0, limit). */
  below(limit: number): number
  bytes(length: number): Uint8Array
  of<item>(list: ArrayLike<item>): item
  oneIn(n: number): boolean
  text(length: number, alphabet: string): string
}
