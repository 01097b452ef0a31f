import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromHex, toHex } from '@machinefi/core'
import { afterEach, expect, test } from 'vitest'
import { createNodeReader } from '../../src/audit/createNodeReader.js'
import { openAuditStore } from '../../src/audit/openAuditStore.js'
import { openLogCopy } from '../../src/audit/openLogCopy.js'
import { recomputeEpoch } from '../../src/audit/recomputeEpoch.js'
import { syncLog } from '../../src/audit/syncLog.js'
import { walker } from '../createFakeChain.js'
import { createTestNode, dayMs, hourMs } from '../createTestNode.js'

const directories: string[] = []
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { force: true, recursive: true })
})

function openStore() {
  const directory = mkdtempSync(join(tmpdir(), 'audit-'))
  directories.push(directory)
  return openAuditStore({ directory, identity: { network: '0x' } })
}

test('default: what an honest node posts', async () => {
  await using t = await createTestNode({ devices: 3 })
  const batches = []
  for (let device = 0; device < 3; device++)
    for (let seq = 0; seq < 4; seq++)
      batches.push(
        await t.sign({ device, seq, start: t.chain.time + seq * hourMs, steps: [60, 70 + device] }),
      )
  t.moveTo(t.chain.time + dayMs - 1)
  await t.ingest(...batches)
  t.moveTo(t.chain.time + dayMs)
  const [posted] = await t.node.settle()
  const url = await t.node.listen({ port: 0 })

  const store = openStore()
  const copy = openLogCopy(store, fromHex(t.chain.operator), 0)
  const members = await t.chain.members(0, t.chain.block)
  const report = await syncLog({
    copy,
    keyOf: (device) => members.find((m) => toHex(m.device) === toHex(device))?.publicKey,
    logKeys: () => t.logSigner.publicKey,
    network: t.id,
    partial: { from: 0, parts: [], size: 0 },
    reader: createNodeReader({ network: t.chain.network.id, url }),
    store,
  })
  expect(report).toEqual({
    ...{ batches: 12, contradiction: false, foreign: false, problems: [], size: 12 },
  })
  const window = posted!.window
  const config = await t.chain.config(window)
  const epoch = await recomputeEpoch({
    config,
    copies: [{ copy, size: posted!.size }],
    members,
    network: t.id,
    parent: null,
    schema: walker,
    window: { end: (window + 1) * dayMs, number: window, start: window * dayMs },
  })
  expect(toHex(epoch.ledger.root)).toBe(posted!.ledgerRoot)
  expect(epoch.ledger.total).toBe(posted!.ledgerTotal)
  expect(epoch).toMatchObject({ claims: 3, rewards: [520n, 524n, 528n] })
  expect(epoch.claim(1)).toMatchObject({ paid: true, batches: { length: 4 } })

  // A parent of one more level, with an entry where no member is: it is carried where there is a slot for it.
  const entries = [...Array<null>(4).fill(null), { ...epoch.entries[0]!, cumulative: 7n }]
  const onNonsense = (depth?: number) =>
    recomputeEpoch({
      config,
      copies: [{ copy, size: posted!.size }],
      depth,
      members,
      network: t.id,
      parent: { depth: 3, entries },
      schema: walker,
      window: { end: (window + 1) * dayMs, number: window, start: window * dayMs },
    })
  for (const depth of [undefined, 3])
    expect((await onNonsense(depth)).ledger).toMatchObject({
      depth: 3,
      total: posted!.ledgerTotal + 7n,
    })
  expect((await onNonsense(2)).ledger).toMatchObject({ depth: 2, total: posted!.ledgerTotal })
  store.close()
})
