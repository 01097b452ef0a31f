import { concatBytes } from '@machinefi/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createTestEpoch } from '../../test/createTestEpoch.js'
import { encodeBundle } from './encodeBundle.js'
import { verifyBundle } from './verifyBundle.js'

// With OpenSSL only: some ten thousand signatures.

test('behavior: every flipped byte of an epoch’s bundle fails, and says where', async () => {
  const { bundle } = await createTestEpoch({
    algorithms: ['ES256', 'ES256K'],
    batches: 2,
    rows: 2,
    shards: 2,
  })
  const bytes = encodeBundle(bundle)
  expect((await verifyBundle(bytes)).ok).toBe(true)
  const places = new Set<string>()
  for (let i = 0; i < bytes.length; i++) {
    const flipped = bytes.slice()
    flipped[i]! ^= 0xff
    const verdict = await verifyBundle(flipped)
    if (verdict.ok) throw new Error(`byte ${i} is not bound`)
    places.add(verdict.at.replace(/0x[0-9a-f]+|\d+/g, '*'))
  }
  // Not one error for everything: each part is named.
  expect([...places].sort()).toMatchInlineSnapshot(`
    [
      "byte *",
      "checkpoint *: key",
      "checkpoint *: malformed",
      "checkpoint *: network",
      "checkpoint *: signature",
      "claim *: batch *: device",
      "claim *: batch *: encoding",
      "claim *: batch *: inclusion",
      "claim *: batch *: records",
      "claim *: batch *: signature",
      "claim *: batch *: window",
      "claim *: key",
      "claim *: ledger path",
      "claim *: reward",
      "config",
      "digest",
      "epoch hash",
      "metric",
      "policy",
      "schema",
    ]
  `)
})

test('behavior: every flipped bit of a claim’s bundle fails', async () => {
  const { bundle } = await createTestEpoch({ batches: 1, rows: 2 })
  const bytes = encodeBundle({ ...bundle, claims: bundle.claims.slice(0, 1) })
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const flipped = bytes.slice()
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    expect((await verifyBundle(flipped)).ok, `bit ${bit}`).toBe(false)
  }
})

test('behavior: garbage is refused with a place, never with an exception', async () => {
  const { bundle } = await createTestEpoch({ batches: 2, rows: 2 })
  const bytes = encodeBundle(bundle)
  const place = fc.nat({ max: bytes.length })
  await fc.assert(
    fc.asyncProperty(
      place,
      place,
      fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.tuple(place, place)),
      async (from, to, put) => {
        // A piece is cut out, and something else, or another piece, put there.
        const piece = put instanceof Uint8Array ? put : bytes.subarray(...put.sort((a, b) => a - b))
        const [start, end] = [Math.min(from, to), Math.max(from, to)]
        const spliced = concatBytes(bytes.subarray(0, start), piece, bytes.subarray(end))
        const verdict = await verifyBundle(spliced)
        if (verdict.ok) expect(spliced).toEqual(bytes)
        else expect(verdict.at).toMatch(/./)
      },
    ),
    { numRuns: 2000, seed: 1 },
  )
})
