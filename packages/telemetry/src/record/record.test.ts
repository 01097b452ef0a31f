import fc from 'fast-check'
import { describe, expect, expectTypeOf, test } from 'vitest'
import {
  defineSchema,
  FieldCountError,
  formatScaled,
  fromRow,
  InvalidTimeError,
  InvalidValueError,
  type Row,
  toRow,
  toScaled,
  UnknownFieldError,
} from '../index.js'

describe('toScaled', () => {
  test.each([
    [0.1 + 0.2, 1, 3],
    [0.3, 1, 3],
    [1.1 * 3, 1, 33],
    [4.35 * 100, 0, 435],
    [1.005, 3, 1005],
    [-0, 3, 0],
    [-0.5, 1, -5],
    [2.9999999999999996, 0, 3],
    [1e-15, 15, 1],
    [2 ** 53 - 1, 0, 2 ** 53 - 1],
    [1 - 2 ** 53, 0, 1 - 2 ** 53],
    [99999999999999.9, 1, 999999999999999],
    ['0.3', 1, 3],
    ['0.30', 1, 3],
    ['+12.5', 1, 125],
    ['-12.50', 1, -125],
    ['007', 0, 7],
    ['-0', 0, 0],
    ['-0.000', 2, 0],
    ['0e99', 0, 0],
    ['1.2e-3', 4, 12],
    ['12E2', 0, 1200],
    ['9007199254740991', 0, 2 ** 53 - 1],
    ['-9007199254740.991', 3, 1 - 2 ** 53],
    ['0.100000000000000', 15, 1e14],
  ])('%s at scale %i is %i', (value, scale, expected) => {
    expect(toScaled(value, scale)).toBe(expected)
  })

  test.each([
    [0.35, 1, 'more decimals'],
    [0.30001, 1, 'more decimals'],
    [0.3000000000001, 1, 'more decimals'],
    [1e-16, 15, 'more decimals'],
    [5e-324, 15, 'more decimals'],
    [2 ** 53, 0, 'too large'],
    [-(2 ** 53), 0, 'too large'],
    [1e300, 15, 'too large'],
    [90071992547409.91, 2, 'needs exact decimal text'],
    [123456789012345.6, 1, 'needs exact decimal text'],
    [12345678901234.56, 1, 'more decimals'],
    [Number.NaN, 0, 'not a finite decimal'],
    [Number.POSITIVE_INFINITY, 0, 'not a finite decimal'],
    [Number.NEGATIVE_INFINITY, 0, 'not a finite decimal'],
    ['0.35', 1, 'more decimals'],
    ['0.3000000000000000001', 1, 'more decimals'],
    ['9007199254740992', 0, 'too large'],
    ['1e400', 0, 'too large'],
    ['1e999999999', 0, 'not a finite decimal'],
    ['1e-400', 15, 'more decimals'],
    [1, 16, 'cannot be scaled'],
    ['1', -1, 'cannot be scaled'],
    ['', 0, 'not a finite decimal'],
    [' 1', 0, 'not a finite decimal'],
    ['1,5', 1, 'not a finite decimal'],
    ['.5', 1, 'not a finite decimal'],
    ['0x10', 0, 'not a finite decimal'],
    ['NaN', 0, 'not a finite decimal'],
    ['1'.repeat(65), 0, 'not a finite decimal'],
  ])('error: %s at scale %i %s', (value, scale, message) => {
    expect(() => toScaled(value, scale, 'steps')).toThrow(InvalidValueError)
    expect(() => toScaled(value, scale, 'steps')).toThrow(message)
    expect(() => toScaled(value, scale, 'steps')).toThrow(`Field "steps": `)
    expect(() => toScaled(value, scale, 'steps')).toThrow(`at scale ${scale}`)
  })

  const scaled = fc.maxSafeInteger()
  const scale = fc.nat({ max: 15 })

  test('behavior: text is exact, whatever the digits', () => {
    fc.assert(
      fc.property(scaled, scale, fc.nat({ max: 5 }), (n, scale, zeros) => {
        const text = formatScaled(n, scale)
        expect(toScaled(text, scale)).toBe(n + 0)
        expect(toScaled(scale ? text + '0'.repeat(zeros) : text, scale)).toBe(n + 0)
        if (n % 10 !== 0 && scale > 0)
          expect(() => toScaled(text, scale - 1)).toThrow(InvalidValueError)
      }),
      { seed: 1, numRuns: 1000 },
    )
  })

  test('behavior: numbers of up to 15 digits come back', () => {
    const digits15 = fc.integer({ min: -(10 ** 15) + 1, max: 10 ** 15 - 1 })
    fc.assert(
      fc.property(digits15, scale, (n, scale) => {
        expect(toScaled(n / 10 ** scale, scale)).toBe(n + 0)
        expect(toScaled(Number(formatScaled(n, scale)), scale)).toBe(n + 0)
      }),
      { seed: 1, numRuns: 1000 },
    )
  })

  test('behavior: sums of a few decimals come out exact', () => {
    const cents = fc.integer({ min: 0, max: 1e9 })
    fc.assert(
      fc.property(fc.array(cents, { minLength: 1, maxLength: 4 }), (parts) => {
        const sum = parts.reduce((total, part) => total + part / 100, 0)
        expect(toScaled(sum, 2)).toBe(parts.reduce((total, part) => total + part, 0))
      }),
      { seed: 1, numRuns: 1000 },
    )
  })

  test('behavior: a number is never rounded by more than its own noise', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), scale, (value, scale) => {
        let result: number
        try {
          result = toScaled(value, scale)
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidValueError)
          return
        }
        expect(Number.isSafeInteger(result)).toBe(true)
        const back = result / 10 ** scale
        expect(Math.abs(back - value)).toBeLessThanOrEqual(Math.abs(value) * 6 * Number.EPSILON)
      }),
      { seed: 1, numRuns: 1000 },
    )
  })
})

describe('toRow', () => {
  const schema = defineSchema({
    id: 4,
    fields: { steps: { unit: 'count' }, temp: { unit: 'Cel', scale: 1 }, lux: { unit: 'lx' } },
  })

  test('default', () => {
    const row = toRow(schema, { time: 5, temp: '-1.5', steps: 3 })
    expect(row).toEqual({ time: 5, values: [3, -15, null] })
    const record = fromRow(schema, row)
    expect(record).toEqual({ time: 5, steps: 3, temp: -1.5, lux: null })
    expectTypeOf(record.temp).toEqualTypeOf<number | null>()
  })

  test('behavior: absent, null and undefined are null', () => {
    const values = [null, null, null]
    expect(toRow(schema, { time: 0 }).values).toEqual(values)
    expect(toRow(schema, { time: 0, steps: null, temp: undefined }).values).toEqual(values)
  })

  test('behavior: a name that every object has', () => {
    const odd = defineSchema({ id: 5, fields: { constructor: { unit: 'm' } } })
    expect(toRow(odd, { time: 0 } as never).values).toEqual([null])
    expect(toRow(odd, { time: 0, constructor: 1 } as never).values).toEqual([1])
    expect(() => toRow(schema, { time: 0, constructor: 1 } as never)).toThrow(UnknownFieldError)
  })

  test('error: unknown field', () => {
    // @ts-expect-error: the type knows the fields
    expect(() => toRow(schema, { time: 0, stepz: 3 })).toThrow(UnknownFieldError)
    // @ts-expect-error
    expect(() => toRow(schema, { time: 0, stepz: 3 })).toThrow('It has: steps, temp, lux.')
  })

  test('error: values', () => {
    expect(() => toRow(schema, { time: 0, temp: 0.35 })).toThrow('Field "temp": 0.35')
    // @ts-expect-error: a value is a number or text
    expect(() => toRow(schema, { time: 0, temp: true })).toThrow(InvalidValueError)
    // @ts-expect-error: not a bigint either
    expect(() => toRow(schema, { time: 0, temp: 1n })).toThrow(InvalidValueError)
  })

  test.each([-1, 0.5, 2 ** 53, Number.NaN, '5'])('error: time %s', (time) => {
    expect(() => toRow(schema, { time: time as number })).toThrow(InvalidTimeError)
  })

  test('error: a row of another length', () => {
    const row: Row = { time: 0, values: [1] }
    expect(() => fromRow(schema, row)).toThrow(FieldCountError)
  })
})
