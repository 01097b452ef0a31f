import { sha256 } from '@machinefi/core'
import { decodeSign1, verifySign1 } from '@machinefi/telemetry/cose'
import { expect, test } from 'vitest'
import { createTestSigner } from '../../test/createTestSigner.js'
import { createLog } from '../log/createLog.js'
import { encodeReceipt } from './encodeReceipt.js'
import { signCheckpoint } from './signCheckpoint.js'

// A general COSE library, which knows nothing of logs, reads and verifies the same bytes.

const signer = createTestSigner(1)
const { publicKey } = signer
const log = createLog()
for (let i = 0; i < 5; i++) log.append(sha256(Uint8Array.of(i)))
const root = log.root()
const network = new Uint8Array(32).fill(1)
const operator = new Uint8Array(20).fill(2)
const bytes = await signCheckpoint({
  ...{ network, operator, root, signer },
  ...{ shard: 9, size: 5, time: 1_700_000_000_000 },
})

test('behavior: a checkpoint is a COSE_Sign1', async () => {
  const verdict = await verifySign1(bytes, { publicKey })
  if (!verdict.ok) throw new Error(verdict.reason)
  expect(Uint8Array.from(verdict.payload)).toEqual(root)
  const header = verdict.sign1.protectedHeader
  expect([...header.keys()]).toEqual([1, 4, 395, 15, -65537, -65538, -65539])
  expect(header.get(1)).toBe(-7)
  expect(header.get(395)).toBe(1)
  expect(header.get(15)).toEqual(
    new Map<number, unknown>([
      [1, `0x${'02'.repeat(20)}`],
      [6, 1_700_000_000],
    ]),
  )
  expect(header.get(-65538)).toBe(9)
  expect(header.get(-65539)).toBe(5)
  expect(verdict.sign1.unprotectedHeader.size).toBe(0)
})

test('behavior: a receipt is a COSE Receipt with its payload detached', async () => {
  const proof = log.inclusionProof(3)
  const receipt = encodeReceipt({ checkpoint: bytes, index: 3, proof })
  expect(receipt[0]).toBe(0xd2)
  expect(await verifySign1(receipt, { publicKey })).toMatchObject({ ok: false, reason: 'payload' })
  expect((await verifySign1(receipt, { payload: root, publicKey })).ok).toBe(true)
  expect((await verifySign1(receipt, { payload: network, publicKey })).ok).toBe(false)
  const proofs = decodeSign1(receipt).unprotectedHeader.get(396) as Map<number, Uint8Array[]>
  expect([...proofs.keys()]).toEqual([-1])
  const [inclusion] = proofs.get(-1)!
  // [5, 3, [three hashes]]
  const hashes = [0, 1, 2].flatMap((i) => [0x58, 32, ...proof.subarray(32 * i, 32 * (i + 1))])
  expect([...inclusion!]).toEqual([0x83, 5, 3, 0x83, ...hashes])
})
