import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readLines } from './readLines.js'

async function linesOf(chunks: readonly string[], maxBytes = 100) {
  const lines: [number, string][] = []
  const source = (async function* () {
    for (const chunk of chunks) yield new TextEncoder().encode(chunk)
  })()
  for await (const { bytes, number } of readLines(source, { maxBytes }))
    lines.push([number, new TextDecoder().decode(bytes)])
  return lines
}

test('default', async () => {
  expect(await linesOf(['a\nb', 'c\r\n', '\n\r\nd'])).toEqual([
    [1, 'a'],
    [2, 'bc'],
    [5, 'd'],
  ])
  expect(await linesOf([])).toEqual([])
  expect(await linesOf(['', '\n'])).toEqual([])
})

test('behavior: a line that is too long', async () => {
  expect(await linesOf(['123', '456', '789\n12\n', '1234', '\r', '\n1234\r'], 3)).toEqual([
    [1, '1234'],
    [2, '12'],
    [3, '1234'],
    [4, '1234'],
  ])
  expect(await linesOf(['123\r\n', '123\r'], 3)).toEqual([
    [1, '123'],
    [2, '123'],
  ])
})

test('behavior: cut anywhere', async () => {
  const text = fc.array(fc.constantFrom('a', 'bc', '\n', '\r\n', 'd'.repeat(9)), { maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(text, fc.integer({ min: 1, max: 5 }), async (parts, size) => {
      const whole = parts.join('')
      const chunks = whole.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
      expect(await linesOf(chunks)).toEqual(
        whole
          .split(/\r?\n/)
          .map((line, i): [number, string] => [i + 1, line])
          .filter(([, line]) => line !== ''),
      )
    }),
    { seed: 1 },
  )
})
