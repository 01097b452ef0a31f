import { readChallenges, readConfig, setConfig } from '@machinefi/contracts'
import { toHex } from '@machinefi/core'
import { defineSchema, schemaHash } from '@machinefi/telemetry'
import { expect, test } from 'vitest'
import { walker } from '../createFakeChain.js'
import { openScene, type Scene } from './openScene.js'

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
