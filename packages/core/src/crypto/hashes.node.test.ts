import { createHash } from 'node:crypto'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { expect, test } from 'vitest'
import { keccak256 } from './keccak256.js'
import { sha256 } from './sha256.js'

const message = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 0xff)
const lengths = [...Array(300).keys(), 4_095, 4_096, 4_097, 100_003]

test('sha256: equals OpenSSL’s for every length to 300, and long ones', () => {
  for (const length of lengths)
    expect(Buffer.from(sha256(message(length)))).toEqual(
      createHash('sha256').update(message(length)).digest(),
    )
})

test('sha256: leaves its input alone, takes parts', () => {
  const whole = message(200)
  expect(sha256(whole.subarray(0, 3), new Uint8Array(), whole.subarray(3))).toEqual(sha256(whole))
  expect(whole).toEqual(message(200))
  expect(sha256()).toEqual(sha256(new Uint8Array()))
})

test('sha256: its constants stand far from where a root’s last bits would change them', () => {
  const primes = [...Array(312).keys()]
    .slice(2)
    .filter((n, _, all) => all.every((p) => p >= n || n % p > 0))
  expect(primes).toHaveLength(64)
  for (const power of [1 / 2, 1 / 3])
    for (const prime of primes.slice(0, power === 1 / 2 ? 8 : 64)) {
      const steps = (prime ** power % 1) * 2 ** 32
      // A unit in the last place of the largest root is 2^-18 of a step.
      expect(Math.abs(steps - Math.round(steps))).toBeGreaterThan(2 ** -10)
    }
})

test('keccak256: equals @noble/hashes for every length to 300, and long ones', () => {
  for (const length of lengths)
    expect(keccak256(message(length))).toEqual(keccak_256(message(length)))
})
