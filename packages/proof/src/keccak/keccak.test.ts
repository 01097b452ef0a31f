import { keccak256 } from '@machinefi/core'
import { describe, expect, test } from 'vitest'
import { encodeKeccakModule, encodeRoundConstants } from './encodeKeccakModule.js'
import { createPlainKeccak, createWasmKeccak, keccak } from './keccak.js'

const message = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 0xff)

describe.each([
  ['wasm', createWasmKeccak()],
  ['plain', createPlainKeccak()],
])('keccak: %s', (_, hasher) => {
  test('behavior: equals @noble/hashes for every length to 300', () => {
    for (let length = 0; length <= 300; length++) {
      const expected = keccak256(message(length))
      expect(hasher.hash(message(length))).toEqual(expected)
      if (length > 135) continue
      const out = new Uint8Array(34)
      hasher.input.set(message(length))
      hasher.hashInput(length, out, 1)
      expect(out.subarray(1, 33)).toEqual(expected)
      expect([out[0], out[33]]).toEqual([0, 0])
    }
  })
})

test('behavior: WebAssembly is what is used here, and small enough to compile on any thread', () => {
  expect(keccak.hash.toString()).toEqual(createWasmKeccak().hash.toString())
  expect(encodeKeccakModule().length).toBeLessThan(4096)
})

test('behavior: round constants of FIPS 202', () => {
  const view = new DataView(encodeRoundConstants().buffer)
  expect(view.getBigUint64(0, true)).toBe(1n)
  expect(view.getBigUint64(8, true)).toBe(0x8082n)
  expect(view.getBigUint64(23 * 8, true)).toBe(0x8000000080008008n)
})
