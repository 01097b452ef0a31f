import { openChallenge, readChallenge } from '@machinefi/contracts'
import { expect, test } from 'vitest'
import { parseCheat } from '../../packages/cli/src/gallery/cheats.js'
import { bond, dayMs, openScene } from '../../packages/cli/src/gallery/openScene.js'
import { playDays } from '../../packages/cli/src/gallery/playDays.js'
import { readBond } from '../../packages/cli/src/gallery/readMoney.js'
import { runCheat } from '../../packages/cli/src/gallery/runCheat.js'
import { expectBalanced, expectCaught, expectPaid } from './expectCaught.js'

// Answers that are not given, that come too late, and that are given to everything.

const timeout = 60_000

test('silence', { timeout }, async () => {
  const { challenges } = await expectCaught('silence', 'consistency')
  expect(challenges.every(({ answer }) => answer === null)).toBe(true)
})

test('silence:ledger', { timeout }, async () => {
  const { challenges } = await expectCaught('silence:ledger', 'step')
  // What is answered on chain leads to what cannot be.
  expect(challenges[0]).toMatchObject({ answer: 'accepted', kind: 'reveal' })
  expect(challenges.at(-1)).toMatchObject({ answer: 'WrongValue', kind: 'step' })
})

test('silence:crowd', { timeout }, async () => {
  const { challenges } = await expectCaught('silence:crowd', 'step')
  expect(challenges.filter(({ kind }) => kind === 'reveal')).toHaveLength(2)
})

test('late-answer', { timeout }, async () => {
  const { challenges } = await expectCaught('late-answer', 'consistency')
  expect(challenges.every(({ answer }) => answer === 'DeadlineOver')).toBe(true)
})

test('spam', { timeout }, async () => {
  const report = await runCheat({ cheat: parseCheat('spam') })
  const stakes = report.challenges.reduce((sum, { stake }) => sum + stake, 0n)
  expect(report.challenges.length).toBeGreaterThan(40)
  expect(new Set(report.challenges.map(({ kind }) => kind)).size).toBe(5)
  expect(report.challenges.every(({ status }) => status === 'answered')).toBe(true)
  expect(report).toMatchObject({ caughtBy: 'answers', kind: 'spam', slashed: false })
  expect(report.operatorBond).toEqual({ after: bond, before: bond })
  expect(report.challenger.before - report.challenger.after).toBe(stakes)
  expect(report.burned).toBe(stakes / 2n)
  expect(report.operatorCredit).toEqual({ after: stakes / 2n, before: 0n })
  expectBalanced(report)
  expect(report.epochs.map(({ attempt, status }) => [attempt, status])).toEqual([
    [1, 'final'],
    [1, 'final'],
  ])
  expectPaid(report)
})

test('behavior: an honest answer in the last second', { timeout }, async () => {
  const scene = await openScene({ firstDay: 20_000 * dayMs })
  try {
    const { client, network, node, operator } = scene
    const window = network.firstWindow + 1
    await playDays(scene, { url: scene.url })
    await node.settle()
    const { deadline, id } = await openChallenge(scene.connect(3), {
      attempt: 1,
      challenge: { kind: 'step', slot: 0, step: 2 },
      network,
      window,
    })
    // The next transaction is in the block one second later.
    await scene.setTime((deadline - 2) * 1000)
    await node.answer()
    expect(await readChallenge(client, { id, network })).toMatchObject({ status: 'answered' })
    expect((await client.getBlock()).timestamp).toBe(BigInt(deadline - 1))
    expect(await readBond(scene, operator.account.address)).toBe(bond)
  } finally {
    await scene.close()
  }
})
