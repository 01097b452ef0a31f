import {
  bondOperator,
  finalizeEpochs,
  listOperator,
  readChallenges,
  readConfig,
  readEpoch,
  readOperator,
  setConfig,
} from '@machinefi/contracts'
import { fromHex, toHex } from '@machinefi/core'
import { createNode } from '@machinefi/stream'
import { parseEther, zeroAddress } from 'viem'
import { expect, test } from 'vitest'
import type { AuditEvent, RecomputedEpoch } from '../../src/audit/index.js'
import { createSigner, walker } from '../createFakeChain.js'
import { dayMs, hourMs, openScene, type Scene, times } from './openScene.js'

const timeout = 60_000

/** A day that is posted with too much for one device, and an auditor that has its log. */
async function openLie(t: Scene, options: Parameters<Scene['audit']>[0] = {}) {
  const dataDir = options.dataDir ?? t.createFolder()
  const auditor = await t.audit({ ...options, dataDir })
  await t.playDay(0)
  await auditor.sync()
  await t.endDay(0)
  const truth = await auditor.recompute(t.windowOf(0))
  const posted = await t.post(truth, { entries: inflate(truth) })
  return { auditor, dataDir, posted, truth }
}

const inflate = (truth: RecomputedEpoch) =>
  truth.entries.map((entry, slot) =>
    entry && slot === 1 ? { ...entry, cumulative: entry.cumulative + 5_000n } : entry,
  )

const passDeadline = async (t: Scene) => t.setTime(t.now + (times.responseTime + 60) * 1000)

test('default: an honest operator', { timeout }, async () => {
  await using t = await openScene()
  const auditor = await t.audit()
  for (const day of [0, 1]) {
    await t.playDay(day)
    await t.endDay(day)
    await t.node.settle()
  }
  expect(await auditor.sync()).toMatchObject([{ batches: 24, problems: [], size: 24 }])
  expect(await auditor.windows()).toEqual([t.windowOf(0), t.windowOf(1)])
  for (const day of [1, 0])
    expect(await auditor.check(t.windowOf(day))).toEqual({
      attempt: 1,
      claims: 4,
      complete: true,
      final: day === 0,
      findings: [],
      ok: true,
      window: t.windowOf(day),
    })
  expect(await auditor.windows()).toEqual([])
  expect(await auditor.overview()).toEqual({
    expired: [],
    right: [t.windowOf(0), t.windowOf(1)],
    unchecked: [],
    void: [],
  })
  expect(await auditor.act()).toEqual([])
})

test('behavior: rows of final windows that have expired', { timeout }, async () => {
  await using t = await openScene()
  await t.playDay(0)
  await t.endDay(0)
  await t.node.settle()
  await t.setTime(t.now + 40 * dayMs)
  await finalizeEpochs(t.client, { network: t.network })
  await t.node.refresh()
  await t.node.settle()
  const auditor = await t.audit()
  await auditor.sync()
  const window = t.windowOf(0)
  expect(await auditor.overview()).toMatchObject({ expired: [window], right: [] })
  expect(await auditor.windows()).not.toContain(window)
  expect(await auditor.check(window)).toMatchObject({
    final: true,
    findings: [{ certain: false, remedy: null, why: 'expired' }],
    ok: false,
  })
})

test('behavior: windows without data, the last one first', { timeout }, async () => {
  await using t = await openScene()
  const auditor = await t.audit()
  await t.playDay(0)
  for (const day of [0, 1]) {
    await t.endDay(day)
    await t.node.settle()
  }
  await auditor.sync()
  expect(await auditor.check(t.windowOf(1))).toMatchObject({ claims: 4, ok: true })
  expect(await auditor.check(t.windowOf(0))).toMatchObject({ claims: 4, ok: true })
})

test('options: dryRun', { timeout }, async () => {
  await using t = await openScene()
  const { auditor } = await openLie(t, { dryRun: true })
  expect(await auditor.act()).toMatchObject([{ kind: 'opened', sent: false }])
  expect(await t.client.getTransactionCount({ address: t.connect(3).account.address })).toBe(0)
})

test('options: maxStake', { timeout }, async () => {
  await using t = await openScene()
  const { auditor } = await openLie(t, { maxStake: parseEther('0.05') })
  expect(await auditor.act()).toMatchObject([
    { kind: 'short', sent: false, text: expect.stringContaining('0 of at most 0.05') },
  ])
})

test('error: too little money', { timeout }, async () => {
  await using t = await openScene()
  await t.anvil.request('anvil_setBalance', [t.connect(3).account.address, '0x1000'])
  const { auditor } = await openLie(t)
  expect(await auditor.act()).toMatchObject([
    { kind: 'short', sent: false, text: expect.stringContaining('that takes 0.1 and gas') },
  ])
})

test.each(['the same', 'another'])(
  'behavior: goes on after a restart, with %s data directory',
  { timeout },
  async (which) => {
    await using t = await openScene()
    const { auditor, dataDir, posted } = await openLie(t)
    expect(await auditor.act()).toMatchObject([{ kind: 'opened' }])
    expect(await t.answer(posted)).toBe(1)
    await auditor.close()
    const next = await t.audit(which === 'the same' ? { dataDir } : {})
    await next.sync()
    // The root was revealed: what it did before is read from the chain.
    expect(await next.act()).toMatchObject([{ kind: 'opened', why: 'unknown-entry' }])
    await next.close()
    await passDeadline(t)
    const last = await t.audit(which === 'the same' ? { dataDir } : {})
    expect(await last.act()).toMatchObject([{ kind: 'upheld' }, { kind: 'withdrawn' }])
    expect(await last.act()).toEqual([])
  },
)

test('behavior: what was right for one epoch is not for another with its root', {
  timeout,
}, async () => {
  await using t = await openScene()
  const auditor = await t.audit()
  await t.playDay(0)
  await auditor.sync()
  await t.endDay(0)
  const truth = await auditor.recompute(t.windowOf(0))
  const before = await t.anvil.request('evm_snapshot')
  await t.post(truth)
  expect(await auditor.check(t.windowOf(0))).toMatchObject({ ok: true })
  // The chain takes it back, and has another one instead.
  await t.anvil.request('evm_revert', [before])
  await t.post(truth, { total: truth.ledger.total + 1_000n })
  await t.anvil.request('evm_mine')
  expect(await auditor.check(t.windowOf(0))).toMatchObject({
    findings: [{ certain: true, why: 'inflated-total' }],
    ok: false,
  })
  expect(await auditor.act()).toMatchObject([{ kind: 'opened', why: 'inflated-total' }])
})

test('behavior: an epoch that cannot be checked keeps no other from being challenged', {
  timeout,
}, async () => {
  await using t = await openScene()
  const events: AuditEvent[] = []
  const deployment = {
    ...t.deployment,
    metrics: { ...t.deployment.metrics, count: zeroAddress },
  }
  const full = await t.audit()
  const auditor = await t.audit({ deployment, onEvent: (event) => events.push(event) })
  await t.playDay(0)
  await full.sync()
  await auditor.sync()
  // The rules of the days after have a metric that this auditor does not know.
  const window = t.windowOf(0)
  const config = await readConfig(t.client, { network: t.network, window })
  await setConfig(t.client, {
    config: { ...config, metric: t.deployment.metrics.count, metricParams: '0x' },
    network: t.network,
  })
  await t.endDay(1)
  const truth = await full.recompute(window)
  await t.post(truth, { entries: inflate(truth) })
  const { depth } = truth.ledger
  await t.post(await full.recompute(t.windowOf(1), { parent: { depth, entries: inflate(truth) } }))
  await expect(auditor.act()).rejects.toThrow('does not know the metric')
  expect(await readChallenges(t.client, t)).toMatchObject([
    { status: 'open', window: t.windowOf(0) },
  ])
  expect(events).toMatchObject([{ type: 'checked' }, { type: 'acted' }])
})

test.each([
  ['no operator', { operator: { toString: 1 }, schema: walker, shard: 0 }],
  ['no shard', { operator: 'its own', schema: walker, shard: 1e300 }],
  ['no schema', { operator: null, schema: { fields: [null], id: 1, tickMs: 1 } }],
  ['nothing', null],
])('error: a node says %s', { timeout }, async (_, answer) => {
  await using t = await openScene()
  await t.playDay(0)
  await t.endDay(0)
  await t.node.settle()
  const auditor = await t.audit({ nodeUrl: [t.doorUrl, t.url] })
  t.door = (path, response) => {
    if (path !== '') return undefined
    const text = JSON.stringify(answer).replace('its own', t.operator.account.address)
    response.end(text)
    return true
  }
  expect(await auditor.sync()).toMatchObject([
    { batches: 0, problems: [expect.stringContaining('does not say')] },
    { batches: 12, problems: [] },
  ])
  expect(await auditor.check(t.windowOf(0))).toMatchObject({ ok: true })
})

test('behavior: two auditors race, and neither loses', { timeout }, async () => {
  await using t = await openScene()
  const { auditor, posted } = await openLie(t)
  const other = await t.audit({ client: t.connect(4) })
  await other.sync()
  const money = () =>
    Promise.all(
      [3, 4].map((index) => t.client.getBalance({ address: t.connect(index).account.address })),
    )
  const before = await money()
  const both = async () =>
    (await Promise.all([auditor.act(), other.act()])).map((actions) =>
      actions.map(({ kind }) => kind).filter((kind) => kind !== 'waiting'),
    )
  // Either may win a round; the other leaves it to it, and what is answered serves both.
  for (let round = 0; round < 2; round++) {
    expect((await both()).map((kinds) => kinds.join()).sort()).toEqual(['left', 'opened'])
    await t.answer(posted)
  }
  await passDeadline(t)
  const [a, b] = await both()
  expect([a, b].flat().filter((kind) => kind === 'upheld')).toHaveLength(1)
  await both()
  const open = await readChallenges(t.client, t)
  expect(open.map(({ status }) => status)).toEqual(['answered', 'upheld'])
  const after = await money()
  const gained = after.map((wei, i) => wei - before[i]!)
  // One has a quarter of the bond; a reveal that was answered cost whoever asked for it.
  expect(gained.every((wei) => wei > -parseEther('0.11'))).toBe(true)
  expect(gained[0]! + gained[1]!).toBeGreaterThan(parseEther('0.1'))
  expect(await auditor.act()).toEqual([])
})

test('behavior: a challenge on what another one voided comes back', { timeout }, async () => {
  await using t = await openScene()
  const { auditor, posted } = await openLie(t, { maxStake: parseEther('5') })
  const other = await t.audit({ client: t.connect(4) })
  await other.sync()
  expect(await auditor.act()).toMatchObject([{ kind: 'opened' }])
  await t.answer(posted)
  expect(await other.act()).toMatchObject([{ kind: 'opened' }])
  const { findings } = await auditor.check(t.windowOf(0))
  expect(findings).toHaveLength(1)
  await passDeadline(t)
  expect(await other.act()).toMatchObject([{ kind: 'upheld' }, { kind: 'withdrawn' }])
  expect(await auditor.act()).toEqual([])
  expect(await readEpoch(t.client, { ...t, window: t.windowOf(0) })).toMatchObject({
    status: 'void',
  })
})

test('options: sample', { timeout }, async () => {
  await using t = await openScene()
  const helper = await t.audit({ client: t.connect(4) })
  await t.playDay(0)
  await helper.sync()
  await t.endDay(0)
  const posted = await t.post(await helper.recompute(t.windowOf(0)))
  t.door = (path, response) => {
    response.writeHead(404).end()
    return path !== ''
  }
  const auditor = await t.audit({ sample: 3 })
  const asked = []
  for (let round = 0; round < 4; round++) {
    asked.push(...(await auditor.act()).filter(({ kind }) => kind === 'opened'))
    await t.answer(posted)
  }
  expect(asked).toHaveLength(3)
  expect(asked.every(({ why }) => why === 'sample')).toBe(true)
  // What is answered is not computed.
  expect(await auditor.check(t.windowOf(0))).toMatchObject({
    claims: 0,
    findings: [],
    ok: false,
    sampled: { answered: 3, open: 0, steps: null },
  })
  expect(
    await readOperator(t.client, { ...t, operator: t.operator.account.address }),
  ).toMatchObject({ bond: parseEther('1') })
})

test('behavior: a batch that was never shown is not taken for fraud', { timeout }, async () => {
  await using t = await openScene()
  const helper = await t.audit({ client: t.connect(4) })
  await t.playDay(0)
  await helper.sync()
  await t.endDay(0)
  const truth = await helper.recompute(t.windowOf(0))
  const posted = await t.post(truth)
  const hidden = truth.claim(2)!.batches[1]!
  t.door = async (path, response) => {
    const [, from] = /^\/log\/batches\?from=(\d+)/.exec(path) ?? []
    if (path.includes('/claims/') || path === `/log/batches/${hidden.index}`) {
      response.writeHead(404).end()
      return true
    }
    if (from === undefined || Number(from) > hidden.index) return false
    // The sequence ends before the one that is kept back, or has nothing in it.
    const upTo = `${t.url}/networks/${t.network.id}/log/batches?from=${from}&to=${hidden.index}`
    const answer = Number(from) < hidden.index ? await fetch(upTo) : undefined
    response.end(answer ? Buffer.from(await answer.arrayBuffer()) : undefined)
    return true
  }
  const auditor = await t.audit()
  expect(await auditor.sync()).toMatchObject([{ batches: 11, size: 12 }])
  const verdict = await auditor.check(t.windowOf(0))
  expect(verdict.ok).toBe(false)
  expect(verdict.findings.some(({ certain }) => certain)).toBe(false)
  // The operator shows it on chain, where everybody can read it.
  for (let round = 0; round < 8; round++) {
    await auditor.act()
    await t.answer(posted)
  }
  expect(await auditor.check(t.windowOf(0))).toMatchObject({ claims: 4, findings: [], ok: true })
  expect(
    await readOperator(t.client, { ...t, operator: t.operator.account.address }),
  ).toMatchObject({ bond: parseEther('1') })
})

test('behavior: a hand-over between operators', { timeout }, async () => {
  await using t = await openScene()
  const standby = t.connect(2)
  const logSigner = createSigner()
  await listOperator(t.client, { network: t.network, operator: standby.account.address })
  await bondOperator(standby, {
    logKey: toHex(logSigner.publicKey),
    network: t.network,
    value: parseEther('1'),
  })
  const node = await createNode({
    client: standby,
    clock: () => t.now,
    dataDir: t.createFolder(),
    deployment: t.deployment,
    logSigner,
    networks: [{ ...t.network, fromBlock: t.fromBlock, schemas: [walker] }],
    peers: [t.url],
  } as never)
  try {
    const url = await node.listen({ port: 0 })
    await t.playDay(0)
    await t.endDay(0)
    await t.node.settle()
    const walk = await t.sign({ day: 1, hour: 8, seq: 3 })
    await t.setTime(t.now + 12 * hourMs)
    await node.refresh()
    expect(await node.ingest(t.network.id, [walk.bytes])).toMatchObject([{ ok: true }])
    await t.endDay(1)
    await t.setTime(t.now + times.takeoverDelay * 1000)
    await node.settle()
    const auditor = await t.audit({ nodeUrl: [t.doorUrl, url] })
    expect(await auditor.sync()).toMatchObject([{ size: 12 }, { size: 1 }])
    const epoch = await readEpoch(t.client, { ...t, window: t.windowOf(1) })
    expect(epoch?.operator).toBe(standby.account.address.toLowerCase())
    for (const day of [0, 1])
      expect(await auditor.check(t.windowOf(day))).toMatchObject({ claims: 4, ok: true })
  } finally {
    await node.close()
  }
})

test('behavior: run follows, and stops', { timeout }, async () => {
  await using t = await openScene()
  const events: AuditEvent[] = []
  const auditor = await t.audit({ onEvent: (event) => events.push(event) })
  await t.playDay(0)
  await t.endDay(0)
  await t.node.settle()
  const stop = new AbortController()
  const running = auditor.run({ everyMs: 10, signal: stop.signal })
  await expect
    .poll(() => events.find(({ type }) => type === 'checked'), { timeout: 20_000 })
    .toMatchObject({ verdict: { claims: 4, ok: true } })
  stop.abort()
  await running
  expect(events.filter(({ type }) => type === 'failed')).toEqual([])
  expect(fromHex(t.network.id)).toHaveLength(32)
})
