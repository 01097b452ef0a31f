import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { concatBytes, publicKeyToAddress, toHex } from '@machinefi/core'
import {
  decodeBundle,
  decodeCheckpoint,
  verifyBundle,
  verifyClaim,
  verifyInclusion,
  verifyReceipt,
} from '@machinefi/proof'
import { batchId } from '@machinefi/telemetry'
import { expect, test } from 'vitest'
import { createSigner } from '../../test/createFakeChain.js'
import {
  createTestNode,
  dayMs,
  hourMs,
  minuteMs,
  type TestNode,
} from '../../test/createTestNode.js'
import { fetchChecked } from '../../test/fetchChecked.js'

const first = 20_000

// biome-ignore lint/suspicious/noExplicitAny: JSON of many shapes, matched below
async function fetchJson(t: TestNode, path: string): Promise<any> {
  const url = t.node.url ?? (await t.node.listen({ port: 0 }))
  return (await fetchChecked(`${url}/networks/${t.chain.network.id}${path}`)).json()
}

async function fetchBytes(t: TestNode, path: string): Promise<Uint8Array> {
  const url = t.node.url ?? (await t.node.listen({ port: 0 }))
  const response = await fetch(`${url}/networks/${t.chain.network.id}${path}`)
  expect(response.status).toBe(200)
  return new Uint8Array(await response.arrayBuffer())
}

/** Sends a day's steps of a device, then moves to the end of the window and its grace. */
async function walk(t: TestNode, steps: readonly (readonly number[])[], seq: number) {
  const { time } = t.chain
  t.moveTo(time + 12 * hourMs)
  const outcomes = await t.ingest(
    ...(await Promise.all(
      steps.map((steps, device) => t.sign({ device, seq, start: time + hourMs, steps })),
    )),
  )
  expect(outcomes.every(({ ok }) => ok)).toBe(true)
  t.moveTo(time + dayMs)
}

const grace = (t: TestNode) => t.moveTo(t.chain.time + minuteMs)

test('default', async () => {
  await using t = await createTestNode({ devices: 3 })
  await walk(t, [[100, 20], [99], [1000, 900, 50]], 0)
  await walk(
    t,
    [
      [60, 60],
      [60, 60],
    ],
    1,
  )
  t.moveTo(t.chain.time + dayMs)
  grace(t)
  const settled = await t.node.settle()
  expect(settled.map(({ ledgerTotal, size, window }) => [window, size, ledgerTotal])).toEqual([
    // 120; 99 is below the threshold; 1000 is out of the metric's bounds.
    [first, 5, 120n + 950n],
    [first + 1, 5, 1070n + 240n],
    [first + 2, 5, 1310n],
  ])
  expect(await t.node.settle()).toEqual([])
  expect(t.chain.epochs.size).toBe(3)

  const device = toHex(publicKeyToAddress(t.signers[1]!.publicKey))
  const { claims } = await fetchJson(t, `/devices/${device}/claims`)
  expect(claims).toMatchObject([
    { cumulative: '0', name: '2024-10-04', reward: '0', steps: 1, value: '99', window: first },
    { cumulative: '120', reward: '120', steps: 1, value: '120' },
    { cumulative: '120', reward: '0', steps: 0, value: '0' },
  ])
  for (const [window, total] of [
    [first, 1070n],
    [first + 1, 1310n],
    [first + 2, 1310n],
  ] as const) {
    const bytes = await fetchBytes(t, `/epochs/${window}/bundle`)
    const { epochHash } = t.chain.epochs.get(window)!
    const verdict = await verifyBundle(bytes, {
      epochHash: Buffer.from(epochHash.slice(2), 'hex'),
    })
    expect(verdict).toMatchObject({ ok: true, complete: true })
    if (verdict.ok)
      expect(verdict.claims.reduce((sum, claim) => sum + claim.cumulative, 0n)).toBe(total)
    const one = await fetchBytes(t, `/epochs/${window}/claims/did:io:${device}/bundle`)
    expect(await verifyClaim(one, { device })).toMatchObject({ ok: true })
  }
})

test('behavior: not before the end and the grace, on both clocks', async () => {
  await using t = await createTestNode()
  const end = t.chain.time + dayMs + minuteMs
  t.now = end
  t.chain.time = end - 1
  expect(await t.node.settle()).toEqual([])
  t.now = end - 1
  t.chain.time = end
  expect(await t.node.settle()).toEqual([])
  t.moveTo(end)
  expect(await t.node.settle()).toHaveLength(1)
})

test('behavior: late joiners, suspended members, empty slots', async () => {
  await using t = await createTestNode({ devices: 2 })
  const { time } = t.chain
  // Joins within the first window: not paid before the second.
  const late = createSigner()
  t.chain.join(late, { joinedAt: time / 1000 })
  t.signers.push(late)
  await t.node.refresh()
  await walk(t, [[200], [300], [400]], 0)
  // Suspended within the second: paid for the first only.
  t.chain.suspend(publicKeyToAddress(t.signers[1]!.publicKey), (time + dayMs) / 1000 + 7200)
  await walk(t, [[200], [300], [400]], 1)
  // Joins after it all.
  t.chain.join(createSigner())
  grace(t)
  const settled = await t.node.settle()
  expect(settled.map(({ depth, ledgerTotal }) => [depth, ledgerTotal])).toEqual([
    [2, 500n],
    [2, 1100n],
  ])
  const { entries } = await fetchJson(t, `/epochs/${first}/ledger`)
  expect(entries).toMatchObject([
    { paid: true, reward: '200', slot: 0 },
    { paid: true, reward: '300', slot: 1 },
  ])
  expect((await fetchJson(t, `/epochs/2024-10-05/ledger`)).entries).toMatchObject([
    { cumulative: '400', reward: '200', slot: 0 },
    { cumulative: '300', paid: false, reward: '0', slot: 1, steps: 0, value: '0' },
    { cumulative: '400', reward: '400', slot: 2 },
  ])
  for (const window of [first, first + 1])
    expect(await verifyBundle(await fetchBytes(t, `/epochs/${window}/bundle`))).toMatchObject({
      ok: true,
      complete: true,
    })
})

test('behavior: what comes after the cut does not count, whatever it was', async () => {
  await using t = await createTestNode({ devices: 2 })
  const { time } = t.chain
  await walk(t, [[200]], 0)
  grace(t)
  await t.node.settle()
  const [late] = await t.ingest(await t.sign({ device: 1, start: time + hourMs, steps: [500] }))
  expect(late).toMatchObject({ ok: true, late: true })
  t.moveTo(time + 2 * dayMs + minuteMs)
  const [epoch] = await t.node.settle()
  expect(epoch).toMatchObject({ ledgerTotal: 200n, size: 2 })
})

test('behavior: a batch over the boundary counts on both sides', async () => {
  await using t = await createTestNode()
  const { time } = t.chain
  t.moveTo(time + dayMs + 30_000)
  await t.ingest(await t.sign({ start: time + dayMs - minuteMs, steps: [100, 200] }))
  t.moveTo(time + 2 * dayMs + minuteMs)
  const settled = await t.node.settle()
  expect(settled.map(({ ledgerTotal }) => ledgerTotal)).toEqual([100n, 300n])
})

test('behavior: the ledger grows a level if members joined before the posting', async () => {
  await using t = await createTestNode({ devices: 2 })
  await walk(t, [[200], [300]], 0)
  grace(t)
  const { memberCount } = t.chain
  t.chain.memberCount = async (block) => {
    // Between the building of the ledger and its posting.
    if (block === undefined) for (let i = 0; i < 4; i++) t.chain.join(createSigner())
    return memberCount(block)
  }
  const [epoch] = await t.node.settle()
  expect(epoch).toMatchObject({ depth: 3, ledgerTotal: 500n, posted: { memberCount: 6 } })
  expect(await verifyBundle(await fetchBytes(t, `/epochs/${first}/bundle`))).toMatchObject({
    ok: true,
    complete: true,
  })
})

test('behavior: goes on after a crash at any step', async () => {
  const totals: bigint[][] = []
  // Each round the chain falls silent after one call more, until nothing is cut off.
  for (let calls = 0; ; calls++) {
    await using t = await createTestNode({ devices: 2 })
    await walk(t, [[200], [300]], 0)
    await walk(t, [[100], [100]], 1)
    grace(t)
    t.chain.callsLeft = calls
    const crashed = await t.node.settle().then(
      () => false,
      () => true,
    )
    expect(t.node.health().ok).toBe(!crashed)
    t.chain.callsLeft = Number.POSITIVE_INFINITY
    await t.reopen()
    await t.node.settle()
    const posted = [...t.chain.epochs.values()]
    expect(posted.map(({ window }) => window)).toEqual([first, first + 1])
    totals.push(posted.map(({ ledgerTotal }) => ledgerTotal))
    const { epochs } = await fetchJson(t, '/epochs')
    expect(epochs).toMatchObject(
      posted.map(({ epochHash, transaction }) => ({ epochHash, transaction })),
    )
    for (const { epochHash, window } of posted)
      expect(
        await verifyBundle(await fetchBytes(t, `/epochs/${window}/bundle`), {
          epochHash: Buffer.from(epochHash.slice(2), 'hex'),
        }),
      ).toMatchObject({ ok: true, complete: true })
    if (!crashed) break
  }
  expect(totals.length).toBeGreaterThan(10)
  for (const total of totals) expect(total).toEqual([500n, 700n])
})

test('error: another epoch is on chain', async () => {
  await using t = await createTestNode()
  await walk(t, [[200]], 0)
  grace(t)
  await t.chain.post({
    window: first,
    parentHash: toHex(new Uint8Array(32)),
    depth: 0,
    ledgerRoot: new Uint8Array(32).fill(1),
    ledgerTotal: 9n,
    logs: [],
  })
  await expect(t.node.settle()).rejects.toThrow(
    `Window ${first} is on chain with another log or ledger than this node has.`,
  )
  const conflict = {
    ok: false,
    problems: [
      `${t.chain.network.id}: Window ${first} is on chain with another log or ledger than this node has.`,
    ],
  }
  expect(t.node.health()).toMatchObject(conflict)
  const url = await t.node.listen({ port: 0 })
  expect((await fetchChecked(`${url}/health`)).status).toBe(503)

  // A person has to settle that; until then no reading is lost, also not over a restart.
  for (const seq of [1, 2]) {
    const batch = await t.sign({ seq, start: t.now - hourMs, steps: [200] })
    const [outcome] = await t.ingest(batch)
    if (!outcome?.ok) throw new Error(outcome?.problem.reason)
    expect(
      await verifyReceipt(outcome.receipt, {
        id: batchId(batch, t.id),
        network: t.id,
        now: t.now,
        operator: Buffer.from(t.chain.operator.slice(2), 'hex'),
        publicKey: t.logSigner.publicKey,
      }),
    ).toMatchObject({ ok: true, index: seq })
    t.moveTo(t.now + dayMs)
    await t.reopen()
    await expect(t.node.settle()).rejects.toThrow('is on chain with another')
    expect(t.node.health()).toMatchObject(conflict)
  }
})

test('behavior: one network that cannot be settled does not stop the others', async () => {
  await using t = await createTestNode()
  grace(t)
  t.moveTo(t.chain.time + dayMs)
  t.chain.failing = new Error('no answer')
  await expect(t.node.settle()).rejects.toThrow('no answer')
  t.chain.failing = undefined
  expect(await t.node.settle()).toHaveLength(1)
  expect(t.node.health().ok).toBe(true)
})

test.each([30, 60])(
  'behavior: rows expire after %i days, headers and proofs stay',
  async (days) => {
    await using t = await createTestNode({ retentionMs: days * dayMs })
    const { time } = t.chain
    const files = () =>
      readdirSync(join(t.directory, 'rows', t.chain.network.id.slice(2))).filter((name) =>
        name.endsWith('.db'),
      ).length
    const batches = []
    for (let day = 0; day < days + 3; day++) {
      const start = time + day * dayMs
      t.moveTo(start + 12 * hourMs)
      batches.push(await t.sign({ seq: day, start: start + hourMs, steps: [150] }))
      await t.ingest(batches[day]!)
      t.moveTo(start + dayMs + minuteMs)
      await t.node.settle()
      expect(t.node.health().problems).toEqual([])
    }
    // Rows of a day go once the clock is `days` days past its end: three days are gone by now.
    expect(files()).toBe(days)
    const device = toHex(batches[0]!.device)
    const { expiredBatches, records } = await fetchJson(t, `/devices/${device}/records`)
    expect([expiredBatches, records.length]).toEqual([3, days])

    const [gone, kept] = [
      await fetchBytes(t, '/log/batches/2'),
      await fetchBytes(t, '/log/batches/3'),
    ]
    expect(gone.length).toBeLessThan(kept.length)
    expect(await fetchBytes(t, '/log/batches?from=2&to=4')).toEqual(concatBytes(gone, kept))
    expect(toHex(kept)).toBe(toHex(batches[3]!.bytes))
    const bundle = decodeBundle(await fetchBytes(t, `/epochs/${first}/bundle`))
    expect(bundle.claims[0]!.entry.value).toBe(150n)
    expect(await verifyBundle(await fetchBytes(t, `/epochs/${first}/bundle`))).toMatchObject({
      at: expect.stringMatching(/batch 0: records$/),
      ok: false,
    })
    expect(await verifyBundle(await fetchBytes(t, `/epochs/${first + 3}/bundle`))).toMatchObject({
      ok: true,
    })
    // Sent again, the oldest is refused; the others get their receipts.
    expect(await t.ingest(...batches.slice(1, 4))).toMatchObject([
      { problem: { reason: 'too-old' } },
      { problem: { reason: 'too-old' } },
      { ok: true, duplicate: true },
    ])
    await t.reopen()
    const proof = await fetchBytes(t, `/log/inclusion?index=0&size=${days}`)
    const checkpoint = await fetchBytes(t, `/log/checkpoint?size=${days}`)
    expect(
      verifyInclusion({
        id: batchId(batches[0]!, t.id),
        index: 0,
        proof,
        root: decodeCheckpoint(checkpoint).root,
        size: days,
      }),
    ).toBe(true)
  },
  60_000,
)

test('behavior: rows of a window that is not final do not expire', async () => {
  await using t = await createTestNode({ challengeWindowMs: 100 * dayMs, retentionMs: 30 * dayMs })
  await walk(t, [[200]], 0)
  t.moveTo(t.chain.time + 50 * dayMs)
  await t.node.settle()
  const files = () =>
    readdirSync(join(t.directory, 'rows', t.chain.network.id.slice(2))).filter((name) =>
      name.endsWith('.db'),
    ).length
  expect(files()).toBe(1)
  t.moveTo(t.chain.time + 100 * dayMs)
  await t.node.settle()
  expect(files()).toBe(0)
})

test('behavior: knows which windows are final, and asks the chain when one more can be', async () => {
  await using t = await createTestNode({ challengeWindowMs: 2 * hourMs })
  let reads = 0
  const { nextFinalWindow } = t.chain
  t.chain.nextFinalWindow = () => {
    reads++
    return nextFinalWindow()
  }
  const url = await t.node.listen({ port: 0 })
  const device = toHex(publicKeyToAddress(t.signers[0]!.publicKey))
  const read = async () =>
    (await (await fetchChecked(`${url}/networks/${t.chain.network.id}/devices/${device}`)).json())
      .finalBefore
  expect(await read()).toBe(null)
  const start = t.chain.time
  for (let minute = 0; minute < 2 * 24 * 60; minute += 10) {
    t.moveTo(start + minute * minuteMs)
    await t.node.settle()
  }
  // Posted ten minutes after the end of its window.
  t.moveTo(start + dayMs + 2 * hourMs)
  expect(await read()).toBe(start + dayMs)
  // The first at the start, the others between the first moment and the one that it was final at.
  expect(reads).toBeGreaterThan(1)
  expect(reads).toBeLessThan(5)
  t.moveTo(start + 2 * dayMs + 10 * minuteMs)
  await t.node.settle()
  t.moveTo(start + 2 * dayMs + 3 * hourMs)
  await t.node.settle()
  expect(await read()).toBe(start + 2 * dayMs)
})

test('behavior: posts nothing while it does not know every member', async () => {
  await using t = await createTestNode({ devices: 2 })
  await walk(t, [[200], [300]], 0)
  grace(t)
  const { members } = t.chain
  // An endpoint that leaves out events, and then all of them.
  let shown = 0
  t.chain.join(createSigner())
  t.chain.members = async (from, to) => (await members(from, to)).slice(0, shown)
  expect(await t.node.settle()).toEqual([])
  expect(JSON.stringify(t.node.health())).toContain(
    'The endpoint of the chain does not show every member.',
  )
  shown = Number.POSITIVE_INFINITY
  expect(await t.node.settle()).toMatchObject([{ posted: { memberCount: 3 } }])
})
