import { expect, test } from 'vitest'
import { createBoundedMap } from './createBoundedMap.js'

test('default', () => {
  const map = createBoundedMap<number>({ lifeMs: 60_000, maxBytes: 10_000 })
  map.set('a', 1, 10)
  map.set('a', 2, 20)
  expect(map.get('a')).toBe(2)
  map.remove('a')
  expect([map.get('a'), map.bytes]).toEqual([undefined, 0])
})

test('behavior: the oldest leave as soon as all are too large', () => {
  const map = createBoundedMap<number>({ lifeMs: 60_000, maxBytes: 10_000 })
  for (let i = 0; i < 10_000; i++) {
    map.set(`${i}`, i, i % 700)
    expect(map.bytes).toBeLessThanOrEqual(10_000)
  }
  expect(map.get('9999')).toBe(9_999)
  expect(map.get('0')).toBeUndefined()
})

test('behavior: an entry leaves when its time is over', () => {
  const map = createBoundedMap<number>({ lifeMs: 0, maxBytes: 10_000 })
  map.set('a', 1, 10)
  expect(map.get('a')).toBeUndefined()
})
