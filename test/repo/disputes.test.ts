import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cheats, formatCheat } from '../../packages/cli/src/gallery/cheats.js'
import { root } from './packages.js'

// What the page on disputes says in numbers, and by which tests it says it.

const page = readFileSync(join(root, 'docs/protocol/disputes.md'), 'utf8')

describe('gas', () => {
  const gas: Record<string, string> = JSON.parse(
    readFileSync(join(root, 'packages/contracts/snapshots/Gas.json'), 'utf8'),
  )
  const rows = [
    ...page.matchAll(/^\| [^|]+ \| `([^`]+)` \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$/gm),
  ]

  test.each(rows.map(([, key, ...shown]) => ({ key, shown })))('$key', ({ key, shown }) => {
    const other = (how: string) => gas[`${key}, ${how}`] ?? gas[key!]
    expect(shown.map((number) => number.replaceAll(',', ''))).toEqual([
      gas[key!],
      other('0x8001'),
      other('no precompile'),
    ])
  })

  test('behavior: all of them', () => {
    const actions = Object.keys(gas).filter((key) =>
      /^(answer|challenge|prove|refund|uphold|withdraw)/.test(key),
    )
    const plain = actions.filter((key) => !/, (0x8001|no precompile|dearest, 1 row)$/.test(key))
    expect(rows.map(([, key]) => key).sort()).toEqual(plain.sort())
  })
})

describe('the attacker’s checklist', () => {
  const rows = [...page.matchAll(/^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)]
  const sources = ['test', 'packages']
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter(
          (file) => /\.test\.ts$|\.t\.sol$/.test(file) && !/node_modules|out\/|cache/.test(file),
        )
        .map((file) => readFileSync(join(root, folder, file), 'utf8')),
    )
    .join('\n')

  test('behavior: all of them', () => {
    expect(rows.map(([, number]) => Number(number))).toEqual(
      Array.from({ length: 31 }, (_, index) => index + 1),
    )
  })

  test.each(rows.map(([, number, attack, closed, tests]) => ({ number, attack, closed, tests })))(
    '$number. $attack is tried, or said to be open',
    ({ closed, tests }) => {
      const names = [...tests!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)
      if (names.length === 0) expect(closed).toContain('**open**')
      const known = new Set(cheats.map(formatCheat))
      for (const name of names)
        expect(
          known.has(name) ||
            sources.includes(`function ${name}(`) ||
            sources.includes(`test('${name}'`),
          name,
        ).toBe(true)
    },
  )
})
