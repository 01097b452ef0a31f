import { defineSchema } from '@machinefi/telemetry'
import { encodeSenml, parseSenml } from '@machinefi/telemetry/senml'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ProblemError } from '../http/openServer.js'
import { toReadings } from './toReadings.js'

const weather = defineSchema({
  id: 7,
  tickMs: 1000,
  fields: {
    temperature: { unit: 'Cel', scale: 2 },
    humidity: { unit: '%RH', scale: 1 },
  },
})
const now = Date.UTC(2026, 3, 13, 12)
const options = {
  lastTime: now - 60_000,
  maxAheadMs: 300_000,
  maxJumpMs: 86_400_000,
  maxReadings: 100,
  now,
  schema: weather,
}
const read = (pack: unknown) => toReadings(Buffer.from(JSON.stringify(pack)), options)

test('default: fields of one time are one reading, aligned to the tick', () => {
  const pack = [
    {
      bn: 'urn:dev:ow:10e2073a01080063/',
      bt: now / 1000 + 0.4,
      n: 'temperature',
      u: 'Cel',
      v: 20.5,
    },
    { n: 'humidity', u: '%RH', v: 40 },
    { n: 'temperature', t: 10, v: -3.25 },
  ]
  const readings = [
    { time: now, values: { humidity: 40, temperature: 20.5 } },
    { time: now + 10_000, values: { temperature: -3.25 } },
  ]
  expect(read(pack)).toEqual(readings)
  expect(toReadings(encodeSenml(parseSenml(JSON.stringify(pack))), options)).toEqual(readings)
})

test('default: without a time it is of now, or so long ago', () => {
  expect(read([{ n: 'humidity', v: 1 }])).toEqual([{ time: now, values: { humidity: 1 } }])
  expect(read([{ n: 'humidity', t: -30, v: 1 }])[0]!.time).toBe(now - 30_000)
})

test('behavior: whatever the bytes are, it is readings or a problem', () => {
  const names = fc.constantFrom('temperature', 'humidity', 'a:humidity', '', 'x', ':', '__proto__')
  const number = fc.oneof(fc.double(), fc.integer({ min: -100, max: 100 }), fc.constant(now / 1000))
  const plain = fc.record(
    {
      n: fc.constantFrom('temperature', 'humidity'),
      t: fc.integer({ min: -90, max: 400 }),
      v: fc.integer({ min: -100, max: 100 }),
    },
    { requiredKeys: ['n', 'v'] },
  )
  const odd = fc.record(
    {
      bn: names,
      bs: number,
      bt: number,
      bu: fc.constantFrom('Cel', 'm'),
      bv: number,
      bver: fc.integer({ min: 8, max: 11 }),
      n: names,
      s: number,
      t: number,
      u: fc.constantFrom('Cel', '%RH'),
      v: number,
      vb: fc.boolean(),
      vs: fc.string(),
    },
    { requiredKeys: [] },
  )
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.uint8Array({ maxLength: 64 }).map((bytes) => Uint8Array.of(0x81, 0xa2, ...bytes)),
    fc.json().map((text) => Buffer.from(text)),
    fc
      .array(fc.oneof({ arbitrary: plain, weight: 4 }, odd), { maxLength: 4 })
      .map((pack) => Buffer.from(JSON.stringify(pack))),
  )
  let taken = 0
  fc.assert(
    fc.property(body, (body) => {
      try {
        let before = options.lastTime
        for (const { time } of toReadings(body, options)) {
          expect(time % 1000).toBe(0)
          expect(time).toBeGreaterThan(before)
          before = time
        }
        taken++
      } catch (error) {
        if (!(error instanceof ProblemError)) throw error
        expect(['senml', 'time']).toContain(error.problem.reason)
      }
    }),
    { numRuns: 2000, seed: 8428 },
  )
  expect(taken).toBeGreaterThan(50)
})
