import { openChallenge, readChallenges, readEpoch, readOperator } from '@machinefi/contracts'
import type { Challenge } from '@machinefi/proof'
import { parseEther } from 'viem'
import { expect, test } from 'vitest'
import { createChallenger } from '../../src/audit/createChallenger.js'
import { openAuditChain } from '../../src/audit/openAuditChain.js'
import { openAuditStore } from '../../src/audit/openAuditStore.js'
import type { Finding } from '../../src/audit/Verdict.js'
import { openScene, type Scene, times } from './openScene.js'
import { showLedger } from './showLedger.js'

const timeout = 60_000
const bond = parseEther('0.2')

/** A day with too much for one device in a ledger that is shown, and an auditor that sees it. */
async function openLie(t: Scene, options: Parameters<Scene['audit']>[0] = {}) {
  const auditor = await t.audit(options)
  await t.playDay(0)
  await auditor.sync()
  await t.endDay(0)
  const window = t.windowOf(0)
  const truth = await auditor.recompute(window)
  const entries = truth.entries.map((entry, slot) =>
    entry && slot === 1 ? { ...entry, cumulative: entry.cumulative + 5_000n } : entry,
  )
  const posted = await t.post(truth, { entries })
  showLedger(t, posted, entries)
  const { findings } = await auditor.check(window)
  return { auditor, posted, remedy: findings[0]!.remedy as Challenge, window }
}

/** Challenges as somebody who then does nothing any more. */
async function openAsOther(t: Scene, challenge: Challenge) {
  const window = t.windowOf(0)
  await openChallenge(t.connect(4), { attempt: 1, bond, challenge, network: t.network, window })
}

const passDeadline = async (t: Scene) => t.setTime(t.now + (times.responseTime + 60) * 1000)

/** Somebody else challenges the same, or something else, and does nothing more. */
async function upholdAnothers(other?: Challenge) {
  await using t = await openScene()
  const { auditor, remedy, window } = await openLie(t, { maxStake: 0n })
  await openAsOther(t, other ?? remedy)
  const [first] = await auditor.act()
  expect(first?.kind).toMatch(/left|short/)
  await passDeadline(t)
  // The time to challenge may be over meanwhile: what is open can still be upheld.
  await t.setTime(t.now + times.challengeWindow * 1000)
  expect(await auditor.act()).toMatchObject([
    { kind: 'upheld', sent: true, text: expect.stringContaining('who challenged'), window },
  ])
  expect(await auditor.act()).toEqual([])
  expect(await readChallenges(t.client, t)).toMatchObject([{ status: 'upheld' }])
  expect(await readEpoch(t.client, { ...t, window })).toMatchObject({ status: 'void' })
  expect(
    await readOperator(t.client, { ...t, operator: t.operator.account.address }),
  ).toMatchObject({ bond: 0n })
}

test('behavior: upholds what its challenger does not', { timeout }, async () => {
  await upholdAnothers()
})

test('behavior: upholds whatever its challenger does not', { timeout }, async () => {
  await upholdAnothers({ kind: 'step', slot: 0, step: 0 })
})

test('behavior: leaves what others challenged and was answered', { timeout }, async () => {
  await using t = await openScene()
  const { auditor, posted } = await openLie(t, { maxStake: 0n })
  await openAsOther(t, { kind: 'step', slot: 0, step: 0 })
  await auditor.act()
  expect(await t.answer(posted)).toBe(1)
  await passDeadline(t)
  expect(await auditor.act()).toMatchObject([{ kind: 'short' }])
})

test('error: too little money to uphold', { timeout }, async () => {
  await using t = await openScene()
  const { auditor, remedy } = await openLie(t)
  await openAsOther(t, remedy)
  await passDeadline(t)
  await t.anvil.request('anvil_setBalance', [t.connect(3).account.address, '0x1000'])
  const actions = await auditor.act()
  expect(actions[0]).toMatchObject({
    kind: 'short',
    sent: false,
    text: expect.stringContaining('It is not upheld: that takes gas'),
  })
  await t.anvil.request('anvil_setBalance', [t.connect(3).account.address, '0x56bc75e2d63100000'])
  expect(await auditor.act()).toMatchObject([{ kind: 'upheld' }])
})

test('behavior: a challenge that is refused keeps no other from being opened', {
  timeout,
}, async () => {
  await using t = await openScene()
  const { remedy, window } = await openLie(t, { client: t.connect(4) })
  const client = t.connect(3)
  const { deployment, fromBlock, network } = t
  const chain = await openAuditChain(client, { deployment, fromBlock, network })
  const store = openAuditStore({ directory: t.createFolder(), identity: { network: network.id } })
  const challenger = createChallenger({
    account: client.account,
    chain,
    client,
    clock: () => t.now,
    dryRun: false,
    fromBlock,
    maxStake: undefined,
    network,
    patienceMs: 0,
    store,
  })
  const toCertain = (remedy: Challenge): Finding => ({
    ...{ certain: true, remedy, text: 'It is wrong.', why: 'wrong-carry' },
  })
  const nowhere = { kind: 'carry', device: null, slot: 2 ** 20 } as const
  const findings = [nowhere, remedy].map(toCertain)
  const about = { attempt: 1, claims: 0, complete: true, final: false }
  const verdict = { ...about, findings, ok: false, window }
  try {
    expect(
      await challenger.act(async () => [{ epoch: chain.epochs()[0]!, verdict }]),
    ).toMatchObject([
      { kind: 'refused', text: expect.stringContaining('SlotOutOfBounds') },
      { kind: 'opened' },
    ])
  } finally {
    store.close()
  }
})
