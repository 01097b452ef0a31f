import { concatBytes, formatAddress, formatDid, publicKeyToAddress, sha256 } from '@machinefi/core'
import { decodeBatch, encodeBatch } from '@machinefi/telemetry'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  createTestEpoch,
  logSigner,
  network,
  window,
  windowNumber,
  windowSeconds,
} from '../../test/createTestEpoch.js'
import { createTestSigner } from '../../test/createTestSigner.js'
import { IntegerRangeError } from '../cbor/encode.js'
import {
  decodeBundle,
  type EpochBundle,
  encodeBundle,
  encodeBundleHead,
  encodeBundleTail,
  encodeClaim,
  MalformedBundleError,
} from './encodeBundle.js'
import { extractClaim, verifyBundle, verifyClaim } from './verifyBundle.js'

let bundle: EpochBundle
let bytes: Uint8Array
let devices: Uint8Array[]
beforeAll(async () => {
  const epoch = await createTestEpoch({
    algorithms: ['ES256', 'ES256K', 'ES256'],
    batches: 5,
    shards: 2,
  })
  bundle = epoch.bundle
  bytes = encodeBundle(bundle)
  devices = epoch.signers.map(({ publicKey }) => publicKeyToAddress(publicKey))
})

/** The bundle with one claim changed. */
const change = (slot: number, changes: Partial<EpochBundle['claims'][number]>) =>
  encodeBundle({
    ...bundle,
    claims: bundle.claims.map((claim) => (claim.slot === slot ? { ...claim, ...changes } : claim)),
  })

async function failure(bytes: Uint8Array, options: verifyBundle.Options = {}) {
  const verdict = await verifyBundle(bytes, options)
  return verdict.ok ? null : verdict.at
}

describe('encodeBundle', () => {
  test('default', () => {
    expect(decodeBundle(bytes)).toEqual(bundle)
    expect(encodeBundle(decodeBundle(bytes))).toEqual(bytes)
  })

  test('behavior: written in parts, it is the same', () => {
    const { claims, ...frame } = bundle
    const body = concatBytes(
      encodeBundleHead(frame, claims.length),
      ...claims.map((claim) => encodeClaim(claim)),
    )
    expect(concatBytes(body, encodeBundleTail(sha256(body)))).toEqual(bytes)
  })

  test('error: numbers out of range', () => {
    for (const bad of [{ ledgerTotal: 2n ** 128n }, { ledgerTotal: -1n }, { window: 0.5 }])
      expect(() => encodeBundle({ ...bundle, ...bad })).toThrow(IntegerRangeError)
    const network = { ...bundle.network, serial: 2n ** 53n }
    expect(() => encodeBundle({ ...bundle, network })).toThrow(IntegerRangeError)
  })

  test('error: every prefix, and more bytes', () => {
    for (let end = 0; end < bytes.length; end += 7)
      expect(() => decodeBundle(bytes.subarray(0, end))).toThrow(MalformedBundleError)
    expect(() => decodeBundle(concatBytes(bytes, Uint8Array.of(0)))).toThrow(MalformedBundleError)
  })
})

describe('verifyBundle', () => {
  test('default', async () => {
    const verdict = await verifyBundle(bytes)
    expect(verdict).toEqual({
      ok: true,
      claims: bundle.claims.map(({ before, entry, slot }) => ({
        cumulative: entry.cumulative,
        device: entry.device,
        reward: entry.cumulative - before,
        slot,
        steps: entry.steps,
        value: entry.value,
      })),
      complete: true,
      epochHash: bundle.epochHash,
      logKey: logSigner.publicKey,
      network,
      operator: new Uint8Array(20).fill(0x0b),
      signedAt: window.end,
      window: { ...window, number: windowNumber },
    })
    expect(bundle.claims.map(({ entry }) => entry.value)).toEqual([1515n, 3015n, 4515n, 0n])
  })

  test('options: device', async () => {
    const verdict = await verifyBundle(bytes, { device: formatDid(devices[1]!) })
    expect(verdict).toMatchObject({ ok: true, complete: false, claims: [{ slot: 1 }] })
    const stranger = new Uint8Array(20).fill(9)
    expect(await failure(bytes, { device: stranger })).toBe(`claim ${formatAddress(stranger)}`)
  })

  test('options: epochHash', async () => {
    expect(await failure(bytes, { epochHash: bundle.epochHash })).toBe(null)
    expect(await failure(bytes, { epochHash: new Uint8Array(32) })).toBe('epoch hash')
  })

  test('behavior: a bundle of some claims is not complete', async () => {
    const some = extractClaim(bundle, devices[2]!)!
    expect(await verifyBundle(encodeBundle(some))).toMatchObject({ ok: true, complete: false })
    expect(extractClaim(bundle, new Uint8Array(20))).toBe(null)
  })

  test('behavior: says where', async () => {
    const [first, second] = bundle.claims as [EpochBundle['claims'][0], EpochBundle['claims'][0]]
    const name = `claim ${formatAddress(first.entry.device)}`
    const at = async (changes: Partial<typeof first>) => failure(change(0, changes))
    const batch = (i: number, changes: Partial<(typeof first.batches)[0]>) =>
      at({ batches: first.batches.map((b, j) => (i === j ? { ...b, ...changes } : b)) })
    const { batches, entry } = first

    expect(await at({ slot: 5 })).toBe(`${name}: slot`)
    expect(await at({ siblings: first.siblings.subarray(48) })).toBe(`${name}: ledger path`)
    expect(await at({ siblings: second.siblings })).toBe(`${name}: ledger path`)
    expect(await at({ entry: { ...entry, value: 1n } })).toBe(`${name}: ledger path`)
    expect(await at({ entry: { ...entry, cumulative: 1n } })).toBe(`${name}: ledger path`)
    expect(await at({ before: 1n })).toBe(`${name}: reward`)
    expect(await at({ key: null })).toBe(`${name}: key`)
    expect(await at({ key: second.key })).toBe(`${name}: key`)
    expect(await at({ key: { ...first.key!, algorithm: 'ES256K' } })).toBe(
      `${name}: batch 0: algorithm`,
    )
    expect(await at({ batches: batches.slice(1) })).toBe(`${name}: steps`)
    expect(await at({ batches: [...batches.slice(1), batches[0]!] })).toBe(`${name}: batch 4: seq`)
    expect(await at({ batches: [batches[0]!, ...batches.slice(0, 4)] })).toBe(
      `${name}: batch 1: seq`,
    )
    expect(await batch(3, { bytes: batches[3]!.bytes.subarray(1) })).toBe(
      `${name}: batch 3: encoding`,
    )
    expect(await batch(3, { bytes: second.batches[3]!.bytes })).toBe(`${name}: batch 3: device`)
    expect(await batch(3, { index: batches[2]!.index })).toBe(`${name}: batch 3: inclusion`)
    expect(await batch(3, { shard: 1 })).toBe(`${name}: batch 3: inclusion`)
    expect(await batch(3, { shard: 2 })).toBe(`${name}: batch 3: shard`)
    expect(await batch(3, { proof: new Uint8Array(0) })).toBe(`${name}: batch 3: inclusion`)
    const decoded = decodeBatch(batches[4]!.bytes)
    const altered = (changes: Partial<typeof decoded>) =>
      batch(4, { bytes: encodeBatch({ ...decoded, ...changes }) })
    expect(await altered({ records: null })).toBe(`${name}: batch 4: records`)
    expect(await altered({ records: decodeBatch(second.batches[4]!.bytes).records })).toBe(
      `${name}: batch 4: records`,
    )
    expect(await altered({ signature: decodeBatch(batches[3]!.bytes).signature })).toBe(
      `${name}: batch 4: signature`,
    )
    // One slot a device, and slots ascend, so that no claim counts twice.
    expect(await failure(change(1, { entry }))).toBe(`${name}: device`)
    expect(await failure(encodeBundle({ ...bundle, claims: [second, first] }))).toBe(
      `${name}: slot`,
    )
  })

  test('behavior: the length of windows is bound', async () => {
    // A second less a window still holds all of these batches.
    const shorter = { ...bundle.network, windowSeconds: windowSeconds - 1 }
    const altered = encodeBundle({ ...bundle, network: shorter })
    expect(await failure(altered)).toBe('epoch hash')
  })

  test('behavior: the digest tells damage', async () => {
    const damaged = bytes.slice()
    damaged[damaged.length - 1] = (damaged.at(-1) as number) ^ 1
    expect(await failure(damaged)).toBe('digest')
  })

  test('behavior: says where in the epoch', async () => {
    const at = (changes: Partial<EpochBundle>) => failure(encodeBundle({ ...bundle, ...changes }))
    expect(await at({ window: windowNumber + 1 })).toBe('epoch hash')
    expect(await at({ memberCount: 6 })).toBe('epoch hash')
    expect(await at({ ledgerTotal: 1n })).toBe('epoch hash')
    expect(await at({ config: bundle.config.subarray(1) })).toBe('config')
    expect(await at({ schema: { ...bundle.schema, id: 8 } })).toBe('schema')
    expect(await at({ metric: 'count' })).toBe('metric')
    expect(await at({ metric: 'toString' as 'count' })).toBe('metric')
    expect(await at({ policy: 'linear' as 'threshold' })).toBe('policy')
    const { network } = bundle
    expect(await at({ network: { ...network, serial: 2n } })).toBe('checkpoint 0: network')
    expect(await at({ network: { ...network, windowSeconds: 3600 } })).toBe('epoch hash')
    expect(await at({ logKey: createTestSigner(3).publicKey })).toBe('checkpoint 0: key')
    const [a, b] = bundle.checkpoints as [Uint8Array, Uint8Array]
    expect(await at({ checkpoints: [b, a] })).toBe('checkpoint 1: shard')
    expect(await at({ checkpoints: [a, a] })).toBe('checkpoint 1: shard')
    expect(await at({ checkpoints: [a] })).toBe('epoch hash')
    expect(await at({ checkpoints: [a, b.subarray(1)] })).toBe('checkpoint 1: malformed')
  })

  test('behavior: every flipped byte of a claim’s bundle fails, and says where', async () => {
    const small = await createTestEpoch({ batches: 1, rows: 2 })
    const whole = encodeBundle({ ...small.bundle, claims: small.bundle.claims.slice(0, 1) })
    expect(await failure(whole)).toBe(null)
    for (let i = 0; i < whole.length; i++) {
      const flipped = whole.slice()
      flipped[i]! ^= 0xff
      expect(await failure(flipped), `byte ${i}`).toMatch(/./)
    }
  })
})

describe('verifyClaim', () => {
  test('default', async () => {
    const { entry } = bundle.claims[1]!
    const verdict = await verifyClaim(bytes, { device: formatDid(entry.device) })
    expect(verdict).toMatchObject({
      ok: true,
      cumulative: entry.cumulative,
      device: entry.device,
      reward: 3015n * 10n ** 15n,
      slot: 1,
      steps: 5,
      value: 3015n,
      window: { number: windowNumber },
    })
  })

  test('behavior: failures are named from the claim on', async () => {
    const claim = bundle.claims[1]!
    const batch = claim.batches[2]!
    const forged = batch.bytes.slice()
    const { signature } = decodeBatch(forged)
    signature[5]! ^= 1
    const batches = claim.batches.map((b) => (b === batch ? { ...b, bytes: forged } : b))
    const verdict = await verifyClaim(change(1, { batches }), { device: claim.entry.device })
    expect(verdict).toMatchObject({ ok: false, at: 'batch 2: signature' })
    // Another claim's fault is no fault of this one.
    const other = await verifyClaim(change(1, { batches }), { device: devices[0]! })
    expect(other.ok).toBe(true)
  })
})
