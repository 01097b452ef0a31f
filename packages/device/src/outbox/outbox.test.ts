import { defineSchema } from '@machinefi/telemetry'
import { describe, expect, test, vi } from 'vitest'
import { createReferenceStore } from '../../test/createReferenceStore.js'
import { createTestNode, toTransport } from '../../test/createTestNode.js'
import {
  createDevice,
  createMemoryStore,
  createSoftwareSigner,
  type DroppedBatch,
  type Transport,
  TransportError,
} from '../index.js'

const schema = defineSchema({ id: 1, tickMs: 1000, fields: { steps: { unit: 'count' } } })
const network = { id: new Uint8Array(32).fill(1), windowMs: 86_400_000 }
const start = Date.UTC(2026, 3, 13)
const minuteMs = 60_000
const soon = { interval: 1 }

/** A device in front of a node that is away until the test says otherwise; one row a batch. */
function setup(options: Partial<createDevice.Options<typeof schema>> & { places?: number } = {}) {
  const { places = 10, ...others } = options
  const time = { now: start }
  const clock = () => time.now
  const node = createTestNode({ network: network.id, clock })
  const online = toTransport(node, { maxBatches: places })
  const line = { isUp: false }
  /** Seqs of the requests that were answered. */
  const requests: number[][] = []
  /** Called before a request is answered. */
  const hooks = { before: async () => {} }
  const send: Transport['send'] = async (batches, context) => {
    if (!line.isUp) throw new TransportError('away')
    await hooks.before()
    requests.push(batches.map(({ seq }) => seq))
    return online.send(batches, context)
  }
  const device = createDevice({
    schema,
    signer: createSoftwareSigner(),
    network,
    transport: { ...online, send },
    clock,
    maxRows: 1,
    maxAgeMs: Number.POSITIVE_INFINITY,
    retry: { minMs: 1, maxMs: 5 },
    ...others,
  })
  const record = async (count: number) => {
    for (let i = 0; i < count; i++) {
      time.now += minuteMs
      await device.record({ steps: 1 })
    }
  }
  const queued = (count: number) =>
    vi.waitFor(() => expect(device.stats().stored.batches).toBe(count), soon)
  return { clock, device, hooks, line, node, queued, record, requests, time }
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

describe('order', () => {
  test('default: as it was recorded', async () => {
    const { device, line, queued, record, requests } = setup()
    await record(10)
    await queued(10)
    line.isUp = true
    await device.flush()
    expect(requests).toEqual([range(0, 10)])
    await device.close()
  })

  test('behavior: a tenth of each request is for what is newer than all that was answered', async () => {
    const { device, hooks, line, queued, record, requests } = setup({ places: 20 })
    await record(100)
    await queued(100)
    let fresh = 3
    hooks.before = async () => {
      // Cut while the backlog drains.
      if (fresh-- <= 0) return
      await record(3)
      await vi.waitFor(() => expect(device.stats().stored.rows).toBe(0), soon)
    }
    line.isUp = true
    await device.flush()
    expect(requests).toEqual([
      // The newest of the outage; then two places for what was cut since.
      [...range(0, 18), 98, 99],
      [...range(18, 36), 101, 102],
      [...range(36, 54), 104, 105],
      [...range(54, 72), 107, 108],
      range(72, 92),
      [...range(92, 98), 100, 103, 106],
    ])
    await device.close()
  })

  test('behavior: where a request has one place, fresh batches get every second one', async () => {
    const { device, hooks, line, queued, record, requests } = setup({ places: 1 })
    await record(6)
    await queued(6)
    let fresh = 2
    hooks.before = async () => {
      if (fresh-- <= 0) return
      await record(1)
      await vi.waitFor(() => expect(device.stats().stored.rows).toBe(0), soon)
    }
    line.isUp = true
    await device.flush()
    await device.flush()
    const order = requests.flat()
    // Either kind may have had the last request that failed.
    expect(order.slice(0, 4).filter((seq) => seq > 4)).toHaveLength(2)
    expect(order.filter((seq) => seq < 5)).toEqual(range(0, 5))
    expect(order.toSorted()).toEqual(range(0, 8))
    await device.close()
  })

  test('behavior: a fresh batch whose request failed is fresh again', async () => {
    const { device, line, queued, record, requests } = setup()
    await record(30)
    await queued(30)
    await vi.waitFor(() => expect(device.stats().lastError).toBeDefined())
    await record(1)
    await queued(31)
    line.isUp = true
    await device.flush()
    expect(requests[0]).toEqual([...range(0, 9), 30])
    await device.close()
  })
})

describe('a month offline', () => {
  test('behavior: a minute’s reading a time, all of it, once and in order', async () => {
    const { device, line, node, queued, record } = setup({
      maxRows: 60,
      maxJumpMs: minuteMs,
      places: 100,
    })
    await record(30 * 1440)
    await queued(720)
    line.isUp = true
    await device.flush()
    expect(node.batches.reduce((sum, { header }) => sum + header.count, 0)).toBe(30 * 1440)
    const sorted = node.batches.toSorted((a, b) => a.header.seq - b.header.seq)
    expect(sorted.map(({ header }) => header.seq)).toEqual(range(0, sorted.length))
    for (const [i, { header }] of sorted.entries())
      if (i > 0) expect(header.start).toBeGreaterThan(sorted[i - 1]!.header.start)
    await device.close()
  })
})

describe('full', () => {
  test('options: onDropped, and the gap is seen', async () => {
    const dropped: DroppedBatch[] = []
    const { device, line, node, record } = setup({
      store: createMemoryStore({ maxBytes: 1000, whenFull: 'oldest' }),
      onDropped: (batches) => dropped.push(...batches),
    })
    for (let i = 0; i < 20; i++) {
      await record(1)
      await vi.waitFor(() => expect(device.stats().stored.rows).toBe(0), soon)
    }
    const flushed = device.flush()
    line.isUp = true
    const error = { batches: [{ seq: 0, count: 1, end: start + minuteMs }], kind: 'transport' }
    await expect(flushed).rejects.toMatchObject({ ...error, name: 'DroppedError' })
    await device.flush()
    const lost = dropped.map(({ seq }) => seq)
    expect(lost).toEqual(range(0, lost.length))
    expect(device.stats().stored).toMatchObject({ batches: 0, dropped: lost.length })
    const seqs = node.batches.map(({ header }) => header.seq)
    expect(seqs).toEqual(range(lost.length, 20))
    expect(lost.length).toBeGreaterThan(10)
    await device.close()
  })
})

describe('redeliver', () => {
  test('default: another node takes over', async () => {
    const { clock, device, line, node, record } = setup({
      store: createReferenceStore({ keepDeliveredBytes: 10_000 }),
    })
    line.isUp = true
    await record(12)
    await device.flush()
    expect(device.stats().stored).toMatchObject({ batches: 0, kept: 12 })
    const other = createTestNode({ network: network.id, clock })
    expect(await device.redeliver({ transport: toTransport(other) })).toBe(12)
    await record(1)
    await device.flush()
    expect(node.batches).toHaveLength(12)
    const seqs = other.batches.map(({ header }) => header.seq)
    expect(seqs.toSorted((a, b) => a - b)).toEqual(range(0, 13))
    expect(device.stats().stored).toMatchObject({ batches: 0, kept: 13 })
    await device.close()
  })

  test('options: since', async () => {
    const { clock, device, line, record } = setup({
      store: createReferenceStore({ keepDeliveredBytes: 10_000 }),
    })
    line.isUp = true
    await record(12)
    await device.flush()
    const other = createTestNode({ network: network.id, clock })
    const since = start + 9 * minuteMs
    expect(await device.redeliver({ since, transport: toTransport(other) })).toBe(4)
    await device.flush()
    expect(other.batches.map(({ header }) => header.seq)).toEqual([8, 9, 10, 11])
    await device.close()
  })

  test('behavior: what the other node will not take is kept, and told', async () => {
    const { clock, device, line, record } = setup({
      store: createReferenceStore({ keepDeliveredBytes: 10_000 }),
    })
    line.isUp = true
    await record(3)
    await device.flush()
    const problem = { status: 410, type: 'https://machinefi.dev/problems/too-old', title: 'Old' }
    const send: Transport['send'] = async (batches) =>
      batches.map(() => ({ status: 'refused', problem, final: true }))
    const other = { ...toTransport(createTestNode({ network: network.id, clock })), send }
    await device.redeliver({ transport: other })
    await expect(device.flush()).rejects.toMatchObject({ name: 'RefusedError', problem })
    expect(device.stats().stored).toMatchObject({ batches: 0, kept: 3, refused: 0 })
    await device.close()
  })

  test('behavior: discardDelivered, for windows that are final', async () => {
    const { device, line, record } = setup({
      store: createReferenceStore({ keepDeliveredBytes: 10_000 }),
    })
    line.isUp = true
    await record(12)
    await device.flush()
    expect(await device.discardDelivered({ before: start + 9 * minuteMs })).toBe(8)
    expect(device.stats().stored.kept).toBe(4)
    expect(await device.discardDelivered()).toBe(4)
    expect(await device.redeliver()).toBe(0)
    await device.close()
  })
})
