import { expect, test } from 'vitest'
import { openScene } from './openScene.js'

test('default: an honest operator', { timeout: 60_000 }, async () => {
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
      findings: [],
      ok: true,
      window: t.windowOf(day),
    })
  expect(await auditor.windows()).toEqual([])
  expect(await auditor.act()).toEqual([])
})

test('behavior: wrong carry', { timeout: 60_000 }, async () => {
  await using t = await openScene()
  const auditor = await t.audit()
  await t.playDay(0)
  await auditor.sync()
  await t.endDay(0)
  const truth = await auditor.recompute(t.windowOf(0))
  const entries = truth.entries.map((entry, slot) =>
    entry && slot === 2 ? { ...entry, cumulative: entry.cumulative + 5_000n } : entry,
  )
  const posted = await t.post(truth, { entries })
  const verdict = await auditor.check(t.windowOf(0))
  console.log(verdict)
  console.log(await auditor.act())
  console.log(await t.answer(posted))
  console.log(await auditor.act())
  console.log(await t.answer(posted))
  console.log(await auditor.act())
  console.log(await t.answer(posted))
  console.log(await auditor.act())
})
