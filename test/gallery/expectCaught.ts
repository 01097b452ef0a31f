import { expect } from 'vitest'
import type { CheatReport } from '../../packages/cli/src/gallery/CheatReport.js'
import { parseCheat } from '../../packages/cli/src/gallery/cheats.js'
import { bond } from '../../packages/cli/src/gallery/openScene.js'
import { runCheat } from '../../packages/cli/src/gallery/runCheat.js'

/** What the fleet earns in two honest days, by name: computed by hand from the walks. */
export const earned = { anna: 11_088n, ben: 16_384n, chloe: 10_490n, dora: 0n, emil: 4_296n }

/**
 * Plays a cheat and expects what all of them have in common: the operator loses its whole bond, half
 * to the challenger and half to nobody, to the wei; the honest operator none of it; and the owners
 * get what they have earned, no more and no less.
 */
export async function expectCaught(name: string, caughtBy: string): Promise<CheatReport> {
  const report = await runCheat({ cheat: parseCheat(name) })
  const refuted = report.challenges
    .filter(({ status }) => status === 'answered')
    .reduce((sum, { stake }) => sum + stake, 0n)
  const [kind, variant = null] = name.split(':')
  expect(report).toMatchObject({ kind, slashed: true, variant })
  expect(report.caughtBy).toBe(caughtBy)
  expect(report.operatorBond).toEqual({ after: 0n, before: bond })
  expect(report.honestBond).toEqual({ after: bond, before: bond })
  expect(report.burned).toBe(bond / 2n + refuted / 2n)
  expect(report.challenger.after - report.challenger.before).toBe(bond / 2n - refuted)
  expect(report.operatorCredit).toEqual({ after: refuted / 2n, before: 0n })
  expectBalanced(report)
  // It pays to catch a cheat, the gas included.
  expect(report.challenger.after - report.gas.challenger).toBeGreaterThan(report.challenger.before)
  expectPaid(report)
  const [first, second, third] = report.epochs
  expect(report.epochs).toHaveLength(3)
  expect([first, second, third].map((epoch) => epoch?.status)).toEqual(['final', 'void', 'final'])
  expect([second?.attempt, third?.attempt, third?.window]).toEqual([1, 2, second?.window])
  expect(third?.operator).not.toBe(second?.operator)
  return report
}

/** Expects that what one has lost another one has, or nobody: no wei is left over. */
export function expectBalanced(report: CheatReport): void {
  const { burned, challenger, honestBond, operatorBond, operatorCredit } = report
  const gained = [challenger, honestBond, operatorBond, operatorCredit].map(
    ({ after, before }) => after - before,
  )
  expect(gained.reduce((sum, wei) => sum + wei, burned)).toBe(0n)
}

/** Expects that the owners have what they have earned. */
export function expectPaid({ redeemed }: CheatReport): void {
  expect(Object.fromEntries(redeemed.map(({ name, tokens }) => [name, tokens]))).toEqual(earned)
}
