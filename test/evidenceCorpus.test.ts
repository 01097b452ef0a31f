import { publicKeyToAddress } from '@machinefi/core'
import { BatchError, batchId, decodeBatch, verifyBatch } from '@machinefi/telemetry'
import { Decoder } from 'cbor-x'
import { type Hex, toHex } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSigner } from '../packages/stream/test/createFakeChain.js'
import { createTestNode, hourMs } from '../packages/stream/test/createTestNode.js'
import { type CorpusCase, createCorpus, schema } from './evidence/corpus.js'
import { type Harness, startHarness, yes } from './evidence/startHarness.js'

// Whatever bytes a device signs, a node and a contract have to come to the same: a batch that is in a
// log and of no use to a contract could not be answered for.

const signer = createSigner()
const koblitz = createSigner(undefined, 'ES256K')
const other = createSigner()

let harness: Harness
let node: Awaited<ReturnType<typeof createTestNode>>
let corpus: CorpusCase[]
beforeAll(async () => {
  node = await createTestNode({ maxRowsBytes: 65_535 })
  for (const device of [signer, koblitz, other]) node.chain.join(device)
  await node.node.refresh()
  const start = node.now
  node.now += 3 * hourMs
  corpus = await createCorpus({ koblitz, network: node.id, other, signer, start })
  harness = await startHarness({ evidence: true })
}, 120_000)
afterAll(async () => {
  await harness?.close()
  await node?.[Symbol.asyncDispose]()
})

test('behavior: many of each, by names of their own', () => {
  expect(new Set(corpus.map(({ name }) => name)).size).toBe(corpus.length)
  expect(corpus.filter(({ reason }) => reason === null).length).toBeGreaterThan(15)
  expect(corpus.filter(({ reason }) => reason !== null).length).toBeGreaterThan(120)
})

test('behavior: telemetry', async () => {
  for (const { bytes, name, reason, signer } of corpus) {
    const { publicKey } = signer
    let verdict: string | null = null
    try {
      const batch = decodeBatch(bytes)
      const verified = await verifyBatch({ batch, network: node.id, publicKey, schema })
      if (!verified.ok) verdict = verified.reason
    } catch (error) {
      if (!(error instanceof BatchError)) throw error
      verdict = error.reason
    }
    expect(verdict, name).toBe(reason)
  }
})

test('behavior: a node', async () => {
  for (const { bytes, name, nodeReason, reason } of corpus) {
    const [outcome] = await node.ingest(bytes)
    const verdict = outcome!.ok ? null : outcome!.problem.reason
    expect(verdict, name).toBe(nodeReason ?? reason)
  }
  expect(node.errors).toEqual([])
})

test('behavior: a contract', async () => {
  for (const each of corpus) expect(await isAccepted(each), each.name).toBe(each.reason === null)
})

/**
 * Whether anything can be brought to a contract so that it takes this batch: it is the entry that a
 * log would have, its device signed it, it hashes to the records, and these fold.
 */
async function isAccepted({ parts, signer }: CorpusCase): Promise<boolean> {
  const header = readHeader(parts.payload)
  if (header === null || parts.records === null) return false
  const network = toHex(parts.network)
  // Under whichever algorithm, and by whichever device, that lead to the entry.
  const devices = [signer, koblitz, other].map(({ publicKey }) => publicKeyToAddress(publicKey))
  const entry = toHex(batchId(parts, parts.network))
  const evidence = (algorithm: number) => ({
    algorithm,
    header,
    x: toHex(signer.publicKey.subarray(0, 32)),
    y: toHex(signer.publicKey.subarray(32)),
    r: toHex(parts.signature.subarray(0, 32)),
    s: toHex(parts.signature.subarray(32)),
  })
  const tries = [0, 1].flatMap((algorithm) =>
    devices.map((device) => [evidence(algorithm), toHex(device), network] as const),
  )
  const ids = await harness.call('idOf', tries)
  const fitting = tries.filter((_, i) => ids[i] === entry)
  const signed = await harness.call('isSignedBatch', fitting)
  if (!signed.includes(yes)) return false
  const { commitment, recordsHash, ...numbers } = header
  const records = toHex(parts.records)
  const [has] = await harness.call('hasRecords', [[header, records]])
  const frame = { schema: 1n, fields: 1, tickMs: schema.tickMs, start: 0n, end: 0n }
  const [rows] = await harness.call('decodeRows', [[records, numbers, frame]])
  return has === yes && rows!.startsWith(yes) && header.schema === 1n
}

/** What a general reader finds in a payload, if it can be written as evidence at all. */
function readHeader(payload: Uint8Array) {
  let items: unknown
  try {
    items = new Decoder({ int64AsType: 'bigint' } as object).decode(payload)
  } catch {
    return null
  }
  if (!Array.isArray(items)) return null
  const numbers = items.slice(1, 6).map(toUint64)
  const [schema, seq, start, span, count] = numbers
  const [recordsHash, commitment] = items.slice(6, 8)
  if (numbers.length < 5 || numbers.includes(null)) return null
  if (!(recordsHash instanceof Uint8Array) || recordsHash.length !== 32) return null
  return {
    ...{ schema, seq, start, span, count },
    recordsHash: toHex(recordsHash),
    commitment: (commitment instanceof Uint8Array ? toHex(commitment) : '0x') as Hex,
  }
}

function toUint64(value: unknown): bigint | null {
  if (typeof value !== 'bigint' && !Number.isInteger(value)) return null
  const number = BigInt(value as number | bigint)
  return BigInt.asUintN(64, number) === number ? number : null
}
