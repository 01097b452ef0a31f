import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineSchema } from '@machinefi/telemetry'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createTestNode, toTransport } from '../../test/createTestNode.js'
import { createDevice, createSoftwareSigner, type Transport, TransportError } from '../index.js'
import { openFileStore, readFileStore } from '../node.js'

const dayMs = 86_400_000
const hourMs = 3_600_000
/** The start of a window. */
const start = Date.UTC(2026, 3, 13)
const schema = defineSchema({ id: 1, tickMs: 1000, fields: { steps: { unit: 'count' } } })
const network = { id: new Uint8Array(32).fill(1), windowMs: dayMs, finalAfterMs: 2 * dayMs }

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'machinefi-'))
})
afterEach(() => rm(dir, { recursive: true }))

/** A device that has a batch for each reading, a node, and a clock for each of them. */
function setup(options: Partial<createDevice.Options<typeof schema>> = {}) {
  const clocks = { device: start, node: start }
  const node = createTestNode({ network: network.id, clock: () => clocks.node })
  const transport = toTransport(node)
  const readDevice = vi.fn(transport.readDevice!)
  const signer = createSoftwareSigner()
  const open = () =>
    createDevice({
      clock: () => clocks.device,
      maxRows: 1,
      network,
      nextSeq: 0,
      schema,
      signer,
      store: openFileStore(dir, { segmentBytes: 2000 }),
      transport: { ...transport, readDevice },
      ...options,
    })
  const t = {
    clocks,
    device: open(),
    node,
    /** Questions to the node; none but for final windows, since the first seq is given. */
    questions: () => readDevice.mock.calls.length,
    open,
    /** Takes and delivers a reading of a time, which it is now. */
    async record(time: number) {
      clocks.device = clocks.node = time
      await t.deliver()
    },
    async deliver() {
      const asked = t.questions()
      await t.device.record({ steps: 1 })
      await t.device.flush()
      // A question that is asked is asked at once; what follows from its answer is written behind it.
      if (t.questions() > asked) await readDevice.mock.results.at(-1)!.value.catch(() => {})
      await t.device.refused()
    },
    kept: () => t.device.stats().stored.kept,
    async [Symbol.asyncDispose]() {
      await t.device.close()
    },
  }
  return t
}

test('default: what is delivered is kept until its window is final', async () => {
  await using t = setup()
  /** As honest nodes say it: an hour of grace, the posting, a challenge window that ends with the second day. */
  const finalBeforeOf = (now: number) => (Math.floor((now - hourMs) / dayMs) - 2) * dayMs
  for (let time = start; time < start + 12 * dayMs; time += 4 * hourMs) {
    t.node.finalBefore = finalBeforeOf(time)
    await t.record(time)
    const kept = t.node.batches.filter(({ header }) => header.start >= finalBeforeOf(time))
    // What became final since the last question goes with the next.
    expect(t.kept()).toBeGreaterThanOrEqual(kept.length)
    expect(t.kept()).toBeLessThanOrEqual(kept.length + 6)
  }
  expect(t.kept()).toBeLessThan(30)
  // Nothing could be final for three days; then not more often than four times a day.
  expect(t.questions()).toBeGreaterThan(8)
  expect(t.questions()).toBeLessThanOrEqual(4 * 9)
})

test('behavior: a node that says everything is final makes nothing go sooner than it could be', async () => {
  await using t = setup()
  t.node.finalBefore = Number.MAX_SAFE_INTEGER
  for (let hour = 0; hour < 72; hour += 3) {
    await t.record(start + hour * hourMs)
    expect(t.kept()).toBe(1 + hour / 3)
  }
  // The first window's end and two days.
  await t.record(start + 72 * hourMs)
  expect(t.kept()).toBe(25 - 8)
})

test('behavior: a backlog of windows long over is kept from its receipts on', async () => {
  let away = false
  const node = createTestNode({ network: network.id, clock: () => t.clocks.node })
  const online = toTransport(node)
  const transport: Transport = {
    ...online,
    send: (batches, context) =>
      away ? Promise.reject(new TransportError('away')) : online.send(batches, context),
  }
  await using t = setup({ retry: { maxMs: 2, minMs: 1 }, transport })
  node.finalBefore = Number.MAX_SAFE_INTEGER
  await t.record(start)
  away = true
  for (let day = 1; day < 30; day++) {
    t.clocks.device = t.clocks.node = start + day * dayMs
    await t.device.record({ steps: 1 })
  }
  away = false
  await t.device.flush()
  // The one that was delivered in time goes; the others wait like those of today.
  await vi.waitFor(() => expect(t.kept()).toBe(29))
  await t.record(start + 29 * dayMs + hourMs)
  await t.record(start + 31 * dayMs - hourMs)
  expect(t.kept()).toBe(31)
  await t.record(start + 31 * dayMs)
  await vi.waitFor(() => expect(t.kept()).toBe(32 - 28))
})

test('behavior: a node that goes back takes nothing with it', async () => {
  await using t = setup()
  for (let day = 0; day < 5; day++) await t.record(start + day * dayMs)
  expect(t.kept()).toBe(5)
  t.node.finalBefore = start + 2 * dayMs
  await t.record(start + 6 * dayMs)
  expect(t.kept()).toBe(4)
  for (const finalBefore of [start + dayMs, 0, -1, Number.MIN_SAFE_INTEGER]) {
    t.node.finalBefore = finalBefore
    await t.record(t.clocks.device + dayMs)
  }
  expect(t.kept()).toBe(8)
  t.node.finalBefore = start + 5 * dayMs
  await t.record(t.clocks.device + dayMs)
  expect(t.kept()).toBe(6)
})

test('behavior: a clock that jumps ahead makes nothing go, whatever the node says', async () => {
  await using t = setup()
  t.node.finalBefore = Number.MAX_SAFE_INTEGER
  for (let day = 0; day < 3; day++) await t.record(start + day * dayMs)
  expect(t.kept()).toBe(3)
  const questions = t.questions()
  t.clocks.device += 300 * dayMs
  await t.deliver()
  t.clocks.device += 40 * dayMs
  await t.deliver()
  // Neither by the word of the node nor by `keepDeliveredMs`.
  expect(t.kept()).toBe(5)
  expect(t.questions()).toBe(questions)
})

test('behavior: nor do receipts of a time to come, while the readings do not follow', async () => {
  await using t = setup()
  t.node.finalBefore = Number.MAX_SAFE_INTEGER
  for (let hour = 0; hour < 24; hour++) {
    t.clocks.device = start + hour * hourMs
    t.clocks.node = start + (hour + 1) * 30 * dayMs
    await t.deliver()
  }
  expect(t.kept()).toBe(24)
  expect(t.questions()).toBe(0)
})

test('behavior: neither a restart nor a segment written anew makes it later or earlier', async () => {
  const t = setup()
  t.node.finalBefore = Number.MAX_SAFE_INTEGER
  for (let hour = 0; hour < 72; hour++) {
    await t.record(start + hour * hourMs)
    if (hour % 5 > 0) continue
    await t.device.close()
    t.device = t.open()
    await t.device.refused()
    expect(t.kept()).toBe(hour + 1)
  }
  await t.record(start + 72 * hourMs)
  expect(t.kept()).toBe(73 - 24)
  const questions = t.questions()
  // The answer is remembered, and so when it was given.
  await t.device.close()
  t.device = t.open()
  await t.record(start + 73 * hourMs)
  expect(t.questions()).toBe(questions)
  expect(t.kept()).toBe(74 - 24)
  await t.device.close()
})

test('options: network.finalAfterMs, 8 days where nobody says', async () => {
  const { finalAfterMs: _, ...rest } = network
  await using t = setup({ network: rest })
  t.node.finalBefore = Number.MAX_SAFE_INTEGER
  for (let day = 0; day < 9; day++) await t.record(start + day * dayMs)
  expect(t.kept()).toBe(9)
  await t.record(start + 9 * dayMs)
  expect(t.kept()).toBe(9)
})

test.each([undefined, null, 'all of them', Number.NaN, {}])(
  'error: a node that says %s is one that says nothing',
  async (finalBefore) => {
    await using t = setup()
    t.node.finalBefore = finalBefore
    for (let day = 0; day < 6; day++) await t.record(start + day * dayMs)
    expect(t.questions()).toBeGreaterThan(1)
    expect(t.kept()).toBe(6)
  },
)

test('behavior: a device that wakes up for a moment hears the answer', async () => {
  const t = setup()
  t.node.finalBefore = Number.MAX_SAFE_INTEGER
  for (let day = 0; day < 9; day++) {
    await t.device.close()
    t.device = t.open()
    t.clocks.device = t.clocks.node = start + day * dayMs
    await t.device.record({ steps: 1 })
    await t.device.flush()
  }
  await t.device.close()
  expect(await readFileStore(dir)).toMatchObject({ kept: 3 })
})

test('error: a node that does not answer holds up nothing, not even the end', async () => {
  const away = {
    ...toTransport(createTestNode({ network: network.id })),
    readDevice: () => new Promise<never>(() => {}),
  }
  const node = createTestNode({ network: network.id })
  await using t = setup({ transport: { ...away, send: toTransport(node).send } })
  for (let day = 0; day < 9; day++) await t.record(start + day * dayMs)
  expect(t.device.stats()).toMatchObject({ delivered: 9, lastError: undefined })
})

test('behavior: who looks at it sees what is held, until when, and what the node said', async () => {
  await using t = setup()
  t.node.finalBefore = start + dayMs
  for (let day = 0; day < 4; day++) await t.record(start + day * dayMs + hourMs)
  expect(await readFileStore(dir)).toMatchObject({
    final: { before: start + dayMs, at: start + 3 * dayMs + hourMs },
    held: { first: start + 4 * dayMs, last: start + 6 * dayMs },
    kept: 3,
  })
})
