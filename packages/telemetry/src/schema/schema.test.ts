import { sha256, toHex } from '@machinefi/core'
import fc from 'fast-check'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { decodeCbor, encodeCbor } from '../cbor/generic.js'
import {
  assertSchema,
  decodeSchema,
  defineSchema,
  encodeSchema,
  InvalidSchemaError,
  MalformedSchemaError,
  maxFields,
  type Schema,
  schemaHash,
} from '../index.js'

const walker = defineSchema({ id: 1, tickMs: 1000, fields: { steps: { unit: 'count' } } })

describe('defineSchema', () => {
  test('default', () => {
    expect(walker).toEqual({
      id: 1,
      tickMs: 1000,
      fields: [{ name: 'steps', unit: 'count', scale: 0 }],
    })
    expectTypeOf(walker).toEqualTypeOf<Schema<'steps'>>()
  })

  test('behavior: fields keep their order', () => {
    const { fields } = defineSchema({
      id: 1,
      fields: { zeta: { unit: 'm' }, alpha: { unit: 's', scale: 3 }, constructor: { unit: 'A' } },
    })
    expect(fields.map(({ name }) => name)).toEqual(['zeta', 'alpha', 'constructor'])
  })

  const unit = { unit: 'm' }
  test.each([
    ['id', { id: -1, fields: { a: unit } }],
    ['id', { id: 1.5, fields: { a: unit } }],
    ['id', { id: 2 ** 32, fields: { a: unit } }],
    ['Tick', { id: 1, tickMs: 0, fields: { a: unit } }],
    ['Tick', { id: 1, tickMs: Number.NaN, fields: { a: unit } }],
    ['1 to 22 fields', { id: 1, fields: {} }],
    ['name ""', { id: 1, fields: { '': unit } }],
    ['name "1"', { id: 1, fields: { 1: unit } }],
    ['name "time"', { id: 1, fields: { time: unit } }],
    ['name "a b"', { id: 1, fields: { 'a b': unit } }],
    ['Unit ""', { id: 1, fields: { a: { unit: '' } } }],
    ['Unit "m s"', { id: 1, fields: { a: { unit: 'm s' } } }],
    ['Unit "°C"', { id: 1, fields: { a: { unit: '°C' } } }],
    ['Scale -1', { id: 1, fields: { a: { unit: 'm', scale: -1 } } }],
    ['Scale 16', { id: 1, fields: { a: { unit: 'm', scale: 16 } } }],
    ['Scale 0.5', { id: 1, fields: { a: { unit: 'm', scale: 0.5 } } }],
  ])('error: %s', (message, options) => {
    expect(() => defineSchema(options)).toThrow(InvalidSchemaError)
    expect(() => defineSchema(options)).toThrow(message)
  })

  test('error: too many fields, a name twice, no object', () => {
    const field = (name: string) => ({ name, unit: 'm', scale: 0 })
    const names = Array.from({ length: maxFields + 1 }, (_, i) => `f${i}`)
    const schema = (fields: unknown) => () => assertSchema({ id: 1, tickMs: 1, fields })
    expect(schema(names.map(field))).toThrow(InvalidSchemaError)
    expect(schema(names.slice(1).map(field))).not.toThrow()
    expect(schema([field('a'), field('a')])).toThrow('"a" is used twice')
    expect(schema([null])).toThrow(InvalidSchemaError)
    expect(schema('abc')).toThrow(InvalidSchemaError)
    expect(() => assertSchema(null)).toThrow(InvalidSchemaError)
  })
})

describe('encodeSchema', () => {
  test('default', () => {
    expect(toHex(encodeSchema(walker))).toBe('0x8401011903e8818365737465707365636f756e7400')
    expect(schemaHash(walker)).toEqual(sha256(encodeSchema(walker)))
  })

  const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9\-:./_]{0,63}$/).filter((n) => n !== 'time')
  const field = fc.record({
    name,
    unit: fc.stringMatching(/^[\x21-\x7e]{1,32}$/),
    scale: fc.nat({ max: 15 }),
  })
  const schema = fc.record({
    id: fc.nat({ max: 0xffffffff }),
    tickMs: fc.integer({ min: 1, max: 0xffffffff }),
    fields: fc.uniqueArray(field, { selector: (f) => f.name, minLength: 1, maxLength: maxFields }),
  })

  test('behavior: round trip, and equal to what cbor-x writes', () => {
    fc.assert(
      fc.property(schema, (schema) => {
        const bytes = encodeSchema(schema)
        expect(decodeSchema(bytes)).toEqual(schema)
        const fields = schema.fields.map(({ name, unit, scale }) => [name, unit, scale])
        expect(bytes).toEqual(encodeCbor([1, schema.id, schema.tickMs, fields]))
      }),
      { seed: 1 },
    )
  })

  test('behavior: mutated bytes are refused, or another canonical schema', () => {
    fc.assert(
      fc.property(schema, fc.nat(), fc.integer({ min: 1, max: 255 }), (schema, position, mask) => {
        const bytes = encodeSchema(schema)
        bytes[position % bytes.length]! ^= mask
        try {
          expect(encodeSchema(decodeSchema(bytes))).toEqual(bytes)
          expect(decodeCbor(bytes)).toBeDefined()
        } catch (error) {
          if (!(error instanceof InvalidSchemaError))
            expect(error).toBeInstanceOf(MalformedSchemaError)
        }
      }),
      { seed: 1, numRuns: 2000 },
    )
  })

  test('error: cut off, longer, another version', () => {
    const bytes = encodeSchema(walker)
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeSchema(bytes.subarray(0, length))).toThrow(MalformedSchemaError)
    expect(() => decodeSchema(Uint8Array.of(...bytes, 0))).toThrow('expected the end')
    const version = bytes.slice()
    version[1] = 2
    expect(() => decodeSchema(version)).toThrow('version 1')
  })
})
