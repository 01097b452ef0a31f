import { defineSchema } from '@machinefi/telemetry'
import { describe, expect, test } from 'vitest'
import { findPositions, formatMetric, parseMetric } from './parseMetric.js'
import { parseSchema, toSchema } from './parseSchema.js'

const track = parseSchema('latitude:lat,longitude:lon,altitude:m:1', 1000)

describe('parseMetric', () => {
  test('default', () => {
    const schema = defineSchema({ fields: { steps: { unit: 'count' } }, id: 1 })
    expect(parseMetric('sum(steps, 0, 900)', schema)).toEqual({
      field: 0,
      max: 900,
      min: 0,
      type: 'sum',
    })
    expect(parseMetric('count()', schema)).toEqual({ type: 'count' })
    expect(parseMetric('coverage(10m)', schema)).toEqual({ intervalMs: 600_000, type: 'coverage' })
  })

  test.each([
    ['10', 10_000],
    ['2.5', 2_500],
    ['0.001', 1],
    ['8.333', 8_333],
  ])('behavior: distance no faster than %s m/s', (speed, maxSpeed) => {
    const metric = { latitude: 0, longitude: 1, maxSpeed, type: 'distance' }
    expect(parseMetric(`distance(latitude, longitude, ${speed})`, track)).toEqual(metric)
  })

  test.each([
    ['distance(latitude,longitude)', 'distance takes 3 arguments'],
    ['distance(latitude,latitude,10)', 'latitude and longitude are one field'],
    ['distance(north,longitude,10)', 'there is no field north'],
    ['distance(latitude,altitude,10)', 'altitude has 1 decimals where distance counts in 7'],
    ['distance(latitude,longitude,0)', '0 is no speed'],
    ['distance(latitude,longitude,-3)', '-3 is no speed'],
    ['distance(latitude,longitude,1.0005)', '1.0005 is no speed'],
    ['distance(latitude,longitude,fast)', 'fast is no speed'],
    ['distance(latitude,longitude,9007199254740.992)', 'is no speed'],
  ])('error: %s', (text, reason) => {
    expect(() => parseMetric(text, track)).toThrow(reason)
  })
})

test.each([
  'average(altitude)',
  'count()',
  'coverage(90s)',
  'distance(latitude,longitude,2.5)',
  'sum(altitude)',
  'sum(altitude,-10.5,8848.8)',
])('formatMetric: %s', (text) => {
  expect(formatMetric(parseMetric(text, track), track)).toBe(text)
})

test('findPositions', () => {
  expect(findPositions('distance(a,b,10)')).toEqual(['a', 'b'])
  expect(findPositions('sum(steps)')).toEqual([])
})

test('toSchema: units that are given go before those of a name', () => {
  const columns = [
    { name: 'y', scale: 7 },
    { name: 'longitude', scale: 7 },
    { name: 'note', scale: 2 },
  ]
  expect(toSchema(columns, 1000, { y: 'lat' }).fields).toEqual([
    { name: 'y', scale: 7, unit: 'lat' },
    { name: 'longitude', scale: 7, unit: 'lon' },
    { name: 'note', scale: 2, unit: '/' },
  ])
})
