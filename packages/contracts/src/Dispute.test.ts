import { hexToBytes, keccak256 } from 'viem'
import { describe, expect, test } from 'vitest'
import {
  challengeId,
  decodePoint,
  encodePoint,
  type Point,
  pointKinds,
  toBatchEvidence,
  toCheckpointEvidence,
  toInclusionEvidence,
} from './Dispute.js'
import { InvalidArgumentError } from './errors.js'

const hash = hexToBytes(keccak256('0x01'))
const device = hash.slice(12)
const most = { size: Number.MAX_SAFE_INTEGER, uint32: 0xffffffff }

const points: Point[] = [
  { kind: 'step', slot: 0, step: most.uint32 },
  { kind: 'carry', slot: most.uint32, device },
  { kind: 'carry', slot: 7, device: null },
  { kind: 'omission', device, seq: most.size, batchId: hash, shard: most.uint32, index: most.size },
  { kind: 'consistency', shard: 3, size: most.size, root: hash },
  { kind: 'reveal', height: 32, index: 0 },
]

describe('decodePoint', () => {
  test('behavior: what encodePoint writes', () => {
    for (const point of points) {
      const data = encodePoint(point)
      expect(decodePoint(pointKinds.indexOf(point.kind), data)).toEqual(point)
    }
  })

  test('error: a kind that there is not', () => {
    expect(() => decodePoint(5, '0x')).toThrow('There is no challenge of kind 5.')
  })
})

test('challengeId tells kinds, windows and attempts apart', () => {
  const [point, other] = [points[0]!, points[5]!]
  const ids = [
    { window: 1, attempt: 1, point },
    { window: 2, attempt: 1, point },
    { window: 1, attempt: 2, point },
    { window: 1, attempt: 1, point: other },
  ].map(challengeId)
  expect(new Set(ids).size).toBe(ids.length)
})

describe('evidence', () => {
  const header = {
    schema: 1,
    seq: 2,
    start: 3,
    span: 4,
    count: 5,
    recordsHash: hash,
    commitment: null,
  }
  const batch = {
    algorithm: 'ES256K',
    publicKey: new Uint8Array(64).fill(1),
    header,
    signature: new Uint8Array(64).fill(2),
  } as const
  const checkpoint = {
    operator: device,
    time: 1_000,
    shard: 0,
    size: 1,
    root: hash,
    publicKey: batch.publicKey,
    signature: batch.signature,
  }

  test('default', () => {
    expect(toBatchEvidence(batch)).toMatchObject({ algorithm: 1, header: { commitment: '0x' } })
    expect(toCheckpointEvidence(checkpoint)).toMatchObject({ size: 1n, time: 1n })
    const proof = new Uint8Array(64)
    expect(toInclusionEvidence({ index: 1, proof, shard: 2 }).proof).toHaveLength(2)
  })

  test('error: bytes of another length', () => {
    for (const [convert, message] of [
      [
        () => toBatchEvidence({ ...batch, publicKey: new Uint8Array(65) }),
        'A public key is made of 64 bytes, not of 65.',
      ],
      [
        () => toCheckpointEvidence({ ...checkpoint, signature: new Uint8Array(96) }),
        'A signature is made of 64 bytes, not of 96.',
      ],
      [
        () => toInclusionEvidence({ index: 1, proof: new Uint8Array(33), shard: 2 }),
        'A proof is made of words of 32 bytes, not of 33.',
      ],
      [
        () => toCheckpointEvidence({ ...checkpoint, time: 1_001 }),
        'A checkpoint is dated to the second, not 1001 ms.',
      ],
    ] as const) {
      expect(convert).toThrow(InvalidArgumentError)
      expect(convert).toThrow(message)
    }
  })
})
