import {
  type Algorithm,
  concatBytes,
  formatAddress,
  fromHex,
  publicKeyToAddress,
  sha256,
  toHex,
} from '@machinefi/core'
import { beforeAll, describe, expect, test } from 'vitest'
import { createTestSigner } from '../../test/createTestSigner.js'
import { createLog } from '../log/createLog.js'
import { decodeReceipt, encodeReceipt, InvalidReceiptError } from './encodeReceipt.js'
import {
  type Checkpoint,
  checkpointMessage,
  decodeCheckpoint,
  InvalidCheckpointError,
  MalformedCheckpointError,
  signCheckpoint,
  verifyCheckpoint,
} from './signCheckpoint.js'
import { createCheckpointCache, toCheckpoint, verifyReceipt } from './verifyReceipt.js'

const signer = createTestSigner(1)
const { publicKey } = signer
const ids = Array.from({ length: 7 }, (_, i) => Uint8Array.from(sha256(Uint8Array.of(i))))
const log = createLog(concatBytes(...ids))
const checkpoint: Checkpoint = {
  network: new Uint8Array(32).fill(0xab),
  operator: fromHex('0x00112233445566778899aabbccddeeff00112233'),
  root: log.root(),
  shard: 3,
  size: log.size,
  time: 1_700_000_000_000,
}
const { network, operator } = checkpoint

let signed: Uint8Array
beforeAll(async () => {
  signed = await signCheckpoint({ ...checkpoint, signer })
})

describe('signCheckpoint', () => {
  test('behavior: the bytes of docs/protocol/log.md', () => {
    const header = [
      'a7', // map(7)
      '0126', // alg: ES256
      `0454${toHex(publicKeyToAddress(publicKey)).slice(2)}`, // kid
      '19018b01', // vds: RFC9162_SHA256
      `0fa2${`01782a${Buffer.from(formatAddress(operator)).toString('hex')}`}061a6553f100`, // iss, iat
      `3a000100005820${'ab'.repeat(32)}`, // network
      '3a0001000103', // shard
      '3a0001000207', // size
    ].join('')
    const { signature } = decodeCheckpoint(signed)
    expect(toHex(signed)).toBe(
      `0xd2845885${header}a05820${toHex(log.root()).slice(2)}5840${toHex(signature).slice(2)}`,
    )
    const { protected: signedHeader, root } = decodeCheckpoint(signed)
    expect(toHex(checkpointMessage(signedHeader, root))).toBe(
      `0x846a5369676e6174757265315885${header}405820${toHex(root).slice(2)}`,
    )
  })

  test('behavior: decodes to what was signed', () => {
    const decoded = decodeCheckpoint(signed)
    expect(decoded).toMatchObject(checkpoint)
    expect(decoded.logKey).toEqual(publicKeyToAddress(publicKey))
  })

  test('behavior: extremes', async () => {
    for (const change of [
      { shard: 0, size: 0, time: 0 },
      { shard: 2 ** 32 - 1, size: 2 ** 53 - 1, time: 8_640_000_000_000_000 },
    ]) {
      const bytes = await signCheckpoint({ ...checkpoint, ...change, signer })
      const verdict = await verifyCheckpoint(bytes, { publicKey })
      expect(verdict).toMatchObject({ ok: true, checkpoint: { ...checkpoint, ...change } })
    }
  })

  test('error: fields out of bounds', async () => {
    for (const bad of [
      { network: new Uint8Array(31) },
      { operator: new Uint8Array(21) },
      { root: new Uint8Array(0) },
      { shard: 2 ** 32 },
      { shard: -1 },
      { size: 0.5 },
      { size: 2 ** 53 },
      { time: 1_700_000_000_001 },
      { time: -1000 },
      { signer: createTestSigner(1, 'ES256K' satisfies Algorithm) },
    ])
      await expect(signCheckpoint({ ...checkpoint, signer, ...bad })).rejects.toThrow(
        InvalidCheckpointError,
      )
  })
})

describe('verifyCheckpoint', () => {
  test('default', async () => {
    const verdict = await verifyCheckpoint(signed, { network, operator, publicKey })
    expect(verdict).toMatchObject({ ok: true, checkpoint })
  })

  test('behavior: reasons', async () => {
    const other = createTestSigner(2).publicKey
    const reason = async (bytes: Uint8Array, options: Partial<verifyCheckpoint.Options>) => {
      const verdict = await verifyCheckpoint(bytes, { publicKey, ...options })
      return verdict.ok ? null : verdict.reason
    }
    const forged = signed.slice()
    forged[forged.length - 1]! ^= 1
    expect(await reason(forged, {})).toBe('signature')
    expect(await reason(signed.subarray(1), {})).toBe('malformed')
    expect(await reason(signed, { publicKey: other })).toBe('key')
    expect(await reason(signed, { publicKey: new Uint8Array(3) })).toBe('key')
    expect(await reason(signed, { network: new Uint8Array(32) })).toBe('network')
    expect(await reason(signed, { operator: new Uint8Array(20) })).toBe('operator')
    const now = checkpoint.time
    expect(await reason(signed, { now: now + 300_000 })).toBe(null)
    expect(await reason(signed, { now: now + 300_001 })).toBe('date')
    expect(await reason(signed, { now: now - 300_001 })).toBe('date')
    expect(await reason(signed, { now: now + 2, maxSkewMs: 1 })).toBe('date')
    expect(await reason(signed, { now: Number.NaN })).toBe('date')
  })

  test('behavior: every flipped bit fails', async () => {
    for (let bit = 0; bit < 8 * signed.length; bit++) {
      const bytes = signed.slice()
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      expect((await verifyCheckpoint(bytes, { network, operator, publicKey })).ok).toBe(false)
    }
  })

  test('error: what is not canonical is not decoded', () => {
    const hex = toHex(signed)
    for (const bytes of [
      new Uint8Array(0),
      signed.subarray(0, -1),
      concatBytes(signed, Uint8Array.of(0)),
      // untagged
      signed.subarray(1),
      // the size in two bytes
      fromHex(hex.replace('5885a7', '5886a7').replace('3a0001000207', '3a000100021807')),
      // the operator with a capital letter
      fromHex(
        hex.replace(Buffer.from('aabbcc').toString('hex'), Buffer.from('Aabbcc').toString('hex')),
      ),
      // shard and size swapped
      fromHex(hex.replace('3a00010001033a0001000207', '3a00010002073a0001000103')),
      // an unprotected header
      fromHex(hex.replace('a05820', 'a101015820')),
      // indefinite length
      fromHex(hex.replace('d284', 'd29f')),
    ])
      expect(() => decodeCheckpoint(bytes)).toThrow(MalformedCheckpointError)
  })
})

describe('receipts', () => {
  const receipt = (index: number) =>
    encodeReceipt({ checkpoint: signed, index, proof: log.inclusionProof(index) })

  test('default', async () => {
    for (const [index, id] of ids.entries()) {
      const verdict = await verifyReceipt(receipt(index), { id, network, operator, publicKey })
      expect(verdict).toEqual({ ok: true, checkpoint, index })
    }
  })

  test('behavior: the shape of RFC 9942', () => {
    const bytes = toHex(receipt(6))
    const path = log.inclusionProof(6)
    expect(path.length).toBe(64)
    const hashes = [path.subarray(0, 32), path.subarray(32)].map((h) => `5820${toHex(h).slice(2)}`)
    expect(bytes).toContain(`a119018ca12081584883070682${hashes.join('')}f65840`)
  })

  test('behavior: decodes to what was encoded', () => {
    const { root: _, ...rest } = decodeCheckpoint(signed)
    expect(decodeReceipt(receipt(2))).toEqual({ ...rest, index: 2, proof: log.inclusionProof(2) })
  })

  test('behavior: a log of one entry has an empty path', async () => {
    const one = createLog(ids[0])
    const bytes = encodeReceipt({
      checkpoint: await signCheckpoint({ ...checkpoint, root: one.root(), signer, size: 1 }),
      index: 0,
      proof: one.inclusionProof(0),
    })
    const verdict = await verifyReceipt(bytes, { id: ids[0]!, network, publicKey })
    expect(verdict.ok).toBe(true)
  })

  test('behavior: reasons', async () => {
    const good = { id: ids[2]!, network, publicKey }
    const reason = async (bytes: Uint8Array, options: Partial<verifyReceipt.Options>) => {
      const verdict = await verifyReceipt(bytes, { ...good, ...options })
      return verdict.ok ? null : verdict.reason
    }
    expect(await reason(receipt(2), {})).toBe(null)
    expect(await reason(receipt(2), { id: ids[3]! })).toBe('signature')
    expect(await reason(receipt(2), { id: new Uint8Array(31) })).toBe('inclusion')
    expect(await reason(receipt(2), { network: operator })).toBe('network')
    expect(await reason(receipt(2), { operator: network })).toBe('operator')
    expect(await reason(receipt(2), { publicKey: createTestSigner(2).publicKey })).toBe('key')
    expect(await reason(receipt(2), { now: checkpoint.time + 300_001 })).toBe('date')
    expect(await reason(signed, {})).toBe('malformed')
    expect(await reason(new Uint8Array(0), {})).toBe('malformed')
    const short = encodeReceipt({ checkpoint: signed, index: 2, proof: new Uint8Array(32) })
    expect(await reason(short, {})).toBe('inclusion')
  })

  test('behavior: every flipped bit fails', async () => {
    const bytes = receipt(5)
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const flipped = bytes.slice()
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      const verdict = await verifyReceipt(flipped, { id: ids[5]!, network, operator, publicKey })
      expect(verdict.ok).toBe(false)
    }
  })

  test('options: cache', async () => {
    const cache = createCheckpointCache({ maxEntries: 2 })
    let verified = 0
    const counting: typeof cache = {
      verify: (key, verify) =>
        cache.verify(key, () => {
          verified++
          return verify()
        }),
    }
    const options = { cache: counting, network, publicKey }
    const verdicts = await Promise.all(
      ids.map((id, index) => verifyReceipt(receipt(index), { ...options, id })),
    )
    expect(verdicts.every(({ ok }) => ok)).toBe(true)
    expect(verified).toBe(1)
    // A forgery is checked each time, and not remembered.
    for (let i = 0; i < 3; i++)
      expect((await verifyReceipt(receipt(2), { ...options, id: ids[3]! })).ok).toBe(false)
    expect(verified).toBe(4)
    await verifyReceipt(receipt(0), { ...options, id: ids[0]! })
    expect(verified).toBe(4)
    // Bounded: two newer checkpoints push out the first.
    for (const time of [1000, 2000]) {
      const later = await signCheckpoint({ ...checkpoint, signer, time })
      const bytes = encodeReceipt({ checkpoint: later, index: 0, proof: log.inclusionProof(0) })
      expect((await verifyReceipt(bytes, { ...options, id: ids[0]! })).ok).toBe(true)
    }
    expect(verified).toBe(6)
    await verifyReceipt(receipt(0), { ...options, id: ids[0]! })
    expect(verified).toBe(7)
  })

  test('error: what does not fit', () => {
    const proof = log.inclusionProof(0)
    expect(() => encodeReceipt({ checkpoint: signed, index: 7, proof })).toThrow(
      InvalidReceiptError,
    )
    expect(() => encodeReceipt({ checkpoint: signed, index: -1, proof })).toThrow(
      InvalidReceiptError,
    )
    expect(() => encodeReceipt({ checkpoint: signed, index: 0, proof: proof.subarray(1) })).toThrow(
      InvalidReceiptError,
    )
    expect(() =>
      encodeReceipt({ checkpoint: signed, index: 0, proof: new Uint8Array(32 * 54) }),
    ).toThrow(InvalidReceiptError)
    expect(() => encodeReceipt({ checkpoint: proof, index: 0, proof })).toThrow(
      MalformedCheckpointError,
    )
  })
})

describe('toCheckpoint', () => {
  test('behavior: a receipt is a checkpoint, for whoever has the entry', () => {
    for (const [index, id] of ids.entries()) {
      const bytes = encodeReceipt({ checkpoint: signed, index, proof: log.inclusionProof(index) })
      const receipt = decodeReceipt(bytes)
      expect(toCheckpoint(receipt, id)).toEqual(decodeCheckpoint(signed))
      expect(toCheckpoint(receipt, ids[(index + 1) % 7]!)).not.toEqual(decodeCheckpoint(signed))
      expect(toCheckpoint(receipt, id.subarray(1))).toBe(null)
      expect(toCheckpoint({ ...receipt, proof: new Uint8Array(0) }, id)).toBe(null)
    }
  })
})
