import { concatBytes, equalBytes, publicKeyToAddress, type Signer, toHex } from '@machinefi/core'
import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { describe, expect, test } from 'vitest'
import {
  BatchError,
  batchId,
  checkRecords,
  decodeBatch,
  defineSchema,
  encodeBatch,
  encodeHeader,
  encodeProtected,
  type Header,
  InvalidBatchError,
  maxRecordsBytes,
  readBatch,
  rowAt,
  type Schema,
  signBatch,
  sigStructure,
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

const signer = createSigner('ES256')
const { publicKey } = signer
const rows = Array.from({ length: 60 }, (_, i) =>
  toRow(walker, { time: 1_700_000_000_000 + i * 60_000, steps: i % 7 === 0 ? null : i }),
)
const batch = await signBatch({ signer, network, schema: walker, seq: 3, rows })

describe.each(['ES256', 'ES256K'] as const)('%s', (algorithm) => {
  const signer = createSigner(algorithm)
  const { publicKey } = signer

  test('default', async () => {
    const signed = await signBatch({ signer, network, schema: walker, seq: 3, rows })
    const decoded = decodeBatch(signed.bytes)
    expect(decoded).toEqual(signed)
    expect(decoded.algorithm).toBe(algorithm)
    expect(toHex(decoded.device)).toBe(toHex(publicKeyToAddress(publicKey)))
    const { header } = decoded
    expect(header).toMatchObject({ schema: 1, seq: 3, count: 60, span: 59 * 60_000 })
    const verdict = await verifyBatch({ batch: decoded, network, publicKey, schema: walker })
    if (!verdict.ok) throw new Error(verdict.message)
    expect(rows.map((_, i) => rowAt(verdict.rows, i))).toEqual(rows)
  })

  test('behavior: both forms of s verify, the low one is sent', async () => {
    const signed = await signBatch({ signer, network, schema: walker, seq: 0, rows })
    const curve = algorithm === 'ES256' ? p256 : secp256k1
    const { r, s } = curve.Signature.fromBytes(signed.signature)
    expect(s <= curve.Point.Fn.ORDER >> 1n).toBe(true)
    const high = new curve.Signature(r, curve.Point.Fn.ORDER - s).toBytes()
    const bytes = encodeBatch({ ...signed, signature: high })
    const other = decodeBatch(bytes)
    expect((await verifyBatch({ batch: other, network, publicKey, schema: walker })).ok).toBe(true)
    expect(batchId(other, network)).toEqual(batchId(signed, network))
  })

  test('behavior: any byte changed is refused', async () => {
    const two = rows.slice(0, 2)
    const commitment = new Uint8Array(32).fill(9)
    const signed = await signBatch({
      signer,
      network,
      schema: walker,
      seq: 5,
      rows: two,
      commitment,
    })
    for (let i = 0; i < signed.bytes.length; i++) {
      const changed = signed.bytes.slice()
      changed[i]! ^= 1 << ((i * 5 + 3) % 8)
      let ok = false
      try {
        const verdict = await verifyBatch({
          batch: decodeBatch(changed),
          network,
          publicKey,
          schema: walker,
        })
        ok = verdict.ok
      } catch (error) {
        expect(error).toBeInstanceOf(BatchError)
      }
      expect(ok, `byte ${i}`).toBe(false)
    }
  })
})

describe('signBatch', () => {
  const sign = (options: Partial<signBatch.Options>) =>
    signBatch({ signer, network, schema: walker, seq: 0, rows, ...options })
  const row = (time: number, ...values: (number | null)[]) => ({ time, values })

  test.each<[string, Partial<signBatch.Options>]>([
    ['no rows', { rows: [] }],
    ['too many values', { rows: [row(0, 1, 2)] }],
    ['a row of another length', { rows: [row(0, 1), row(1000)] }],
    ['two rows at one time', { rows: [row(0, 1), row(0, 1)] }],
    ['times going back', { rows: [row(2000, 1), row(1000, 1)] }],
    ['off the tick', { rows: [row(0, 1), row(1500, 1)] }],
    ['a fraction', { rows: [row(0, 0.5)] }],
    ['too large a value', { rows: [row(0, 2 ** 53)] }],
    ['not a number', { rows: [row(0, Number.NaN)] }],
    ['a time before 1970', { rows: [row(-1000, 1)] }],
    ['a fraction of a ms', { rows: [row(0.5, 1)] }],
    ['a negative seq', { seq: -1 }],
    ['a large seq', { seq: 2 ** 53 }],
    ['a short network id', { network: new Uint8Array(31) }],
    ['a short commitment', { commitment: new Uint8Array(31) }],
  ])('error: %s', async (_name, options) => {
    await expect(sign(options)).rejects.toThrow(InvalidBatchError)
  })

  test('behavior: the largest numbers', async () => {
    const max = Number.MAX_SAFE_INTEGER
    const schema: Schema = { ...walker, tickMs: 1 }
    const rows = [row(0, max), row(max, -max)]
    const signed = await sign({ schema, rows, seq: max })
    const verdict = await verifyBatch({ batch: signed, network, publicKey, schema })
    if (!verdict.ok) throw new Error(verdict.message)
    expect([rowAt(verdict.rows, 0), rowAt(verdict.rows, 1)]).toEqual(rows)
    expect(signed.header).toMatchObject({ seq: max, start: 0, span: max })
  })
})

describe('decodeBatch', () => {
  test('behavior: views of the received bytes, no copies', () => {
    const padded = Buffer.concat([Buffer.alloc(3), batch.bytes, Buffer.alloc(2)])
    const { batch: decoded, end } = readBatch(padded, 3)
    expect(end).toBe(3 + batch.bytes.length)
    expect(decoded).toEqual(batch)
    for (const part of [
      'bytes',
      'protected',
      'payload',
      'signature',
      'records',
      'device',
    ] as const) {
      expect(decoded[part]!.buffer).toBe(padded.buffer)
      expect(Object.getPrototypeOf(decoded[part])).toBe(Uint8Array.prototype)
    }
  })

  test('behavior: a sequence of batches, and the envelope without its records', async () => {
    const bare = decodeBatch(encodeBatch({ ...batch, records: null }))
    expect(bare.records).toBeNull()
    expect(batchId(bare, network)).toEqual(batchId(batch, network))
    const sequence = concatBytes(batch.bytes, bare.bytes)
    const first = readBatch(sequence, 0)
    expect(first.batch).toEqual(batch)
    expect(readBatch(sequence, first.end)).toEqual({ batch: bare, end: sequence.length })
  })

  const header: Header = {
    schema: 1,
    seq: 2,
    start: 1000,
    span: 2000,
    count: 3,
    recordsHash: new Uint8Array(32),
    commitment: null,
  }
  const device = new Uint8Array(20)
  const parts = {
    protected: encodeProtected('ES256', device),
    payload: encodeHeader(header),
    signature: new Uint8Array(64),
    records: Uint8Array.of(0x80),
  }
  const good = encodeBatch(parts)
  // 82 84 58 19 <25> a0 58 <n> <payload> 58 40 <64> 41 80
  const at = { protected: 2, alg: 6, kid: 8, unprotected: 29, payload: 30, seq: 35 }
  const edit = (offset: number, remove: number, ...insert: number[]) =>
    concatBytes(good.subarray(0, offset), Uint8Array.from(insert), good.subarray(offset + remove))
  const withPayload = (change: (payload: number[]) => number[]) =>
    encodeBatch({ ...parts, payload: Uint8Array.from(change([...parts.payload])) })
  const replaced = (index: number, ...bytes: number[]) =>
    withPayload((payload) => payload.toSpliced(index, 1, ...bytes))
  const end = good.length

  test('the offsets of this test', () => {
    expect(decodeBatch(good).header).toEqual(header)
    expect([...good.subarray(at.alg, at.alg + 1), good[at.unprotected]]).toEqual([0x26, 0xa0])
    expect([...parts.payload.subarray(0, 5)]).toEqual([0x88, 1, 1, 2, 0x19])
  })

  const maxUint = [0x1b, 0x00, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]
  const tooLarge = [0x1b, 0x00, 0x20, 0, 0, 0, 0, 0, 0]
  test.each<[string, string, Uint8Array]>([
    ['nothing at all', 'truncated', new Uint8Array(0)],
    ['JSON', 'not-canonical', new TextEncoder().encode('{"steps":12}')],
    ['a tag around the pair', 'not-canonical', concatBytes(Uint8Array.of(0xd2), good)],
    ['an array of three', 'not-canonical', edit(0, 1, 0x83)],
    ['an array of indefinite length', 'not-canonical', edit(0, 1, 0x9f)],
    ['an array head in two bytes', 'not-canonical', edit(0, 1, 0x98, 0x02)],
    ['a tagged COSE_Sign1', 'not-canonical', edit(1, 1, 0xd2, 0x84)],
    ['a COSE_Sign1 of five', 'not-canonical', edit(1, 1, 0x85)],
    ['a protected header in text', 'not-canonical', edit(at.protected, 1, 0x78)],
    ['a long length of the protected header', 'not-canonical', edit(2, 2, 0x59, 0x00, 0x19)],
    ['a protected header in chunks', 'not-canonical', edit(2, 2, 0x5f)],
    ['a protected header too long', 'too-large', edit(2, 2, 0x58, 0x1b)],
    ['a protected header of one', 'not-canonical', edit(4, 1, 0xa1)],
    ['another first label', 'not-canonical', edit(5, 1, 0x02)],
    ['ES384', 'algorithm', edit(at.alg, 1, 0x38, 0x22)],
    ['EdDSA', 'algorithm', edit(at.alg, 1, 0x27)],
    ['ES256 in a longer form', 'algorithm', edit(at.alg, 1, 0x38, 0x06)],
    ['another second label', 'not-canonical', edit(7, 1, 0x05)],
    ['a kid of 19', 'not-canonical', edit(at.kid, 1, 0x53)],
    ['an unprotected header', 'not-canonical', edit(at.unprotected, 1, 0xa1, 0x04, 0x40)],
    ['a null payload', 'not-canonical', edit(at.payload, 2 + parts.payload.length, 0xf6)],
    ['a payload too long', 'too-large', edit(at.payload, 2, 0x58, 116)],
    ['a signature of 63', 'not-canonical', edit(end - 67, 2, 0x58, 0x3f)],
    ['a signature of text', 'not-canonical', edit(end - 68, 1, 0x78)],
    ['records of text', 'not-canonical', edit(end - 2, 1, 0x61)],
    ['records undefined', 'not-canonical', edit(end - 2, 2, 0xf7)],
    ['records as an array', 'not-canonical', edit(end - 2, 1)],
    ['records over the bound', 'too-large', edit(end - 2, 2, 0x5a, 0, 1, 0, 0)],
    ['records longer than the bytes', 'truncated', edit(end - 2, 2, 0x59, 0xff, 0xff)],
    ['records of 2^32 bytes', 'too-large', edit(end - 2, 2, 0x5b, 0, 0, 0, 1, 0, 0, 0, 0)],
    ['a byte after the end', 'not-canonical', edit(end, 0, 0)],
    ['version 2', 'version', replaced(1, 2)],
    ['version 0', 'version', replaced(1, 0)],
    ['version 1 in two bytes', 'not-canonical', replaced(1, 0x18, 1)],
    ['a header of seven', 'header', replaced(0, 0x87)],
    ['a header of indefinite length', 'header', replaced(0, 0x9f)],
    ['a seq in two bytes', 'not-canonical', replaced(3, 0x18, 2)],
    ['a seq in nine bytes', 'not-canonical', replaced(3, 0x1b, 0, 0, 0, 0, 0, 0, 0, 2)],
    ['a negative seq', 'header', replaced(3, 0x22)],
    ['a seq that is a float', 'header', replaced(3, 0xf9, 0x40, 0x00)],
    ['a seq that is a bignum', 'header', replaced(3, 0xc2, 0x41, 2)],
    ['a seq of null', 'header', replaced(3, 0xf6)],
    ['a seq of 2^53', 'header', replaced(3, ...tooLarge)],
    ['a reserved head', 'not-canonical', replaced(3, 0x1c)],
    ['no rows', 'header', replaced(10, 0)],
    ['a time beyond 2^53', 'header', withPayload((p) => p.toSpliced(7, 3, ...maxUint))],
    ['a short hash', 'header', withPayload((p) => p.toSpliced(12, 2, 31))],
    ['a hash of text', 'header', replaced(11, 0x78)],
    [
      'a commitment of 31',
      'header',
      withPayload((p) => [...p.slice(0, -1), 0x58, 31, ...Array(31).fill(0)]),
    ],
    ['a commitment of zero', 'header', withPayload((p) => [...p.slice(0, -1), 0])],
    ['bytes after the header', 'header', withPayload((p) => [...p, 0])],
    ['a header cut off', 'header', withPayload((p) => p.slice(0, -1))],
    ['an empty header', 'header', withPayload(() => [])],
  ])('error: %s is %s', (_name, reason, bytes) => {
    expect(() => decodeBatch(bytes)).toThrow(BatchError)
    expect(() => decodeBatch(bytes)).toThrow(expect.objectContaining({ reason }))
  })

  test('error: cut off anywhere', () => {
    for (let length = 0; length < good.length; length++)
      expect(() => decodeBatch(good.subarray(0, length)), `${length} bytes`).toThrow(
        expect.objectContaining({ reason: 'truncated', kind: 'integrity' }),
      )
  })

  test('encodeBatch: error', () => {
    const records = new Uint8Array(maxRecordsBytes + 1)
    expect(() => encodeBatch({ ...parts, records })).toThrow(InvalidBatchError)
    expect(() => encodeBatch({ ...parts, signature: new Uint8Array(63) })).toThrow(
      InvalidBatchError,
    )
    expect(() => encodeProtected('ES256', new Uint8Array(19))).toThrow(InvalidBatchError)
    for (const key of ['schema', 'seq', 'start', 'span', 'count'] as const)
      for (const value of [-1, 0.5, 2 ** 53])
        expect(() => encodeHeader({ ...header, [key]: value })).toThrow(InvalidBatchError)
    expect(() => encodeHeader({ ...header, count: 0 })).toThrow(InvalidBatchError)
    expect(() => encodeHeader({ ...header, start: 2 ** 53 - 1 })).toThrow(InvalidBatchError)
    const largest = decodeBatch(encodeBatch({ ...parts, records: records.subarray(1) }))
    expect(largest.records?.length).toBe(maxRecordsBytes)
  })
})

describe('verifyBatch', () => {
  const verify = (options: Partial<verifyBatch.Options>) =>
    verifyBatch({ batch, network, publicKey, schema: walker, ...options })
  const other = createSigner('ES256K').publicKey

  test('error: reasons', async () => {
    const bare = decodeBatch(encodeBatch({ ...batch, records: null }))
    const records = batch.records!.slice()
    records[records.length - 1]! ^= 1
    const altered = decodeBatch(encodeBatch({ ...batch, records }))
    const signature = batch.signature.slice()
    signature[0]! ^= 1
    const forged = decodeBatch(encodeBatch({ ...batch, signature }))
    const two = defineSchema({
      id: 1,
      tickMs: 1000,
      fields: { steps: { unit: 'count' }, more: { unit: 'm' } },
    })
    const cases: [string, Partial<verifyBatch.Options>][] = [
      ['key', { publicKey: other }],
      ['key', { publicKey: publicKey.subarray(1) }],
      ['schema', { schema: { ...walker, id: 2 } }],
      ['fields', { schema: two }],
      ['records', { schema: { ...walker, tickMs: 7 } }],
      ['records-missing', { batch: bare }],
      ['records-hash', { batch: altered }],
      ['signature', { batch: forged }],
      ['signature', { network: new Uint8Array(32) }],
    ]
    for (const [reason, options] of cases)
      expect(await verify(options), reason).toMatchObject({ ok: false, reason })
    expect((await verify({})).ok).toBe(true)
  })

  test('behavior: checkRecords looks at everything but the signature', () => {
    const forged = decodeBatch(encodeBatch({ ...batch, signature: new Uint8Array(64) }))
    expect(checkRecords(forged, walker).ok).toBe(true)
  })

  test('behavior: the network is part of what is signed', () => {
    expect(equalBytes(batchId(batch, network), batchId(batch, new Uint8Array(32)))).toBe(false)
    expect(() => sigStructure(batch, new Uint8Array(33))).toThrow(InvalidBatchError)
  })
})
