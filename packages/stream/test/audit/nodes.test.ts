import { setTimeout as sleep } from 'node:timers/promises'
import {
  bondOperator,
  listOperator,
  readChallenges,
  readConfig,
  setConfig,
} from '@machinefi/contracts'
import { fromHex, toHex } from '@machinefi/core'
import { signCheckpoint } from '@machinefi/proof'
import { defineSchema, schemaHash } from '@machinefi/telemetry'
import { parseEther } from 'viem'
import { expect, test } from 'vitest'
import { createSigner, walker } from '../createFakeChain.js'
import { hourMs, openScene, type Scene, times } from './openScene.js'

// What nodes say of themselves and of the network, or how they say it, is not what it should be.

const timeout = 60_000

const change = async (t: Scene, make: (answer: Record<string, unknown>) => unknown) => {
  t.door = async (path, response) => {
    if (path !== '') return false
    const answer = await (await fetch(`${t.url}/networks/${t.network.id}`)).json()
    response.end(JSON.stringify(make(answer as Record<string, unknown>)))
    return true
  }
}

test.each([
  ['another schema', { ...walker, id: 7 }],
  ['a schema of the same id', { ...walker, tickMs: walker.tickMs + 1 }],
  ['no schema', undefined],
])('behavior: a node shows %s', { timeout }, async (_, schema) => {
  await using t = await openScene()
  await change(t, (answer) => ({ ...answer, schema }))
  const auditor = await t.audit()
  await t.playDay(0)
  await auditor.sync()
  await t.endDay(0)
  const truth = await auditor.recompute(t.windowOf(0))
  expect(truth).toMatchObject({ claims: 4, schema: { id: walker.id, tickMs: walker.tickMs } })
  const entries = truth.entries.map(
    (entry, slot) => entry && { ...entry, cumulative: entry.cumulative + (slot === 1 ? 1n : 0n) },
  )
  await t.post(truth, { entries })
  expect(await auditor.act()).toMatchObject([{ kind: 'opened' }])
  expect(await readChallenges(t.client, t)).toMatchObject([{ status: 'open' }])
})

test('behavior: the schema changes while an auditor follows', { timeout }, async () => {
  await using t = await openScene()
  const auditor = await t.audit()
  await t.playDay(0)
  const config = await readConfig(t.client, { network: t.network, window: t.windowOf(0) })
  const next = defineSchema({ id: 9, fields: { laps: { unit: 'count' } } })
  await setConfig(t.client, {
    config: {
      ...config,
      fields: next.fields.length,
      schema: BigInt(next.id),
      schemaHash: toHex(schemaHash(next)),
      tickMs: next.tickMs,
    },
    network: t.network,
  })
  await t.endDay(1)
  await auditor.sync()
  await t.post(await auditor.recompute(t.windowOf(0)))
  expect(await auditor.check(t.windowOf(0))).toMatchObject({ claims: 4, ok: true })
  // No batch is of the new one.
  const truth = await auditor.recompute(t.windowOf(1))
  expect(truth).toMatchObject({ claims: 4, schema: { id: 9, tickMs: 1 } })
  expect(truth.entries.map((entry) => entry?.value)).toEqual([0n, 0n, 0n, 0n])
  await t.post(truth)
  expect(await auditor.check(t.windowOf(1))).toMatchObject({ claims: 4, ok: true })
})

test('behavior: a receipt counts, however many heads a node shows', { timeout }, async () => {
  await using t = await openScene()
  await t.playDay(0)
  const batch = await t.sign({ device: 2, hour: 20, seq: 3 })
  await t.setTime(t.now + 5 * hourMs)
  const [outcome] = await t.node.ingest(t.network.id, [batch.bytes])
  if (!outcome?.ok) throw new Error('refused')
  await t.endDay(0)
  const helper = await t.audit({ client: t.connect(4) })
  await helper.sync()
  const logs = [{ shard: 0, size: 12 }]
  await t.post(await helper.recompute(t.windowOf(0), { logs }))
  let shown = 0
  t.door = async (path, response) => {
    if (path === '/log/checkpoint') {
      const base = `${t.url}/networks/${t.network.id}/log/checkpoint?size=12`
      response.end(Buffer.from(await (await fetch(base)).arrayBuffer()))
      return true
    }
    if (!path.startsWith('/log/checkpoints')) return false
    // Of logs that nobody has, and dated so that they prove nothing for a long time.
    const heads = Array.from({ length: 16 }, () =>
      signCheckpoint({
        network: t.id,
        operator: fromHex(t.operator.account.address),
        root: new Uint8Array(32).fill(1),
        shard: 0,
        signer: t.logSigner,
        size: 2 ** 50 + shown++,
        time: Date.UTC(2100, 0, 1),
      }),
    )
    response.end(Buffer.concat(await Promise.all(heads)))
    return true
  }
  const auditor = await t.audit()
  for (let round = 0; round < 18; round++) {
    await t.setTime(t.now + 61_000)
    await auditor.sync()
  }
  expect(shown).toBeGreaterThan(256)
  expect(await auditor.check(t.windowOf(0))).toMatchObject({ claims: 4, ok: true })
  expect(await auditor.keep(outcome.receipt, { batch: batch.bytes })).toBe(true)
  expect(await auditor.act()).toMatchObject([
    { kind: 'proven', text: expect.stringContaining('is slashed') },
    { kind: 'withdrawn' },
  ])
})

test('behavior: the only node is of another operator than the one that posted', {
  timeout,
}, async () => {
  await using t = await openScene()
  const standby = t.connect(2)
  await listOperator(t.client, { network: t.network, operator: standby.account.address })
  await bondOperator(standby, {
    logKey: toHex(createSigner().publicKey),
    network: t.network,
    value: parseEther('1'),
  })
  await t.playDay(0)
  await t.endDay(0)
  await t.node.settle()
  await change(t, (answer) => ({ ...answer, operator: standby.account.address }))
  const show = t.door
  t.door = (path, response) => {
    if (path === '') return show!(path, response)
    response.writeHead(404).end()
    return true
  }
  const auditor = await t.audit()
  await auditor.sync()
  const { findings, ok } = await auditor.check(t.windowOf(0))
  expect(ok).toBe(false)
  const text = `No node of ${t.operator.account.address.toLowerCase()}`
  for (const finding of findings)
    expect(finding).toMatchObject({ text: expect.stringContaining(text), why: 'unknown-node' })
  // Its node may be given yet, as long as there is time.
  const start = t.now
  for (const share of [0, 0.45]) {
    await t.setTime(start + share * times.challengeWindow * 1000)
    expect(await auditor.act()).toMatchObject([{ kind: 'waiting' }])
  }
  // Nor does it help an operator to have none.
  await t.setTime(start + 0.55 * times.challengeWindow * 1000)
  expect((await auditor.act())[0]).toMatchObject({ kind: 'opened', why: 'unknown-node' })
})

test('behavior: a node that drips keeps no lie from being challenged in time', {
  timeout,
}, async () => {
  await using t = await openScene()
  const helper = await t.audit({ client: t.connect(4) })
  await t.playDay(0)
  await helper.sync()
  await t.endDay(0)
  const truth = await helper.recompute(t.windowOf(0))
  const entries = truth.entries.map(
    (entry, slot) => entry && { ...entry, cumulative: entry.cumulative + (slot === 1 ? 1n : 0n) },
  )
  const { epoch } = await t.post(truth, { entries })
  t.door = async (path, response) => {
    const [, from] = /^\/log\/batches\?from=(\d+)/.exec(path) ?? []
    if (from === undefined && !path.includes('/ledger') && !path.includes('/evidence')) return false
    await sleep(1500)
    const base = `${t.url}/networks/${t.network.id}/log/batches/${from}`
    if (from === undefined) response.writeHead(404).end()
    else response.end(Buffer.from(await (await fetch(base)).arrayBuffer()))
    return true
  }
  // Twenty seconds before nothing can be done any more.
  await t.setTime(1000 * epoch.challengeEndsAt - 20_000)
  const auditor = await t.audit()
  const [report] = await auditor.sync()
  expect(report).toMatchObject({ problems: [expect.stringContaining('goes on from here')] })
  expect(report!.batches).toBeGreaterThan(0)
  expect((await auditor.act())[0]).toMatchObject({ kind: 'opened' })
})

test('behavior: rows that came before their devices were known are asked for once more', {
  timeout,
}, async () => {
  await using t = await openScene()
  const auditor = await t.audit({ confirmations: 50 })
  await t.playDay(0)
  expect(await auditor.sync()).toMatchObject([{ batches: 12, problems: [] }])
  await t.endDay(0)
  await t.node.settle()
  await t.anvil.request('anvil_mine', ['0x40'])
  expect(await auditor.check(t.windowOf(0))).toMatchObject({ claims: 4, findings: [], ok: true })
})
