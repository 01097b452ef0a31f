import { sha256 } from '@machinefi/core'
import { Decoder } from 'cbor-x'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeCbor, encodeCbor } from '../cbor/generic.js'
import {
  BatchError,
  checkRecords,
  decodeBatch,
  encodeBatch,
  encodeHeader,
  encodeProtected,
  encodeRows,
  type Row,
  rowAt,
  type Schema,
  type SignedBatch,
} from '../index.js'

/**
 * The strict codec against the general one: what it writes, cbor-x reads; what it accepts is what
 * cbor-x reads, in the one encoding that there is for it.
 */

type Sample = { bytes: Uint8Array; schema: Schema; rows: Row[] }

const int = fc.oneof(
  fc.integer({ min: -300, max: 300 }),
  fc.maxSafeInteger(),
  fc.constantFrom(
    0,
    23,
    24,
    -24,
    -25,
    255,
    256,
    65_535,
    65_536,
    2 ** 32 - 1,
    2 ** 32,
    -(2 ** 32) - 1,
  ),
)
const uint = int.map(Math.abs)
const dt = fc.oneof(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 2 ** 33 }))

const sample: fc.Arbitrary<Sample> = fc
  .record({
    algorithm: fc.constantFrom('ES256' as const, 'ES256K' as const),
    device: fc.uint8Array({ minLength: 20, maxLength: 20 }),
    signature: fc.uint8Array({ minLength: 64, maxLength: 64 }),
    commitment: fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 })),
    id: uint,
    seq: uint,
    start: fc.oneof(fc.nat(), fc.integer({ min: 1.4e12, max: 2e12 })),
    tickMs: fc.constantFrom(1, 10, 1000, 60_000),
    fields: fc.constantFrom(1, 2, 3, 22),
    first: fc.nat({ max: 30 }),
  })
  .chain((head) => {
    const values = fc.array(fc.option(int), { minLength: head.fields, maxLength: head.fields })
    const steps = fc.array(fc.tuple(dt, values), { minLength: 1, maxLength: 12 })
    return steps.map((steps) => {
      const { algorithm, device, signature, commitment, id, seq, start, tickMs, fields } = head
      let time = start + (head.first - steps[0]![0]) * tickMs
      const rows = steps.map(([dt, values]) => {
        time += dt * tickMs
        return { time, values }
      })
      const records = encodeRows(rows, { tickMs, start })
      const payload = encodeHeader({
        schema: id,
        seq,
        start,
        span: time - start,
        count: rows.length,
        recordsHash: sha256(records),
        commitment,
      })
      const bytes = encodeBatch({
        protected: encodeProtected(algorithm, device),
        payload,
        signature,
        records,
      })
      const schema: Schema = {
        id,
        tickMs,
        fields: Array.from({ length: fields }, (_, i) => ({ name: `f${i}`, unit: 'm', scale: 0 })),
      }
      return { bytes, schema, rows }
    })
  })

test('behavior: valid batches are what cbor-x reads', () => {
  fc.assert(
    fc.property(sample, ({ bytes, schema, rows }) => {
      const batch = decodeBatch(bytes)
      expectSame(batch, bytes)
      const verdict = checkRecords(batch, schema)
      if (!verdict.ok) throw new Error(verdict.message)
      expect(rows.map((_, i) => rowAt(verdict.rows, i))).toEqual(rows)
      expectSameRows(batch, rows)
    }),
    { seed: 1, numRuns: 300 },
  )
})

const token = fc.constantFrom(
  0x00,
  0x17,
  0x18,
  0x19,
  0x1a,
  0x1b,
  0x1c,
  0x1f,
  0x20,
  0x37,
  0x38,
  0x3b,
  0x40,
  0x58,
  0x59,
  0x5b,
  0x5f,
  0x60,
  0x80,
  0x81,
  0x82,
  0x84,
  0x88,
  0x98,
  0x9f,
  0xa0,
  0xbf,
  0xc0,
  0xc2,
  0xd2,
  0xf4,
  0xf6,
  0xf7,
  0xf8,
  0xf9,
  0xfb,
  0xff,
)
const mutation = fc.record({
  // Most of a batch is hash and signature: aim at the structure too.
  position: fc.oneof(fc.nat(), fc.nat({ max: 60 }), fc.integer({ min: 60, max: 180 })),
  fromEnd: fc.boolean(),
  remove: fc.nat({ max: 3 }),
  insert: fc.array(fc.oneof(token, fc.nat({ max: 255 })), { maxLength: 3 }),
})

type Mutation = typeof mutation extends fc.Arbitrary<infer mutation> ? mutation : never

function mutate(bytes: Uint8Array, mutations: Mutation[]): Uint8Array {
  const result = [...bytes]
  for (const { position, fromEnd, remove, insert } of mutations) {
    const offset = position % (result.length + 1)
    result.splice(fromEnd ? result.length - offset : offset, remove, ...insert)
  }
  return Uint8Array.from(result)
}

const mutations = fc.array(mutation, { minLength: 1, maxLength: 2 })

test('behavior: mutated batches are refused, or canonical batches', () => {
  let accepted = 0
  fc.assert(
    fc.property(sample, mutations, ({ bytes }, mutations) => {
      const mutated = mutate(bytes, mutations)
      const batch = decoded(mutated)
      if (!batch) return
      accepted++
      expectSame(batch, mutated)
    }),
    { seed: 2, numRuns: 1500 },
  )
  expect(accepted).toBeGreaterThan(100)
})

test('behavior: mutated records are refused, or canonical rows', () => {
  let accepted = 0
  fc.assert(
    fc.property(sample, mutations, ({ bytes, schema, rows }, mutations) => {
      const original = decodeBatch(bytes)
      const records = mutate(original.records!, mutations)
      // Whatever the bytes are, the header describes the rows that a lenient reader finds.
      const header = { ...original.header, recordsHash: sha256(records) }
      const found = lenientRows(records)
      if (found) {
        header.count = found.length || 1
        const ticks = found.reduce((sum, [dt]) => sum + Number(dt), 0)
        if (ticks >= 0 && Number.isSafeInteger(header.start + ticks * schema.tickMs))
          header.span = ticks * schema.tickMs
      }
      const payload = encodeHeader(header)
      const batch = decodeBatch(encodeBatch({ ...original, payload, records }))
      const verdict = checkRecords(batch, schema)
      if (!verdict.ok) {
        expect(['records', 'fields']).toContain(verdict.reason)
        return
      }
      accepted++
      const { count } = verdict.rows
      const back = Array.from({ length: count }, (_, i) => rowAt(verdict.rows, i))
      expect(encodeRows(back, { tickMs: schema.tickMs, start: header.start })).toEqual(records)
      expectSameRows(batch, back)
      expect(rows.length).toBeGreaterThan(0)
    }),
    { seed: 3, numRuns: 1500 },
  )
  expect(accepted).toBeGreaterThan(100)
})

test('behavior: garbage is refused with a typed error', () => {
  const garbage = fc.array(fc.oneof(token, fc.nat({ max: 255 })), { maxLength: 100 })
  fc.assert(
    fc.property(garbage, (bytes) => {
      decoded(Uint8Array.from(bytes))
      decoded(Uint8Array.from([0x82, 0x84, ...bytes]))
    }),
    { seed: 4, numRuns: 1500 },
  )
})

function decoded(bytes: Uint8Array): SignedBatch | undefined {
  try {
    return decodeBatch(bytes)
  } catch (error) {
    expect(error).toBeInstanceOf(BatchError)
    return undefined
  }
}

const general = new Decoder({ mapsAsObjects: false, useRecords: false })
const plain = (bytes: Uint8Array) => general.decode(Buffer.from(bytes))

function expectSame(batch: SignedBatch, bytes: Uint8Array): void {
  const [[protectedBytes, unprotected, payload, signature], records] = plain(bytes)
  expect(unprotected).toEqual(new Map())
  expect(batch.protected).toEqual(new Uint8Array(protectedBytes))
  expect(batch.payload).toEqual(new Uint8Array(payload))
  expect(batch.signature).toEqual(new Uint8Array(signature))
  expect(batch.records).toEqual(records && new Uint8Array(records))
  expect(decodeCbor(batch.protected)).toEqual(
    new Map<number, unknown>([
      [1, batch.algorithm === 'ES256' ? -7 : -47],
      [4, batch.device],
    ]),
  )
  const { header } = batch
  const { schema, seq, start, span, count, recordsHash, commitment } = header
  expect(decodeCbor(batch.payload)).toEqual([
    1,
    schema,
    seq,
    start,
    span,
    count,
    recordsHash,
    commitment,
  ])
  // One encoding: writing what was read gives the same bytes, by our own hand and by cbor-x.
  expect(encodeHeader(header)).toEqual(batch.payload)
  expect(encodeBatch(batch)).toEqual(bytes)
  const parts = [batch.protected, new Map(), batch.payload, batch.signature]
  expect(encodeCbor([parts, batch.records])).toEqual(bytes)
}

function expectSameRows({ records }: SignedBatch, rows: Row[]): void {
  const found = decodeCbor(records!) as (number | null)[][]
  expect(found.map(([, ...values]) => values)).toEqual(rows.map(({ values }) => values))
  expect(encodeCbor(found)).toEqual(records)
}

function lenientRows(records: Uint8Array): number[][] | undefined {
  try {
    const rows = plain(records)
    return Array.isArray(rows) && rows.every(Array.isArray) ? rows : undefined
  } catch {
    return undefined
  }
}
