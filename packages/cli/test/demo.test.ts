import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { DemoReport } from '../src/demo/runDemo.js'
import { runCli } from './runCli.js'

/** The report on stdout; amounts of the demo are all exact as numbers. */
function parseReport(stdout: string) {
  const report: DemoReport = JSON.parse(stdout)
  const claims = report.claims.map((claim) => ({
    ...claim,
    reward: Number(claim.reward),
    value: Number(claim.value),
  }))
  return { ...report, claims }
}

test('default: a simulated fleet, attacked and paid', { timeout: 120_000 }, async () => {
  const { code, stderr, stdout } = await runCli(['demo', '--devices', '4', '--days', '2', '--json'])
  expect(stderr).toBe('')
  expect(code).toBe(0)
  const report = parseReport(stdout)
  expect([report.devices, report.readings, report.claims.length]).toEqual([4, 4 * 2 * 1440, 8])
  const rewards = report.claims.map(({ reward }) => reward)
  expect(rewards.some((reward) => reward === 0)).toBe(true)
  expect(rewards.some((reward) => reward > 0)).toBe(true)
  for (const { reward, value } of report.claims) expect(reward).toBe(value < 10_000 ? 0 : value)
  const minted = rewards.reduce((sum, reward) => sum + reward, 0)
  expect([report.minted, report.totalSupply]).toEqual([minted, minted])
  for (const { balance, owner } of report.balances)
    expect(balance).toBe(
      report.claims.reduce((sum, claim) => sum + (claim.owner === owner ? claim.reward : 0), 0),
    )
  expect(report.attacks.map(({ counted, name, status }) => [name, status, counted])).toEqual([
    ['raise the steps of a batch', 422, false],
    ['raise the steps and mend the hash', 403, false],
    ['send a batch again', 200, false],
    ['sign with a key that is not registered', 403, false],
    ['bring a batch of another network', 403, false],
  ])
})

test('behavior: for a person, a table', { timeout: 120_000 }, async () => {
  const { code, stderr, stdout } = await runCli(['demo', '--devices', '2', '--days', '1'])
  expect(code).toBe(0)
  expect(stderr).toContain('5 tries refused, 0 counted')
  for (const text of ['walker-1', 'walker-2', 'bytes, ', 'gas', 'An attacker tried to'])
    expect(stdout).toContain(text)
})

const data = new URL('../../../../shared/data/fitbit/', import.meta.url)
const minutes = fileURLToPath(new URL('minute-steps.csv.gz', data))

describe.skipIf(!existsSync(minutes))('865,980 recorded minutes', () => {
  test('default: every day is what the trackers counted', { timeout: 600_000 }, async () => {
    const { code, stderr, stdout } = await runCli(['demo', '--csv', minutes, '--json'])
    expect(stderr).toBe('')
    expect(code).toBe(0)
    const report = parseReport(stdout)
    expect([report.devices, report.readings, report.batches]).toEqual([21, 865_980, 14_433])
    const days = readFileSync(new URL('daily-steps.csv', data), 'utf8').trim().split('\n').slice(1)
    const expected = days.map((line) => {
      const [device, day, sum] = line.split(',')
      return `${device} ${day} ${sum}`
    })
    const actual = report.claims.map(({ device, value, window }) => `${device} ${window} ${value}`)
    expect(actual.sort()).toEqual(expected.sort())
    expect(actual).toHaveLength(611)
    expect(report.claims.filter(({ reward }) => reward > 0)).toHaveLength(223)
    const rewards = report.claims.reduce((sum, { reward }) => sum + reward, 0)
    expect([report.minted, report.totalSupply]).toEqual([rewards, rewards])
    expect(report.wireBytes / report.readings).toBeLessThan(8)
  })
})

const walk = fileURLToPath(new URL('../../../../shared/data/gps/walk.csv', import.meta.url))

/** Metres on a sphere, in floating point. */
function haversine([lat1, lon1]: readonly number[], [lat2, lon2]: readonly number[]): number {
  const rad = (degrees = 0) => (degrees * Math.PI) / 180
  const a =
    Math.sin((rad(lat2) - rad(lat1)) / 2) ** 2 +
    Math.cos(rad(lat1)) * Math.cos(rad(lat2)) * Math.sin((rad(lon2) - rad(lon1)) / 2) ** 2
  return 2 * 6_371_008.8 * Math.asin(Math.sqrt(a))
}

describe.skipIf(!existsSync(walk))('a recorded walk', () => {
  test('default: its metres are paid, jumps of the receiver are not', {
    timeout: 120_000,
  }, async () => {
    const fixes = readFileSync(walk, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => {
        const [time, ...position] = line.split(',')
        return { position: position.map(Number), time: Date.parse(time as string) / 1000 }
      })
    const segments = fixes.slice(1).map((fix, i) => {
      const before = fixes[i] as typeof fix
      const metres = haversine(before.position, fix.position)
      return { jump: metres > 10 * (fix.time - before.time), metres }
    })
    const jumps = segments.filter(({ jump }) => jump)
    const walked = segments.reduce((sum, { jump, metres }) => sum + (jump ? 0 : metres), 0)
    expect([segments.length, jumps.length, Math.floor(walked)]).toEqual([907, 8, 12_497])

    const args = ['--csv', walk, '--metric', 'distance(latitude,longitude,10)']
    const run = await runCli(['demo', ...args, '--threshold', '5000', '--json'])
    expect([run.code, run.stderr]).toEqual([0, ''])
    const report = parseReport(run.stdout)
    expect([report.devices, report.readings]).toEqual([1, 908])
    expect(report.claims).toMatchObject([{ device: 'device', window: '2008-10-23' }])
    const [claim] = report.claims
    expect(Math.abs((claim?.value ?? 0) - walked)).toBeLessThan(walked / 1000)
    expect(claim).toMatchObject({ reward: 12_497, value: 12_497 })
    expect(report.minted).toBe(12_497)

    const person = await runCli(['demo', ...args, '--threshold', '5000'])
    expect(person.stdout).toMatch(/metres .*\n.*\n.*2008-10-23 +12,497 +12,497 +12,497/)
  })
})
