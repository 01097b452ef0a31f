import { toHex } from '@machinefi/core'
import { describe, expect, test } from 'vitest'
import { encodeMetricParams } from '../metrics/fold.js'
import {
  type Config,
  configHash,
  decodeConfig,
  encodeConfig,
  MalformedConfigError,
} from './encodeConfig.js'
import { epochHash, logsHash, networkId } from './epochHash.js'
import { decodePolicyParams, encodePolicyParams, InvalidPolicyError, reward } from './reward.js'

// The hashes below were made with viem's ABI encoder.

const address = (byte: number) => new Uint8Array(20).fill(byte)
const word = (byte: number) => new Uint8Array(32).fill(byte)
const policy = { cap: 10n ** 20n, rate: 10n ** 15n, threshold: -1n }
const config: Config = {
  schema: 7,
  schemaHash: word(3),
  fields: 2,
  tickMs: 1000,
  metric: address(1),
  metricParams: encodeMetricParams({ type: 'sum', field: 0, max: 500, min: -10 }),
  policy: address(2),
  policyParams: encodePolicyParams(policy),
  operator: address(0x0b),
  grace: 60,
  challengeWindow: 3600,
  responseTime: 600,
  takeoverDelay: 300,
  retention: 2_592_000,
  maxRowsBytes: 4096,
  minBond: 10n ** 18n,
  coverage: 100n,
  challengeBond: 10n ** 16n,
}
const odd = { ...config, metricParams: new Uint8Array(0), policyParams: Uint8Array.of(1, 2, 3) }

describe('encodeConfig', () => {
  test('behavior: hashes as Solidity does', () => {
    expect(toHex(configHash(config))).toBe(
      '0xac89061e7aa0dbd19fb9f43caf02fcf564515b3be7a57c5b588acadb34df746a',
    )
    expect(toHex(configHash(odd))).toBe(
      '0xdd4b3a811f295bd3f2546178d521449600cee2299ae7c54b6e3ce5ccc9ded8e0',
    )
  })

  test('behavior: decodes to what was encoded', () => {
    expect(decodeConfig(encodeConfig(config))).toEqual(config)
    expect(decodeConfig(encodeConfig(odd))).toEqual(odd)
  })

  test('error: anything else', () => {
    const bytes = encodeConfig(odd)
    // The lowest byte of the first word, an offset, a length, the padding; more, less, nothing.
    for (const i of [31, 32 * 6 + 31, 32 * 19 + 31, bytes.length - 1]) {
      const altered = bytes.slice()
      altered[i]! ^= 1
      expect(() => decodeConfig(altered)).toThrow(MalformedConfigError)
    }
    for (const altered of [
      bytes.subarray(1),
      bytes.subarray(0, -32),
      Uint8Array.of(...bytes, ...word(0)),
      new Uint8Array(0),
      word(0xff),
      new Uint8Array(19 * 32).fill(0xff),
    ])
      expect(() => decodeConfig(altered)).toThrow(MalformedConfigError)
  })
})

describe('epochHash', () => {
  const logs = [
    { root: word(4), shard: 0, size: 12 },
    { root: word(5), shard: 3, size: 2 ** 53 - 1 },
  ]

  test('behavior: hashes as Solidity does', () => {
    expect(toHex(logsHash(logs))).toBe(
      '0xd4bcd248f83efb2dcbf92e663194ab0ad0e13beed4e6ecf8b22afe7b8ab64557',
    )
    expect(toHex(logsHash([]))).toBe(
      '0x569e75fc77c1a856f6daaf9e69d8a9566ca34aa47f9133711ce065a571af0cfd',
    )
    const network = networkId({ chainId: 4690, factory: address(0xfa), serial: 9n })
    expect(toHex(network)).toBe(
      '0xaef30a7afbb7782986dd21e214f80c4fef8d2c503b874c142bc1d5e9b0b4efe6',
    )
    const hash = epochHash({
      attempt: 2,
      configHash: word(6),
      ledgerRoot: word(7),
      ledgerTotal: 2n ** 127n + 5n,
      logs,
      memberCount: 33,
      network,
      parentHash: word(9),
      window: 20_000,
      windowSeconds: 86_400,
    })
    expect(toHex(hash)).toBe('0x89bf022c69e8a2a804c0277a8662f716a0e860303afdc6b5bc5b9eea175a31b3')
  })
})

describe('reward', () => {
  test('default', () => {
    const steps = { cap: 50n, rate: 3n, threshold: 10n }
    const rewards = [9n, 10n, 16n, 17n, 2n ** 255n - 1n].map((value) => reward({ ...steps, value }))
    expect(rewards).toEqual([0n, 30n, 48n, 50n, 50n])
  })

  test('behavior: never below zero', () => {
    const generous = { cap: 50n, rate: 3n, threshold: -10n }
    expect([-11n, -10n, -1n, 0n, 1n].map((value) => reward({ ...generous, value }))).toEqual([
      0n,
      0n,
      0n,
      0n,
      3n,
    ])
    expect(reward({ cap: 50n, rate: 0n, threshold: 0n, value: 5n })).toBe(0n)
  })
})

describe('encodePolicyParams', () => {
  test('default', () => {
    expect(decodePolicyParams(encodePolicyParams(policy))).toEqual(policy)
  })

  test('error: out of bounds', () => {
    for (const bad of [
      { threshold: 2n ** 255n },
      { rate: 2n ** 256n },
      { rate: -1n },
      { cap: 2n ** 128n },
      { cap: -1n },
    ])
      expect(() => encodePolicyParams({ ...policy, ...bad })).toThrow(InvalidPolicyError)
    expect(() => decodePolicyParams(new Uint8Array(95))).toThrow(InvalidPolicyError)
    expect(() => decodePolicyParams(new Uint8Array(96).fill(0xff))).toThrow(InvalidPolicyError)
  })
})
