/**
 * Keccak-256 as Ethereum uses it: 32 bytes. Written for size, like {@link sha256}: a device hashes
 * its public key with it; for many hashes `proof` has a faster one.
 */
export function keccak256(message: Uint8Array): Uint8Array {
  const blocks = new Uint8Array((Math.floor(message.length / rate) + 1) * rate)
  blocks.set(message)
  blocks[message.length] = 1
  blocks[blocks.length - 1]! |= 0x80
  const view = new DataView(blocks.buffer)
  // A lane is two words, the low one first.
  const state = new Int32Array(50)
  for (let at = 0; at < blocks.length; at += rate) {
    for (let i = 0; i < rate / 4; i++) state[i]! ^= view.getInt32(at + 4 * i, true)
    permute(state)
  }
  for (let i = 0; i < 8; i++) view.setInt32(4 * i, state[i]!, true)
  return blocks.slice(0, 32)
}

/** Bytes that are absorbed at a time. */
const rate = 136

/** Keccak-f[1600] (FIPS 202 §3.3). */
function permute(state: Int32Array) {
  const columns = new Int32Array(10)
  let lfsr = 1
  for (let round = 0; round < 24; round++) {
    // θ
    for (let i = 0; i < 10; i++)
      columns[i] = state[i]! ^ state[i + 10]! ^ state[i + 20]! ^ state[i + 30]! ^ state[i + 40]!
    for (let i = 0; i < 50; i++) {
      const x = i % 10
      const next = (x + 2) % 10
      state[i]! ^= columns[(x + 8) % 10]! ^ rotate(columns[next]!, columns[next ^ 1]!, 1)
    }
    // ρ and π: each lane goes to the place of the next, from (1, 0) on.
    let x = 1
    let y = 0
    let word = state[2]!
    let other = state[3]!
    for (let t = 1; t < 25; t++) {
      const to = (2 * x + 3 * y) % 5
      x = y
      y = to
      const at = 2 * (x + 5 * y)
      const by = ((t * (t + 1)) / 2) % 64
      const low = rotate(word, other, by)
      const high = rotate(other, word, by)
      word = state[at]!
      other = state[at + 1]!
      state[at] = low
      state[at + 1] = high
    }
    // χ
    for (let row = 0; row < 50; row += 10) {
      columns.set(state.subarray(row, row + 10))
      for (let i = 0; i < 10; i++)
        state[row + i]! ^= ~columns[(i + 2) % 10]! & columns[(i + 4) % 10]!
    }
    // ι: bits 2^j − 1 of lane (0, 0), from an LFSR.
    for (let bit = 1; bit <= 64; bit *= 2) {
      if (lfsr & 1) state[bit > 32 ? 1 : 0]! ^= 1 << (bit - 1)
      lfsr = (lfsr << 1) ^ ((lfsr >> 7) * 0x171)
    }
  }
}

/** One word of a lane rotated to the left by neither 0 nor 32; `other` is its other word. Shifts are modulo 32. */
function rotate(word: number, other: number, by: number): number {
  return by < 32 ? (word << by) | (other >>> -by) : (other << by) | (word >>> -by)
}
