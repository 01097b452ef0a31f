import { decodeReceipt } from '@machinefi/proof'
import { expect, test } from 'vitest'
import { createTestNode, dayMs, hourMs, minuteMs } from '../packages/stream/test/createTestNode.js'

// Attacks of docs/protocol/disputes.md on the node that no other suite has: here on its clock. A
// checkpoint over a longer log than the one posted, dated before the cut-off, costs the bond.

test('behavior: a clock that steps back over the cut-off dates nothing before it', async () => {
  await using t = await createTestNode()
  const start = t.chain.time
  const cutoff = start + dayMs + minuteMs
  // Nothing arrives for hours, so the date of the last checkpoint is far behind.
  await t.ingest(await t.sign({ start }))
  t.moveTo(cutoff)
  const [epoch] = await t.node.settle()
  expect(epoch).toMatchObject({ size: 1 })
  for (const [seq, back] of [1000, minuteMs, 2 * minuteMs].entries()) {
    t.now = cutoff - back
    const [outcome] = await t.ingest(
      await t.sign({ seq: seq + 1, start: start + (seq + 1) * hourMs }),
    )
    if (!outcome?.ok) throw new Error('refused')
    expect(decodeReceipt(outcome.receipt).time).toBeGreaterThanOrEqual(cutoff)
    await t.reopen()
  }
  // Further back it takes nothing in, rather than call now what is not.
  t.now = cutoff - 3 * minuteMs
  const [refused] = await t.ingest(await t.sign({ seq: 9, start: start + 9 * hourMs }))
  expect(refused).toMatchObject({ ok: false, problem: { reason: 'clock' } })
})

test('behavior: a clock that steps ahead cuts no window before the chain says so', async () => {
  await using t = await createTestNode()
  const start = t.chain.time
  const cutoff = start + dayMs + minuteMs
  t.chain.time = cutoff - hourMs
  t.now = cutoff + hourMs
  const [early] = await t.ingest(await t.sign({ start }))
  expect(await t.node.settle()).toEqual([])
  // Its receipts are of the future, and devices refuse them; it is right again when that has come.
  if (!early?.ok) throw new Error('refused')
  expect(decodeReceipt(early.receipt).time).toBe(cutoff + hourMs)
  t.now = cutoff - hourMs
  const batch = await t.sign({ seq: 1, start: start + hourMs })
  expect(await t.ingest(batch)).toMatchObject([{ ok: false, problem: { reason: 'clock' } }])
  t.moveTo(cutoff + hourMs)
  expect(await t.ingest(batch)).toMatchObject([{ ok: true }])
  expect(await t.node.settle()).toMatchObject([{ size: 2 }])
})
