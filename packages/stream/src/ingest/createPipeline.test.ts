import { fromHex, normalizeSignature, publicKeyToAddress, toHex } from '@machinefi/core'
import { decodeReceipt, verifyReceipt } from '@machinefi/proof'
import { batchId, defineSchema, encodeBatch, signBatch, toRow } from '@machinefi/telemetry'
import { expect, test, vi } from 'vitest'
import { createFakeChain, createSigner, signSteps, walker } from '../../test/createFakeChain.js'
import { createTestNode, dayMs, hourMs, minuteMs } from '../../test/createTestNode.js'
import { fetchChecked } from '../../test/fetchChecked.js'
import type { Outcome } from './createPipeline.js'

const reasons = (outcomes: readonly Outcome[]) =>
  outcomes.map((outcome) => (outcome.ok ? 'ok' : outcome.problem.reason))

test('default', async () => {
  await using t = await createTestNode({ devices: 2 })
  const batches = await Promise.all(
    [0, 1, 2].flatMap((seq) =>
      [0, 1].map((device) => t.sign({ device, seq, start: t.chain.time + (seq * hourMs) / 4 })),
    ),
  )
  const outcomes = await t.ingest(...batches)
  for (const [i, outcome] of outcomes.entries()) {
    if (!outcome.ok) throw new Error(outcome.problem.reason)
    expect(outcome).toMatchObject({ duplicate: false, index: i, late: false })
    expect(
      await verifyReceipt(outcome.receipt, {
        id: batchId(batches[i]!, t.id),
        network: t.id,
        now: t.now,
        operator: fromHex(t.chain.operator),
        publicKey: t.logSigner.publicKey,
      }),
    ).toMatchObject({ ok: true, checkpoint: { size: 6, time: t.now }, index: i })
  }
})

test('behavior: ES256K, and both forms of s', async () => {
  await using t = await createTestNode()
  const other = createSigner(undefined, 'ES256K')
  t.chain.join(other)
  await t.node.refresh()
  expect(reasons(await t.ingest(await t.sign({ signer: other })))).toEqual(['ok'])
  const batch = await t.sign({})
  const high = encodeBatch({ ...batch, signature: flipS(batch.signature) })
  expect(reasons(await t.ingest(high))).toEqual(['ok'])
  // The id is the same, whatever form the signature has.
  expect(await t.ingest(batch)).toMatchObject([{ ok: true, duplicate: true }])
})

test('behavior: a duplicate gets its first receipt again, also after a restart', async () => {
  await using t = await createTestNode()
  const first = await t.sign({})
  const second = await t.sign({ seq: 1, start: t.chain.time + hourMs / 2 })
  const [before] = await t.ingest(first)
  t.now += minuteMs
  await t.ingest(second)
  expect(await t.ingest(first)).toEqual([{ ...before, duplicate: true }])
  await t.reopen()
  expect(await t.ingest(first)).toEqual([{ ...before, duplicate: true }])
})

test('behavior: twice in one body is one entry', async () => {
  await using t = await createTestNode()
  const batch = await t.sign({})
  const outcomes = await t.ingest(batch, batch, batch)
  expect(outcomes).toMatchObject([
    { ok: true, duplicate: false, index: 0 },
    { ok: true, duplicate: true, index: 0 },
    { ok: true, duplicate: true, index: 0 },
  ])
  expect(t.node.health().networks).toMatchObject([{ size: 1 }])
})

test('behavior: out of order, a gap is shown and can be filled', async () => {
  await using t = await createTestNode()
  const batches = await Promise.all(
    [0, 1, 2, 3].map((seq) => t.sign({ seq, start: t.chain.time + seq * 10 * minuteMs })),
  )
  expect(reasons(await t.ingest(batches[3]!, batches[0]!))).toEqual(['ok', 'ok'])
  const url = await t.node.listen({ port: 0 })
  const read = async () =>
    (
      await fetch(`${url}/networks/${t.chain.network.id}/devices/${toHex(batches[0]!.device)}`)
    ).json()
  expect(await read()).toMatchObject({ nextSeq: 4, batches: 2, gaps: [{ from: 1, to: 2 }] })
  expect(reasons(await t.ingest(batches[2]!, batches[1]!))).toEqual(['ok', 'ok'])
  expect(await read()).toMatchObject({ nextSeq: 4, batches: 4, gaps: [] })
})

test('behavior: two batches of one seq are refused and kept as evidence', async () => {
  await using t = await createTestNode()
  const first = await t.sign({ steps: [1] })
  const second = await t.sign({ steps: [2] })
  const third = await t.sign({ steps: [3] })
  // In one commit, so that the first is not on disk yet when the second comes; and later.
  expect(reasons(await t.ingest(first, second))).toEqual(['ok', 'equivocation'])
  await t.reopen()
  expect(reasons(await t.ingest(third, second, first))).toEqual([
    'equivocation',
    'equivocation',
    'ok',
  ])
  const url = await t.node.listen({ port: 0 })
  const device = `${url}/networks/${t.chain.network.id}/devices/${toHex(first.device)}`
  expect(await (await fetchChecked(`${device}/evidence`)).json()).toMatchObject({
    evidence: [
      {
        seq: 0,
        logged: { batch: toHex(first.bytes), id: toHex(batchId(first, t.id)), index: 0 },
        other: { batch: toHex(second.bytes), id: toHex(batchId(second, t.id)) },
      },
    ],
  })
})

test('behavior: older than a window that was cut is accepted and flagged', async () => {
  await using t = await createTestNode()
  const { time } = t.chain
  t.moveTo(time + dayMs + hourMs)
  await t.node.settle()
  const before = await t.sign({ start: time + dayMs - 1, steps: [1] })
  const after = await t.sign({ seq: 1, start: time + dayMs, steps: [1] })
  expect(await t.ingest(before, after)).toMatchObject([{ late: true }, { late: false }])
  const url = await t.node.listen({ port: 0 })
  const device = `${url}/networks/${t.chain.network.id}/devices/${toHex(before.device)}`
  expect(await (await fetch(device)).json()).toMatchObject({ batches: 2, late: 1 })
})

test('error: altered, foreign, unknown', async () => {
  await using t = await createTestNode({ maxRowsBytes: 200 })
  const batch = await t.sign({})
  const altered = encodeBatch({ ...batch, records: flip(batch.records!, 4) })
  const forged = encodeBatch({ ...batch, signature: flip(batch.signature, 10) })
  const forgedHigh = encodeBatch({ ...batch, signature: flipS(flip(batch.signature, 10)) })
  const foreign = await t.sign({ network: new Uint8Array(32).fill(1) })
  const stranger = await t.sign({ signer: createSigner() })
  const long = await t.sign({ steps: Array.from({ length: 100 }, (_, i) => i) })
  const other = defineSchema({ id: 2, tickMs: 1000, fields: { watts: { unit: 'W' } } })
  const two = defineSchema({
    id: 1,
    tickMs: 1000,
    fields: { a: { unit: 'W' }, b: { unit: 'W' } },
  })
  const sign = (schema: typeof other | typeof two) =>
    signBatch({
      network: t.id,
      rows: [
        toRow(
          schema as typeof two,
          (schema === other
            ? { time: t.chain.time, watts: 1 }
            : { time: t.chain.time, a: 1, b: 1 }) as never,
        ),
      ],
      schema,
      seq: 0,
      signer: t.signers[0]!,
    })
  expect(
    reasons(
      await t.ingest(
        altered,
        forged,
        forgedHigh,
        foreign,
        stranger,
        long,
        await sign(other),
        await sign(two),
        encodeBatch({ ...batch, records: null }),
        batch.bytes.subarray(0, 100),
        Uint8Array.of(...batch.bytes, 0),
        new Uint8Array(0),
      ),
    ),
  ).toEqual([
    'records-hash',
    'signature',
    'signature',
    'signature',
    'unknown-device',
    'too-large',
    'schema',
    'fields',
    'records-missing',
    'truncated',
    'not-canonical',
    'truncated',
  ])
  expect(t.node.health().networks).toMatchObject([{ size: 0 }])
  const [refused] = await t.ingest(foreign)
  expect(refused).toMatchObject({
    problem: { status: 403, title: 'altered, or signed for another network' },
  })
})

test('error: from the future, and beyond retention', async () => {
  await using t = await createTestNode()
  t.moveTo(t.chain.time + 40 * dayMs)
  const at = (end: number, seq: number) => t.sign({ seq, start: end - minuteMs, steps: [1, 2] })
  expect(
    reasons(
      await t.ingest(
        await at(t.now + 2 * minuteMs, 0),
        await at(t.now + 2 * minuteMs + 1000, 1),
        await at(t.now - 30 * dayMs + minuteMs, 2),
        await at(t.now - 30 * dayMs + minuteMs - 1000, 3),
      ),
    ),
  ).toEqual(['ok', 'future', 'ok', 'too-old'])
})

test('error: after its suspension', async () => {
  await using t = await createTestNode()
  const device = publicKeyToAddress(t.signers[0]!.publicKey)
  t.chain.suspend(device, Math.floor(t.chain.time / 1000) + 600)
  await t.node.refresh()
  expect(
    reasons(
      await t.ingest(
        await t.sign({ seq: 0, start: t.chain.time + 599_000 }),
        await t.sign({ seq: 1, start: t.chain.time + 600_000 }),
      ),
    ),
  ).toEqual(['ok', 'suspended'])
})

test('error: an algorithm that is not the one of the registration', async () => {
  const chain = createFakeChain()
  await using t = await createTestNode({ chain })
  const es256k = createSigner(7, 'ES256K')
  // Its key is on the other curve, so its address is another device's.
  const batch = await t.sign({ signer: es256k })
  const posing = {
    ...es256k,
    publicKey: t.signers[0]!.publicKey,
    sign: es256k.sign,
  }
  expect(reasons(await t.ingest(batch, await t.sign({ signer: posing })))).toEqual([
    'unknown-device',
    'key',
  ])
})

test('behavior: an unknown device causes one refresh, and is taken in if it has joined', async () => {
  await using t = await createTestNode({ limits: { refreshMs: 0 } })
  const signer = createSigner()
  const batch = await t.sign({ signer })
  t.chain.join(signer)
  expect(reasons(await t.ingest(batch))).toEqual(['ok'])
})

test('options: refreshMs', async () => {
  await using t = await createTestNode({ limits: { refreshMs: 1e9 } })
  const strangers = await Promise.all([0, 1].map(() => t.sign({ signer: createSigner() })))
  let asked = 0
  const { head } = t.chain
  t.chain.head = () => {
    asked++
    return head()
  }
  await t.ingest(...strangers)
  await t.ingest(...strangers)
  // The one at the start counts.
  expect(asked).toBe(0)
})

test('behavior: the chain does not answer', async () => {
  await using t = await createTestNode({ limits: { refreshMs: 0 } })
  t.chain.failing = new Error('no answer')
  expect(reasons(await t.ingest(await t.sign({ signer: createSigner() })))).toEqual([
    'unknown-device',
  ])
  expect(reasons(await t.ingest(await t.sign({})))).toEqual(['ok'])
  expect(t.node.health()).toMatchObject({ ok: false })
  t.chain.failing = undefined
  await t.node.refresh()
  expect(t.node.health()).toMatchObject({ ok: true, problems: [] })
})

test('options: maxPending', async () => {
  await using t = await createTestNode({ limits: { maxPending: 3 } })
  const batches = await Promise.all(
    [0, 1, 2, 3].map((seq) => t.sign({ seq, start: t.chain.time + seq * 10 * minuteMs })),
  )
  const [accepted, refused] = await Promise.all([
    t.ingest(...batches.slice(0, 2)),
    t.ingest(...batches.slice(2)),
  ])
  expect(reasons(accepted)).toEqual(['ok', 'ok'])
  expect(refused).toMatchObject([
    { problem: { reason: 'overloaded', status: 503, retryAfterSeconds: 1 } },
    { problem: { reason: 'overloaded' } },
  ])
  expect(reasons(await t.ingest(...batches.slice(2)))).toEqual(['ok', 'ok'])
})

test('behavior: checkpoint dates never go backwards, a clock set back far is a reason to stop', async () => {
  await using t = await createTestNode()
  const batches = await Promise.all(
    [0, 1, 2].map((seq) => t.sign({ seq, start: t.chain.time + seq * 10 * minuteMs })),
  )
  const start = t.now
  const [first] = await t.ingest(batches[0]!)
  t.now = start - minuteMs
  const [second] = await t.ingest(batches[1]!)
  if (!first?.ok || !second?.ok) throw new Error('refused')
  expect(decodeReceipt(first.receipt).time).toBe(start)
  expect(decodeReceipt(second.receipt).time).toBe(start)
  t.now = start - hourMs
  expect(reasons(await t.ingest(batches[2]!))).toEqual(['clock'])
  t.now = start
  expect(reasons(await t.ingest(batches[2]!))).toEqual(['ok'])
})

test('error: the log key fails, nothing is promised, and it goes on', async () => {
  await using t = await createTestNode()
  let failing = false
  const { logSigner } = t
  await t.reopen({
    logSigner: {
      ...logSigner,
      sign: (message) =>
        failing ? Promise.reject(new Error('unplugged')) : logSigner.sign(message),
    },
  })
  const [first, second] = [
    await t.sign({}),
    await t.sign({ seq: 1, start: t.chain.time + 10 * minuteMs }),
  ]
  await t.ingest(first)
  failing = true
  expect(reasons(await t.ingest(second))).toEqual(['unavailable'])
  expect(t.errors).toMatchObject([{ message: 'unplugged' }])
  failing = false
  expect(await t.ingest(second)).toMatchObject([{ ok: true, index: 1 }])
  await t.reopen()
  expect(await t.ingest(second)).toMatchObject([{ ok: true, duplicate: true, index: 1 }])
})

test('error: a fault after the commit, every batch is answered, and it goes on', async () => {
  await using t = await createTestNode()
  const [first, second, third] = [
    await t.sign({ steps: [1] }),
    await t.sign({ steps: [2] }),
    await t.sign({ seq: 1, start: t.chain.time + 10 * minuteMs }),
  ]
  // The first is in the log when the one that contradicts it cannot be compared.
  const compare = vi.spyOn(Buffer, 'compare').mockImplementationOnce(() => {
    throw new Error('no memory')
  })
  try {
    expect(reasons(await t.ingest(first, second, third))).toEqual(['ok', 'internal', 'internal'])
    expect(compare).toHaveBeenCalledOnce()
  } finally {
    compare.mockRestore()
  }
  expect(t.errors).toMatchObject([{ message: 'no memory' }])
  expect(await t.ingest(first, second, third)).toMatchObject([
    { ok: true, duplicate: true, index: 0 },
    { ok: false, problem: { reason: 'equivocation' } },
    { ok: true, duplicate: true, index: 1 },
  ])
  expect(t.node.health()).toMatchObject({ ok: true })
})

test('behavior: several networks share a node, and no seq', async () => {
  const other = createFakeChain({ genesis: `0x${'07'.repeat(32)}` })
  const chain = createFakeChain({ genesis: `0x${'07'.repeat(32)}` })
  await using t = await createTestNode({ chain })
  other.join(t.signers[0]!)
  await t.reopen({
    chains: [chain, other],
    networks: [chain, other].map(({ network }) => ({ ...network, schemas: [walker] })),
  })
  const here = await t.sign({})
  const there = await signSteps({
    network: fromHex(other.network.id),
    seq: 0,
    signer: t.signers[0]!,
    start: other.time,
  })
  const [inOne, inOther] = await Promise.all([
    t.node.ingest(chain.network.id, [here.bytes, there.bytes]),
    t.node.ingest(other.network.id, [here.bytes, there.bytes]),
  ])
  expect(reasons(inOne)).toEqual(['ok', 'signature'])
  expect(reasons(inOther)).toEqual(['signature', 'ok'])
})

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice()
  copy[at]! ^= 1
  return copy
}

/** The other form of s: n − s. */
function flipS(signature: Uint8Array): Uint8Array {
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const s = n - BigInt(toHex(signature.subarray(32)))
  const other = signature.slice()
  other.set(fromHex(s.toString(16).padStart(64, '0')), 32)
  expect(normalizeSignature(other, 'ES256')).toEqual(normalizeSignature(signature, 'ES256'))
  return other
}
