import { concatBytes, publicKeyToAddress, type Signer, toHex } from '@machinefi/core'
import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { describe, expect, test } from 'vitest'
import {
  batchId,
  decodeBatch,
  defineSchema,
  encodeBatch,
  readBatch,
  rowAt,
  signBatch,
  toRow,
  verifyBatch,
} from '../index.js'

const walker = defineSchema({ id: 1, tickMs: 1000, fields: { steps: { unit: 'count' } } })
const network = new Uint8Array(32).fill(7)

function createSigner(algorithm: Signer['algorithm'], lowS = true): Signer {
  const curve = algorithm === 'ES256' ? p256 : secp256k1
  const privateKey = new Uint8Array(32).fill(1)
  return {
    algorithm,
    publicKey: curve.getPublicKey(privateKey, false).slice(1),
    sign: async (message) => curve.sign(message, privateKey, { lowS }),
  }
}

describe.each(['ES256', 'ES256K'] as const)('%s', (algorithm) => {
  const signer = createSigner(algorithm)
  const rows = Array.from({ length: 60 }, (_, i) =>
    toRow(walker, { time: 1_700_000_000_000 + i * 60_000, steps: i % 7 === 0 ? null : i }),
  )

  test('default', async () => {
    const batch = await signBatch({ signer, network, schema: walker, seq: 3, rows })
    const decoded = decodeBatch(batch.bytes)
    expect(decoded).toEqual(batch)
    expect(toHex(decoded.device)).toBe(toHex(publicKeyToAddress(signer.publicKey)))
    expect(decoded.header).toMatchObject({ schema: 1, seq: 3, count: 60, span: 59 * 60_000 })
    const verdict = await verifyBatch({
      batch: decoded,
      network,
      publicKey: signer.publicKey,
      schema: walker,
    })
    if (!verdict.ok) throw new Error(verdict.message)
    expect(Array.from({ length: 60 }, (_, i) => rowAt(verdict.rows, i))).toEqual(rows)
  })
})

test('behavior: a sequence of batches, and the envelope without its records', async () => {
  const signer = createSigner('ES256')
  const rows = [toRow(walker, { time: 5000, steps: 1 })]
  const one = await signBatch({ signer, network, schema: walker, seq: 0, rows })
  const bare = decodeBatch(encodeBatch({ ...one, records: null }))
  expect(bare.records).toBeNull()
  expect(batchId(bare, network)).toEqual(batchId(one, network))
  const sequence = concatBytes(one.bytes, bare.bytes)
  const first = readBatch(sequence, 0)
  expect(first.batch).toEqual(one)
  const second = readBatch(sequence, first.end)
  expect(second).toEqual({ batch: bare, end: sequence.length })
})
