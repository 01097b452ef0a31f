import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  BaseError,
  compareBytes,
  concatBytes,
  equalBytes,
  fromHex,
  keccak256,
  sha256,
  toHex,
} from './index.js'

test('behavior: hex round trip', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(fromHex(toHex(bytes))).toEqual(bytes)
      expect(fromHex(toHex(bytes).slice(2).toUpperCase())).toEqual(bytes)
    }),
    { seed: 1 },
  )
  for (const text of ['0', '0x0', 'zz', '0xg0', '0x0 '])
    expect(() => fromHex(text)).toThrow('Not hex')
})

test('behavior: order and equality', () => {
  const bytes = fc.uint8Array({ maxLength: 4, max: 3 })
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(Math.sign(compareBytes(a, b))).toBe(Math.sign(Buffer.compare(a, b)))
      expect(equalBytes(a, b)).toBe(compareBytes(a, b) === 0)
    }),
    { seed: 1 },
  )
})

test('behavior: hashes', () => {
  const abc = new TextEncoder().encode('abc')
  expect(toHex(sha256(abc))).toBe(
    '0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  )
  expect(toHex(keccak256(abc))).toBe(
    '0x4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45',
  )
  expect(sha256(abc.slice(0, 1), new Uint8Array(), abc.slice(1))).toEqual(sha256(abc))
  expect(concatBytes(abc, abc.slice(1))).toEqual(new TextEncoder().encode('abcbc'))
})

test('error: message, cause, walk', () => {
  const cause = new TypeError('socket')
  const error = new BaseError('The node did not answer.', {
    kind: 'transport',
    cause,
    metaMessages: ['after 10 s'],
    docsPath: 'device#http',
  })
  expect(error.message).toBe('The node did not answer.\n\nafter 10 s\n\nDocs: device#http')
  expect(error.walk((e) => e instanceof TypeError)).toBe(cause)
  expect(error.walk((e) => e instanceof RangeError)).toBe(undefined)
})
