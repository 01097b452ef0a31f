import { concatBytes, fromHex, toHex } from '@machinefi/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc16 } from './crc16.js'
import { createFrameReader } from './createFrameReader.js'
import { decodeFrame, encodeFrame, type Frame, maxBodyBytes, maxFrameBytes } from './encodeFrame.js'

const frames: fc.Arbitrary<Frame> = fc.record({
  body: fc.uint8Array({ maxLength: 600, size: 'max' }),
  number: fc.nat({ max: 0xffff }),
  type: fc.nat({ max: 0xff }),
})

test('crc16: the check value of CRC-16/IBM-3740', () => {
  expect(crc16(new TextEncoder().encode('123456789'))).toBe(0x29b1)
})

describe('encodeFrame', () => {
  // The example of docs/protocol/serial.md.
  test.each([
    ['hello', { body: '0x0101', number: 0, type: 0x01 }, '0x00020101050101984d00'],
    ['reading', { body: '0x82000a', number: 1, type: 0x02 }, '0x000202030182040a079400'],
    [
      'register',
      { body: `0x${'00'.repeat(64)}`, number: 0, type: 0x85 },
      `0x000285${'01'.repeat(65)}03f7db00`,
    ],
    ['ack', { body: '0x', number: 1, type: 0x82 }, '0x0002820401898700'],
  ])('default: %s', (_, { body, ...frame }, bytes) => {
    expect(toHex(encodeFrame({ ...frame, body: fromHex(body) }))).toBe(bytes)
  })

  test('behavior: round trips, without a zero inside', () => {
    fc.assert(
      fc.property(frames, (frame) => {
        const bytes = encodeFrame(frame)
        expect([bytes[0], bytes.at(-1)]).toEqual([0, 0])
        const inside = bytes.slice(1, -1)
        expect(inside).not.toContain(0)
        expect(decodeFrame(inside)).toEqual(frame)
      }),
      { seed: 4 },
    )
  })

  test('behavior: the longest', () => {
    const body = new Uint8Array(maxBodyBytes).fill(1)
    const bytes = encodeFrame({ body, number: 0xffff, type: 0xff })
    expect(bytes.length).toBe(maxFrameBytes + 2)
    expect(createFrameReader().push(bytes)).toMatchObject([{ frame: { body } }])
  })

  test.each([
    { body: new Uint8Array(maxBodyBytes + 1), number: 0, type: 0 },
    { body: new Uint8Array(0), number: 0x10000, type: 0 },
    { body: new Uint8Array(0), number: 0, type: -1 },
  ])('error: out of bounds', (frame) => {
    expect(() => encodeFrame(frame)).toThrow('Not a frame')
  })
})

describe('decodeFrame', () => {
  test('behavior: a flipped bit is noticed', () => {
    const bytes = encodeFrame({ body: fromHex('0x82010a'), number: 1, type: 2 }).slice(1, -1)
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const spoilt = bytes.slice()
      spoilt[bit >> 3]! ^= 1 << (bit & 7)
      expect(decodeFrame(spoilt)).toBeUndefined()
    }
  })

  test('behavior: any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const frame = decodeFrame(bytes)
        if (frame !== undefined) expect(toHex(encodeFrame(frame).slice(1, -1))).toBe(toHex(bytes))
      }),
      { seed: 4 },
    )
  })
})

describe('createFrameReader', () => {
  test('behavior: however the bytes are cut, the frames are the same', () => {
    const pieces = fc.array(fc.oneof(frames, fc.uint8Array({ maxLength: 20, min: 1 })))
    fc.assert(
      fc.property(pieces, fc.array(fc.integer({ min: 1, max: 90 })), (pieces, cuts) => {
        const line = concatBytes(...pieces.map((x) => ('type' in x ? encodeFrame(x) : x)))
        const whole = createFrameReader().push(line)
        expect(whole.flatMap(({ frame }) => frame ?? [])).toEqual(
          pieces.filter((piece) => 'type' in piece),
        )
        const reader = createFrameReader()
        const found = []
        for (let at = 0, i = 0; at < line.length; i++) {
          const end = at + (cuts[i] ?? 100)
          found.push(...reader.push(line.slice(at, end)))
          at = end
        }
        expect(found).toEqual(whole)
      }),
      { seed: 4 },
    )
  })

  test('behavior: a stretch without end takes no more memory, and the next frame is found', () => {
    const reader = createFrameReader()
    const noise = new Uint8Array(1000).fill(0x55)
    for (let i = 0; i < 100; i++) expect(reader.push(noise)).toEqual([])
    const body = Uint8Array.of(1)
    expect(reader.push(encodeFrame({ body, number: 1, type: 2 }))).toMatchObject([
      { frame: undefined },
      { frame: { body, number: 1, type: 2 } },
    ])
  })

  test('behavior: a line that ends within a frame', () => {
    const reader = createFrameReader()
    const bytes = encodeFrame({ body: Uint8Array.of(1), number: 1, type: 2 })
    expect(reader.close()).toBe(false)
    reader.push(bytes.slice(0, 4))
    expect(reader.close()).toBe(true)
    expect(reader.push(bytes)).toHaveLength(1)
  })
})
