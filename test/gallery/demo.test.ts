import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { cheats, formatCheat } from '../../packages/cli/src/gallery/cheats.js'
import { runCli } from '../../packages/cli/test/runCli.js'

test('options: --cheat, for a program', { timeout: 60_000 }, async () => {
  const { code, stderr, stdout } = await runCli(['demo', '--cheat', 'inflate-value', '--json'])
  expect([code, stderr]).toEqual([0, ''])
  const report = JSON.parse(stdout)
  const [half, whole] = [5n * 10n ** 17n, 10n ** 18n]
  expect(report).toMatchObject({
    burned: `${half}`,
    caughtBy: 'step',
    kind: 'inflate-value',
    operatorBond: { after: '0', before: `${whole}` },
    slashed: true,
  })
  const { after, before } = report.challenger
  expect(BigInt(after) - BigInt(before)).toBe(half)
})

test('options: --cheat, for a person', { timeout: 60_000 }, async () => {
  const { code, stderr, stdout } = await runCli(['demo', '--cheat', 'omit-batch'])
  expect(code).toBe(0)
  for (const topic of ['operator', 'auditor', 'challenge', 'answer', 'slash', 'takeover', 'redeem'])
    expect(stderr).toMatch(new RegExp(`^${topic} `, 'm'))
  expect(stderr).toContain('anna walked 3,876 steps in 2 batches; in truth 5,814 in 3')
  expect(stdout).toContain('Caught by an omission challenge, and slashed.')
})

test('options: --cheat list', async () => {
  const { code, stdout } = await runCli(['demo', '--cheat', 'list'])
  expect(code).toBe(0)
  expect(stdout.trim().split('\n')).toHaveLength(cheats.length)
  expect(JSON.parse((await runCli(['demo', '--cheat', 'list', '--json'])).stdout)).toHaveLength(
    cheats.length,
  )
})

test('error: no such cheat', async () => {
  const { code, stderr } = await runCli(['demo', '--cheat', 'honesty'])
  expect(code).toBe(2)
  expect(stderr).toContain('There is no cheat "honesty"')
  for (const { kind } of cheats) expect(stderr).toContain(kind)
})

test('error: options of another demo', async () => {
  const { code, stderr } = await runCli(['demo', '--cheat', 'spam', '--csv', 'walk.csv'])
  expect(code).toBe(2)
  expect(stderr).toContain('leave out --csv')
})

test('behavior: the guide has all of them', () => {
  const guide = readFileSync(new URL('../../docs/guides/cheaters.md', import.meta.url), 'utf8')
  for (const cheat of cheats) expect(guide).toContain(`| \`${formatCheat(cheat)}\` |`)
})
