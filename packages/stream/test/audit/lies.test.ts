import {
  type Epoch,
  readChallenges,
  readEpoch,
  readOperator,
  readShownEntries,
} from '@machinefi/contracts'
import { concatBytes, fromHex } from '@machinefi/core'
import {
  type AnswerSource,
  buildTrace,
  createLog,
  type Entry,
  reward,
  signCheckpoint,
  type Trace,
} from '@machinefi/proof'
import { formatEther, type Hex, parseEther } from 'viem'
import { expect, test } from 'vitest'
import type { Action, Auditor, RecomputedEpoch } from '../../src/audit/index.js'
import { dayMs, hourMs, openScene, type Posted, type Scene, times } from './openScene.js'
import { showLedger } from './showLedger.js'

// An operator posts what is wrong. What is hidden from the auditor differs, and so does what it does.

const timeout = 60_000
const bond = parseEther('0.1')

/** One day of an honest fleet that an auditor has followed, and what is to be posted for it. */
async function openDay(t: Scene, day = 0): Promise<{ auditor: Auditor; truth: RecomputedEpoch }> {
  const auditor = await t.audit()
  for (let before = 0; before < day; before++) {
    await t.playDay(before)
    await t.endDay(before)
    await t.node.settle()
  }
  await t.playDay(day)
  await auditor.sync()
  await t.endDay(day)
  return { auditor, truth: await auditor.recompute(t.windowOf(day)) }
}

/** Auditor and operator take turns until nothing moves any more. */
async function play(
  t: Scene,
  auditor: Auditor,
  posted: Posted,
  change?: Parameters<Scene['answer']>[1],
): Promise<Action[]> {
  const actions: Action[] = []
  for (let round = 0; round < 40; round++) {
    actions.push(...(await auditor.act()).filter(({ kind }) => kind !== 'waiting'))
    if ((await t.answer(posted, change)) > 0) continue
    const open = (await readChallenges(t.client, t)).filter(({ status }) => status === 'open')
    if (open.length === 0) return actions
    await t.setTime(1000 * Math.max(...open.map(({ deadline }) => deadline)) + 1000)
  }
  throw new Error('It does not come to an end.')
}

const kinds = (actions: readonly Action[]) => actions.map(({ kind }) => kind)

async function expectSlashed(t: Scene, epoch: Epoch, actions: readonly Action[]) {
  const { bond } = await readOperator(t.client, { ...t, operator: t.operator.account.address })
  expect(bond).toBe(0n)
  expect(await readEpoch(t.client, { ...t, window: epoch.window })).toMatchObject({
    status: 'void',
  })
  expect(kinds(actions).at(-1)).toBe('withdrawn')
}

/** The same with one entry changed. */
function change(truth: RecomputedEpoch, slot: number, to: (entry: Entry) => Entry | null) {
  return truth.entries.map((entry, i) => (entry && i === slot ? to(entry) : entry))
}

test('carry, in a ledger that is shown: one challenge, nothing lost', { timeout }, async () => {
  await using t = await openScene()
  const { auditor, truth } = await openDay(t, 1)
  const entries = change(truth, 2, (entry) => ({ ...entry, cumulative: entry.cumulative + 5_000n }))
  const posted = await t.post(truth, { entries })
  showLedger(t, posted, entries)
  expect((await auditor.check(t.windowOf(1))).findings).toMatchObject([
    { certain: true, remedy: { kind: 'carry', slot: 2 }, slot: 2, why: 'wrong-carry' },
  ])
  const account = t.connect(3).account.address
  const before = await t.client.getBalance({ address: account })
  const actions = await play(t, auditor, posted)
  expect(kinds(actions)).toEqual(['opened', 'upheld', 'withdrawn'])
  await expectSlashed(t, posted.epoch, actions)
  // A quarter of the bond: half of a slash is burned, half of the rest is the challenger's.
  const gained = (await t.client.getBalance({ address: account })) - before
  expect(Number(formatEther(gained))).toBeCloseTo(Number(formatEther(actions[1]!.wei!)), 2)
  expect(gained).toBeGreaterThan(parseEther('0.2'))
})

test('step: a value that the trace does not end in', { timeout }, async () => {
  await using t = await openScene()
  const { auditor, truth } = await openDay(t)
  const entries = change(truth, 1, (entry) => ({
    ...entry,
    cumulative: entry.cumulative + 5_000n,
    value: entry.value + 5_000n,
  }))
  const posted = await t.post(truth, { entries })
  showLedger(t, posted, entries)
  const { findings } = await auditor.check(t.windowOf(0))
  expect(findings).toMatchObject([
    { certain: true, remedy: { kind: 'step', slot: 1, step: 2 }, why: 'wrong-value' },
  ])
  const actions = await play(t, auditor, posted)
  expect(kinds(actions)).toEqual(['opened', 'upheld', 'withdrawn'])
  await expectSlashed(t, posted.epoch, actions)
})

test('step: a value where there is no batch', { timeout }, async () => {
  await using t = await openScene({ devices: 2 })
  const auditor = await t.audit()
  const walks = [0, 1].map((seq) => t.sign({ device: 0, hour: 8 + seq, seq }))
  await t.setTime(t.now + 20 * 3_600_000)
  await t.deliver(...(await Promise.all(walks)))
  await auditor.sync()
  await t.endDay(0)
  const truth = await auditor.recompute(t.windowOf(0))
  const entries = change(truth, 1, (entry) => ({ ...entry, cumulative: 900n, value: 900n }))
  const posted = await t.post(truth, { entries })
  const actions = await play(t, auditor, posted)
  expect(actions.find(({ why }) => why === 'wrong-value')).toMatchObject({ kind: 'opened' })
  await expectSlashed(t, posted.epoch, actions)
})

/** Entries in which one slot has another trace, and the operator's own answers for it. */
function lieIn(
  truth: RecomputedEpoch,
  slot: number,
  {
    batches,
    steps,
    root,
    value,
  }: Pick<Trace, 'root' | 'steps' | 'value'> & {
    batches: NonNullable<ReturnType<AnswerSource['claim']>>['batches']
  },
) {
  const cumulative = reward({ ...truth.config, value })
  const entries = change(truth, slot, (entry) => ({
    ...entry,
    ...{ cumulative, steps, traceRoot: root, value },
  }))
  const asIf = (source: AnswerSource): AnswerSource => ({
    ...source,
    claim: (at) => {
      const claim = source.claim(at)
      return claim && at === slot ? { ...claim, batches } : claim
    },
  })
  return { asIf, entries }
}

/** Answers reach the disputes through a contract that passes calls on, and shows nothing of them. */
async function answerThroughContract(t: Scene) {
  const { disputes } = t.network
  const code: Hex = `0x602d8060095f395ff3365f5f375f5f365f5f73${disputes.slice(2)}5af115602557005b3d5f5f3e3d5ffd`
  const hash = await t.client.sendTransaction({ data: code })
  const { contractAddress } = await t.client.waitForTransactionReceipt({ hash })
  t.answerTo = contractAddress!
}

async function playOmission(t: Scene) {
  const { auditor, truth } = await openDay(t)
  const batches = truth.claim(3)!.batches.toSpliced(1, 1)
  const { asIf, entries } = lieIn(truth, 3, { batches, ...buildTrace({ ...truth, batches }) })
  const posted = await t.post(truth, { entries })
  const actions = await play(t, auditor, posted, asIf)
  // Down the ledger, to the entry, along the trace, and then what is missing there.
  expect(actions.map(({ why }) => why)).toContain('omitted-batch')
  await expectSlashed(t, posted.epoch, actions)
}

test('omission: a batch left out', { timeout }, async () => {
  await using t = await openScene()
  await playOmission(t)
})

test('omission: a batch left out, answered through a contract', { timeout }, async () => {
  await using t = await openScene()
  await answerThroughContract(t)
  await playOmission(t)
})

test('omission: a batch left out, and the one after it kept back', { timeout }, async () => {
  await using t = await openScene()
  const { truth } = await openDay(t)
  const { batches: all } = truth.claim(3)!
  const batches = all.toSpliced(1, 1)
  const { asIf, entries } = lieIn(truth, 3, { batches, ...buildTrace({ ...truth, batches }) })
  const posted = await t.post(truth, { entries })
  const hidden = all[2]!.index
  t.door = async (path, response) => {
    const [, from] = /^\/log\/batches\?from=(\d+)/.exec(path) ?? []
    if (path.includes('/claims/') || path === `/log/batches/${hidden}`) {
      response.writeHead(404).end()
      return true
    }
    if (from === undefined || Number(from) > hidden) return false
    const upTo = `${t.url}/networks/${t.network.id}/log/batches?from=${from}&to=${hidden}`
    const answer = Number(from) < hidden ? await fetch(upTo) : undefined
    response.end(answer ? Buffer.from(await answer.arrayBuffer()) : undefined)
    return true
  }
  const late = await t.audit({ client: t.connect(4) })
  expect(await late.sync()).toMatchObject([{ batches: 11, size: 12 }])
  const actions = await play(t, late, posted, asIf)
  expect(actions.map(({ why }) => why)).toContain('omitted-batch')
  await expectSlashed(t, posted.epoch, actions)
})

test('reveal: nothing is shown but the log, and everything is answered', { timeout }, async () => {
  await using t = await openScene({ devices: 40 })
  const { auditor, truth } = await openDay(t)
  const entries = change(truth, 37, (entry) => ({ ...entry, cumulative: entry.cumulative + 1n }))
  const posted = await t.post(truth, { entries })
  t.door = (path, response) => {
    response.writeHead(404).end()
    return path !== ''
  }
  const actions = await play(t, auditor, posted)
  // 64 slots are two rounds, each of which costs a bond; then the carry has no answer.
  expect(actions.map(({ kind, why }) => [kind, why])).toEqual([
    ['opened', 'unknown-entry'],
    ['opened', 'unknown-entry'],
    ['opened', 'unknown-entry'],
    ['upheld', undefined],
    ['withdrawn', undefined],
  ])
  await expectSlashed(t, posted.epoch, actions)
})

test('inflated total', { timeout }, async () => {
  await using t = await openScene()
  const { auditor, truth } = await openDay(t)
  const posted = await t.post(truth, { total: truth.ledger.total + 5_000n })
  const { findings } = await auditor.check(t.windowOf(0))
  expect(findings).toMatchObject([{ certain: true, why: 'inflated-total' }])
  await expectSlashed(t, posted.epoch, await play(t, auditor, posted))
})

test('withheld data: a liar is found without any', { timeout }, async () => {
  await using t = await openScene()
  const { truth } = await openDay(t, 1)
  // This one was away on the second day.
  const late = await t.audit({ client: t.connect(4) })
  const entries = change(truth, 2, (entry) => ({
    ...entry,
    cumulative: entry.cumulative + 5_000n,
    value: entry.value + 5_000n,
  }))
  t.door = (path, response) => {
    if (path === '' || path.startsWith(`/epochs/${t.windowOf(0)}`)) return false
    response.writeHead(404).end()
    return true
  }
  const posted = await t.post(truth, { entries })
  const verdict = await late.check(t.windowOf(1))
  expect(verdict).toMatchObject({ claims: 0, ok: false })
  expect(verdict.findings.every(({ certain, why }) => !certain && why === 'withheld-data')).toBe(
    true,
  )
  const actions = await play(t, late, posted)
  await expectSlashed(t, posted.epoch, actions)
  expect((await readShownEntries(t.client, { ...t, ...posted.epoch })).length).toBeGreaterThan(0)
})

test('withheld data: an honest operator that answers loses nothing', { timeout }, async () => {
  await using t = await openScene({ devices: 2 })
  const { truth } = await openDay(t)
  const posted = await t.post(truth)
  const late = await t.audit({ client: t.connect(4), maxStake: 6n * bond })
  t.door = (path, response) => {
    response.writeHead(404).end()
    return path !== ''
  }
  const actions = await play(t, late, posted)
  expect(kinds(actions).filter((kind) => kind === 'opened')).toHaveLength(6)
  expect(actions.at(-1)).toMatchObject({
    kind: 'short',
    text: expect.stringContaining('0.6 of at most 0.6'),
  })
  expect(
    await readOperator(t.client, { ...t, operator: t.operator.account.address }),
  ).toMatchObject({ bond: parseEther('1') })
  // Shown again, all is well.
  t.door = undefined
  await late.sync()
  expect(await late.check(t.windowOf(0))).toMatchObject({ claims: 2, ok: true })
})

test.each([
  ['an hour by default', undefined, 3600],
  ['as long as it is told', 1000_000, 1000],
  ['until half of the challenge window is over', 10 ** 12, times.challengeWindow / 2],
])('options: patienceMs: %s', { timeout }, async (_, patienceMs, seconds) => {
  await using t = await openScene({ devices: 1 })
  const { truth } = await openDay(t)
  await t.post(truth)
  const late = await t.audit({ client: t.connect(4), patienceMs })
  t.door = (path, response) => {
    response.writeHead(404).end()
    return path !== ''
  }
  const start = t.now
  for (const after of [0, seconds - 60]) {
    await t.setTime(start + after * 1000)
    expect(kinds(await late.act())).toEqual(['waiting'])
  }
  await t.setTime(start + (seconds + 60) * 1000)
  expect(kinds(await late.act())).toContain('opened')
})

test('withheld data: each step of a long trace has its turn, though every answer is late', {
  timeout,
}, async () => {
  await using t = await openScene({ devices: 2 })
  const helper = await t.audit({ client: t.connect(4), nodeUrl: t.url })
  for (let hour = 0; hour < 24; hour++) {
    await t.setTime(t.now + hourMs)
    await t.deliver(await t.sign({ hour, seq: hour }))
  }
  await helper.sync()
  await t.endDay(0)
  const truth = await helper.recompute(t.windowOf(0))
  // This one has seen nothing, and is shown nothing.
  const auditor = await t.audit()
  t.door = (path, response) => {
    if (path === '') return false
    response.writeHead(404).end()
    return true
  }
  const posted = await t.post(truth)
  for (let round = 0; round < 10; round++) {
    await auditor.act()
    const challenges = await readChallenges(t.client, t)
    const open = challenges.filter(({ status }) => status === 'open')
    if (open.length === 0) break
    await t.setTime(1000 * Math.min(...open.map(({ deadline }) => deadline)) - 60_000)
    expect(await t.answer(posted)).toBe(open.length)
  }
  const challenges = await readChallenges(t.client, t)
  const steps = challenges.flatMap(({ point }) =>
    point.kind === 'step' && point.slot === 0 && point.step < 24 ? [point.step] : [],
  )
  expect(steps.sort((a, b) => a - b)).toEqual(Array.from({ length: 24 }, (_, step) => step))
  expect(challenges.every(({ status }) => status === 'answered')).toBe(true)
})

test('fork: two heads of one size', { timeout }, async () => {
  await using t = await openScene()
  const { auditor, truth } = await openDay(t)
  const posted = await t.post(truth)
  const size = truth.logs[0]!.size
  const forged = await signCheckpoint({
    network: t.id,
    operator: fromHex(t.operator.account.address),
    root: new Uint8Array(32).fill(1),
    shard: 0,
    signer: t.logSigner,
    size,
    time: Math.floor(t.now / 1000) * 1000,
  })
  t.door = (path, response) => {
    if (path !== '/log/checkpoint') return false
    response.end(forged)
    return true
  }
  expect(await auditor.sync()).toMatchObject([{ contradiction: true }])
  expect((await auditor.check(t.windowOf(0))).findings[0]).toMatchObject({
    certain: true,
    remedy: { kind: 'fork' },
    why: 'forked-log',
  })
  const actions = await auditor.act()
  expect(kinds(actions)).toEqual(['proven', 'withdrawn'])
  await expectSlashed(t, posted.epoch, actions)
})

test('truncation: a log that ends before what was signed', { timeout }, async () => {
  await using t = await openScene()
  const { auditor } = await openDay(t)
  const truth = await auditor.recompute(t.windowOf(0), { logs: [{ shard: 0, size: 11 }] })
  const posted = await t.post(truth)
  expect((await auditor.check(t.windowOf(0))).findings).toMatchObject([
    { certain: true, remedy: { kind: 'truncation' }, why: 'truncated-log' },
  ])
  const actions = await auditor.act()
  expect(kinds(actions)).toEqual(['proven', 'withdrawn'])
  await expectSlashed(t, posted.epoch, actions)
})

test('truncation: told by a receipt alone', { timeout }, async () => {
  await using t = await openScene()
  await t.playDay(0)
  const batch = await t.sign({ device: 2, hour: 20, seq: 3 })
  await t.setTime(t.now + 5 * 3_600_000)
  const [outcome] = await t.node.ingest(t.network.id, [batch.bytes])
  if (!outcome?.ok) throw new Error('refused')
  await t.endDay(0)
  const helper = await t.audit({ client: t.connect(4) })
  await helper.sync()
  const truth = await helper.recompute(t.windowOf(0), { logs: [{ shard: 0, size: 12 }] })
  const posted = await t.post(truth)
  // This one is shown the log that was posted, and nothing after it.
  t.door = async (path, response) => {
    if (path !== '/log/checkpoint' && !path.startsWith('/log/checkpoints')) return false
    const base = `${t.url}/networks/${t.network.id}/log/checkpoint?size=12`
    response.end(Buffer.from(await (await fetch(base)).arrayBuffer()))
    return true
  }
  const auditor = await t.audit()
  await auditor.sync()
  expect(await auditor.check(t.windowOf(0))).toMatchObject({ claims: 4, ok: true })
  expect(await auditor.keep(outcome.receipt)).toBe(false)
  expect(
    await auditor.keep(outcome.receipt, { batch: posted.source.claim(0)!.batches[0]!.batch.bytes }),
  ).toBe(false)
  expect(await auditor.keep(outcome.receipt, { batch: batch.bytes })).toBe(true)
  const actions = await auditor.act()
  expect(kinds(actions)).toEqual(['proven', 'withdrawn'])
  await expectSlashed(t, posted.epoch, actions)
})

test.each(['shown', 'hidden'])('consistency: a log rewritten, %s', { timeout }, async (how) => {
  await using t = await openScene()
  const { auditor, truth } = await openDay(t)
  const ids = truth.log(0)!.ids()
  const other = createLog(concatBytes(ids.subarray(32), new Uint8Array(64).fill(7)))
  const head = { root: other.root(), shard: 0, size: other.size }
  t.door = (path, response) => {
    const [, from, to] = /^\/log\/entries\?from=(\d+)&to=(\d+)/.exec(path) ?? []
    if (!from || how === 'hidden') {
      response.writeHead(404).end()
      return path !== ''
    }
    response.end(other.ids(Number(from), Number(to)))
    return true
  }
  const posted = await t.post(truth, { logs: [head] })
  expect((await auditor.check(t.windowOf(0))).findings[0]).toMatchObject({
    certain: how === 'shown',
    remedy: { kind: 'checkpoint' },
    why: how === 'shown' ? 'rewritten-log' : 'withheld-data',
  })
  const actions = await play(t, auditor, posted)
  await expectSlashed(t, posted.epoch, actions)
})

test('equivocation: a device signs two batches with one seq', { timeout }, async () => {
  await using t = await openScene()
  const { auditor, truth } = await openDay(t)
  const again = await t.sign({ device: 1, hour: 20, seq: 2 })
  const [outcome] = await t.node.ingest(t.network.id, [again.bytes])
  expect(outcome).toMatchObject({ ok: false, problem: { reason: 'equivocation' } })
  await auditor.sync()
  expect(await auditor.act()).toMatchObject([{ kind: 'proven', why: 'equivocation' }])
  await t.node.refresh()
  await auditor.sync()
  expect(await auditor.act()).toEqual([])
  // It was paid for this day, and is no more for the next.
  await t.node.settle()
  expect(await auditor.check(t.windowOf(0))).toMatchObject({ claims: truth.claims, ok: true })
  await t.endDay(1)
  await t.node.settle()
  expect(await auditor.check(t.windowOf(1))).toMatchObject({ claims: 3, ok: true })
  expect(dayMs).toBe(86_400_000)
})
