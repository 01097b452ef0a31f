import { BaseError, verifySignature } from '@machinefi/core'
import {
  checkRecords,
  defineSchema,
  encodeRows,
  type Row,
  rowAt,
  type SignedBatch,
  sigStructure,
} from '@machinefi/telemetry'
import { describe, expect, test, vi } from 'vitest'
import { createTestNode, toTransport } from '../../test/createTestNode.js'
import { emptySize } from '../../test/testStore.js'
import {
  createDevice,
  createMemoryStore,
  createSoftwareSigner,
  type Device,
  type Problem,
  type QueuedBatch,
  type Transport,
  TransportError,
} from '../index.js'

const schema = defineSchema({ id: 1, tickMs: 1000, fields: { steps: { unit: 'count' } } })
const id = new Uint8Array(32).fill(1)
const network = { id, windowMs: 60_000 }
const start = Date.UTC(2026, 3, 13)
const retry = { minMs: 2, maxMs: 10 }

/** A device whose clock the test moves, in front of a node that answers. */
function setup(options: Partial<createDevice.Options<typeof schema>> = {}) {
  const time = { now: start }
  const clock = () => time.now
  const node = createTestNode({ network: id, clock })
  const signer = createSoftwareSigner()
  const device = createDevice({
    schema,
    signer,
    network,
    transport: toTransport(node),
    clock,
    maxAgeMs: Number.POSITIVE_INFINITY,
    retry,
    ...options,
  })
  return { clock, device, node, signer, time }
}

function rowsOf(batch: SignedBatch): Row[] {
  const checked = checkRecords(batch, schema)
  if (!checked.ok) throw new Error(checked.reason)
  return Array.from({ length: checked.rows.count }, (_, i) => rowAt(checked.rows, i))
}

function timesOf(batch: SignedBatch): number[] {
  return rowsOf(batch).map(({ time }) => time - start)
}

async function recordAll(device: Device<typeof schema>, times: number[]) {
  for (const time of times) await device.record({ steps: 1 }, { time: start + time })
}

/** Refuses or fails as the test says, else delivers. */
function script(
  transport: Transport,
  answers: ((() => Promise<readonly Transport.Delivery[]>) | undefined)[],
): Transport {
  return {
    ...transport,
    send: (batches, context) => (answers.shift() ?? (() => transport.send(batches, context)))(),
  }
}

/** Of a key from before this process. */
const privateKey = new Uint8Array(32).fill(7)

const problem: Problem = { status: 422, type: 'https://machinefi.dev/problems/fields', title: 'No' }

describe('record', () => {
  test('default', async () => {
    const { device, node, signer, time } = setup()
    await device.record({ steps: 12 })
    time.now += 1000
    await device.record({ steps: 13 })
    await device.flush()
    expect(node.batches).toHaveLength(1)
    const batch = node.batches[0]!
    expect(batch.header).toMatchObject({ count: 2, schema: 1, seq: 0, span: 1000, start })
    expect(batch.device).toEqual(device.address)
    const { algorithm, signature } = batch
    const message = sigStructure(batch, id)
    const { publicKey } = signer
    expect(await verifySignature({ algorithm, message, publicKey, signature })).toBe(true)
    expect(device.stats()).toMatchObject({ delivered: 1, nextSeq: 1, recorded: 2 })
    expect(device.stats().stored).toEqual(emptySize)
    await device.close()
  })

  test('behavior: times align down to the tick', async () => {
    const { device, node } = setup()
    await recordAll(device, [1999, 2000.5, 3001])
    await device.flush()
    expect(timesOf(node.batches[0]!)).toEqual([1000, 2000, 3000])
    await device.close()
  })

  test('behavior: takes the time of the call, in order, while the store opens', async () => {
    const memory = createMemoryStore()
    let open = () => {}
    const opened = new Promise<void>((resolve) => {
      open = resolve
    })
    const { device, node, time } = setup({
      store: {
        ...memory,
        open: async (identity) => {
          await opened
          return memory.open(identity)
        },
      },
    })
    const first = device.record({ steps: 1 })
    time.now += 5000
    const second = device.record({ steps: 2 })
    time.now += 5000
    open()
    await Promise.all([first, second])
    await device.flush()
    expect(timesOf(node.batches[0]!)).toEqual([0, 5000])
    await device.close()
  })

  test('error: tick taken', async () => {
    const { device, node } = setup()
    await recordAll(device, [1000])
    await expect(recordAll(device, [1999])).rejects.toMatchObject({
      kind: 'input',
      name: 'TickTakenError',
      time: start + 1000,
    })
    await recordAll(device, [2000])
    await device.flush()
    expect(timesOf(node.batches[0]!)).toEqual([1000, 2000])
    await device.close()
  })

  test('error: clock', async () => {
    const { device, time } = setup()
    await recordAll(device, [5000])
    const back = { name: 'ClockError', reason: 'backwards', time: start + 4999 }
    await expect(recordAll(device, [4999])).rejects.toMatchObject(back)
    const implausible = { name: 'ClockError', reason: 'implausible' }
    const chipReset = Date.UTC(2000)
    for (const now of [0, chipReset, Number.NaN, Number.POSITIVE_INFINITY, Date.UTC(2100), -1]) {
      time.now = now
      await expect(device.record({ steps: 1 })).rejects.toMatchObject(implausible)
    }
    time.now = start
    await expect(recordAll(device, [300_001])).rejects.toMatchObject(implausible)
    await recordAll(device, [300_000])
    expect(device.stats().recorded).toBe(2)
    await device.close()
  })

  test('error: a clock that leaps ahead, and readings go on when it is right again', async () => {
    const { device, node, time } = setup()
    await device.record({ steps: 1 })
    time.now = Date.UTC(2090)
    const ahead = { name: 'ClockError', reason: 'ahead', time: Date.UTC(2090) }
    await expect(device.record({ steps: 2 })).rejects.toMatchObject(ahead)
    await expect(device.record({ steps: 2 }, { time: time.now })).rejects.toMatchObject(ahead)
    time.now = start + 366 * 86_400_000
    await device.record({ steps: 3 })
    await device.flush()
    expect(node.batches).toHaveLength(2)
    await device.close()
  })

  test('options: maxJumpMs', async () => {
    const hour = setup({ maxJumpMs: 3_600_000 })
    await recordAll(hour.device, [0])
    hour.time.now += 3_601_000
    await expect(hour.device.record({ steps: 1 })).rejects.toMatchObject({ reason: 'ahead' })
    await hour.device.close()
    const { device, time } = setup({ maxJumpMs: Number.POSITIVE_INFINITY })
    await device.record({ steps: 1 })
    time.now = Date.UTC(2090)
    await device.record({ steps: 1 })
    await device.close()
  })

  test('error: a time among the values', async () => {
    const { device } = setup()
    const record = { time: start - 60_000, steps: 1 }
    await expect(device.record(record)).rejects.toMatchObject({
      field: 'time',
      name: 'UnknownFieldError',
    })
    expect(device.stats().recorded).toBe(0)
    await device.close()
  })

  test('behavior: readings recorded before the device was made', async () => {
    const { device, node } = setup()
    const time = Date.UTC(2008, 9, 23)
    await device.record({ steps: 1 }, { time })
    await device.flush()
    expect(node.batches[0]?.header.start).toBe(time)
    await device.close()
  })

  test('error: values', async () => {
    const { device } = setup()
    await expect(device.record({ steps: 1.5 })).rejects.toMatchObject({ name: 'InvalidValueError' })
    const unknown = { step: 1 } as object
    await expect(device.record(unknown)).rejects.toMatchObject({ name: 'UnknownFieldError' })
    await device.record({ steps: 1 })
    await device.close()
    await expect(device.record({ steps: 1 })).rejects.toMatchObject({ name: 'DeviceClosedError' })
    await expect(device.flush()).rejects.toMatchObject({ name: 'DeviceClosedError' })
  })

  test('error: no batch has room', async () => {
    const { device } = setup({ maxBytes: 6 })
    await expect(device.record({ steps: 65_536 })).rejects.toMatchObject({
      name: 'RowTooLargeError',
    })
    await device.record({ steps: 65_535 })
    await device.close()
  })

  test('error: store full', async () => {
    const away = async () => {
      throw new TransportError('away')
    }
    const { device, node } = setup({
      store: createMemoryStore({ maxBytes: 520 }),
      transport: { ...toTransport(createTestNode({ network: id })), send: away },
    })
    const times = Array.from({ length: 20 }, (_, i) => i * 1000)
    await expect(recordAll(device, times)).rejects.toMatchObject({ name: 'StoreFullError' })
    expect(device.stats().stored.rows).toBe(5)
    expect(node.batches).toHaveLength(0)
    await device.close()
  })

  test('error: options', () => {
    const bad: Partial<createDevice.Options<typeof schema>>[] = [
      { maxRows: 0 },
      { maxBytes: 1e6 },
      { maxAgeMs: 0 },
      { maxJumpMs: Number.NaN },
      { network: { id: new Uint8Array(31), windowMs: 1 } },
      { network: { id, windowMs: 0.5 } },
      { nextSeq: -1 },
    ]
    for (const options of bad) expect(() => setup(options)).toThrow(BaseError)
  })
})

describe('cutting', () => {
  test('behavior: by count', async () => {
    const { device, node } = setup({ maxRows: 3 })
    await recordAll(device, [0, 1000, 2000, 3000, 4000, 5000, 6000])
    await device.flush({ partial: false })
    expect(node.batches.map(({ header }) => header.count)).toEqual([3, 3])
    await device.flush()
    expect(node.batches.map(({ header }) => header.count)).toEqual([3, 3, 1])
    expect(node.batches.map(({ header }) => header.seq)).toEqual([0, 1, 2])
    await device.close()
  })

  test('behavior: by bytes, to the byte', async () => {
    for (const maxBytes of [20, 21, 99, 100, 101, 300, 4096]) {
      const { device, node, time } = setup({
        maxBytes,
        maxRows: 10_000,
        network: { id, windowMs: 1e9 },
      })
      for (let i = 0; i < 1500; i++) {
        const steps = [null, 0, 23, 24, -24, -25, 255, 256, 65_536, 2 ** 40, -(2 ** 32)][i % 11]!
        await device.record({ steps })
        time.now += [1, 23, 24, 300][i % 4]! * 1000
      }
      await device.flush()
      expect(node.batches.length).toBeGreaterThan(1)
      for (const [i, batch] of node.batches.entries()) {
        expect(batch.records!.length).toBeLessThanOrEqual(maxBytes)
        const next = node.batches[i + 1]
        if (next === undefined) continue
        const rows = [...rowsOf(batch), rowsOf(next)[0]!]
        const longer = encodeRows(rows, { start: batch.header.start, tickMs: schema.tickMs })
        expect(longer.length).toBeGreaterThan(maxBytes)
      }
      await device.close()
    }
  })

  test('behavior: at window boundaries, in UTC', async () => {
    const { device, node } = setup()
    await recordAll(device, [58_000, 59_999, 60_000, 61_000, 200_000])
    await device.flush()
    expect(node.batches.map(timesOf)).toEqual([[58_000, 59_000], [60_000, 61_000], [200_000]])
    await device.close()
  })

  test('behavior: by age, by the clock at the next reading', async () => {
    const { device, node, time } = setup({ maxAgeMs: 10_000 })
    for (const now of [0, 5000, 9000, 10_000, 11_000]) {
      time.now = start + now
      await device.record({ steps: 1 })
    }
    await device.flush()
    expect(node.batches.map(timesOf)).toEqual([
      [0, 5000, 9000],
      [10_000, 11_000],
    ])
    await device.close()
  })

  test('behavior: a timer cuts by age and at the end of the window', async () => {
    vi.useFakeTimers({ now: start })
    try {
      const { device, node } = setup({ clock: Date.now, maxAgeMs: 10_000 })
      await device.record({ steps: 1 })
      await vi.advanceTimersByTimeAsync(9999)
      expect(node.batches).toHaveLength(0)
      await vi.advanceTimersByTimeAsync(1)
      await vi.waitFor(() => expect(node.batches).toHaveLength(1))
      await vi.advanceTimersByTimeAsync(45_000)
      await device.record({ steps: 1 })
      await vi.advanceTimersByTimeAsync(5000)
      await vi.waitFor(() => expect(node.batches).toHaveLength(2))
      await device.close()
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  test('behavior: a reading that is stored after close sets no timer', async () => {
    vi.useFakeTimers({ now: start })
    try {
      const memory = createMemoryStore()
      const appendRow = async (row: Row) => {
        await null
        memory.appendRow(row)
      }
      const { device } = setup({ clock: Date.now, store: { ...memory, appendRow } })
      await Promise.all([device.record({ steps: 1 }), device.close()])
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('flush', () => {
  test('default: nothing recorded', async () => {
    const { device } = setup()
    await device.flush()
    await device.close()
  })

  test('behavior: waits through failures of transport', async () => {
    const errors: Error[] = []
    const { clock } = setup()
    const node = createTestNode({ network: id, clock })
    const transport = script(toTransport(node), [
      () => Promise.reject(new TransportError('away')),
      async () => [{ status: 'failed', error: new TransportError('busy') }],
    ])
    const { device } = setup({ transport, onError: (error) => errors.push(error) })
    await device.record({ steps: 1 })
    await device.flush()
    expect(errors.map(({ message }) => message)).toEqual(['away', 'busy'])
    expect(device.stats().lastError).toBeUndefined()
    await device.close()
  })

  test('options: timeoutMs', async () => {
    const { clock } = setup()
    const away = new TransportError('away')
    const transport = script(toTransport(createTestNode({ network: id, clock })), [
      () => Promise.reject(away),
    ])
    const { device } = setup({ transport, retry: { minMs: 100_000 } })
    await device.record({ steps: 1 })
    await expect(device.flush({ timeoutMs: 20 })).rejects.toMatchObject({
      cause: away,
      kind: 'transport',
      name: 'FlushTimeoutError',
    })
    expect(device.stats()).toMatchObject({ lastError: away, stored: { batches: 1 } })
    await device.close()
  })

  test('options: timeoutMs, and a refusal is told to who still waits', async () => {
    let answer = () => {}
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    const { clock } = setup()
    const transport = script(toTransport(createTestNode({ network: id, clock })), [
      async () => {
        await answered
        return [{ status: 'refused', problem, final: true }]
      },
    ])
    const { device } = setup({ transport })
    await device.record({ steps: 1 })
    await expect(device.flush({ timeoutMs: 5 })).rejects.toMatchObject({
      name: 'FlushTimeoutError',
    })
    answer()
    await vi.waitFor(() => expect(device.stats().stored.refused).toBe(1))
    await expect(device.flush()).rejects.toMatchObject({ name: 'RefusedError', problem })
    await device.close()
  })

  test('behavior: a node that asks for time gets it', async () => {
    vi.useFakeTimers({ now: start })
    try {
      let attempts = 0
      const send = async () => {
        attempts++
        throw new TransportError('busy', { retryAfterMs: 60_000 })
      }
      const node = createTestNode({ network: id })
      const { device } = setup({ transport: { ...toTransport(node), send } })
      await device.record({ steps: 1 })
      const flushed = device.flush().catch((error) => error)
      await vi.advanceTimersByTimeAsync(59_999)
      expect(attempts).toBe(1)
      await vi.advanceTimersByTimeAsync(11)
      expect(attempts).toBe(2)
      await device.close()
      expect(await flushed).toMatchObject({ name: 'DeviceClosedError' })
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  test('behavior: the pause grows, jittered, and stays bounded', async () => {
    vi.useFakeTimers({ now: start })
    try {
      const attempts: number[] = []
      const send = async () => {
        attempts.push(Date.now())
        throw new TransportError('away')
      }
      const node = createTestNode({ network: id })
      const { device } = setup({
        transport: { ...toTransport(node), send },
        retry: { minMs: 1000, maxMs: 8000 },
      })
      await device.record({ steps: 1 })
      device.flush().catch(() => {})
      await vi.advanceTimersByTimeAsync(60_000)
      await device.close()
      const pauses = attempts.slice(1).map((at, i) => at - attempts[i]!)
      for (const [i, pause] of pauses.entries()) {
        const ceiling = Math.min(8000, 1000 * 2 ** i)
        expect(pause).toBeGreaterThanOrEqual(ceiling / 2)
        expect(pause).toBeLessThanOrEqual(ceiling + 1)
      }
      expect(pauses.length).toBeGreaterThan(6)
    } finally {
      vi.useRealTimers()
    }
  })

  test('error: refused for good, kept aside, tried again, given up', async () => {
    const refused: number[] = []
    const { clock } = setup()
    const node = createTestNode({ network: id, clock })
    const no = async (): Promise<Transport.Delivery[]> => [
      { status: 'refused', problem, final: true },
    ]
    const transport = script(toTransport(node, { maxBatches: 1 }), [no, undefined, no])
    const { device } = setup({ transport, onRefused: ({ seq }) => refused.push(seq) })
    await device.record({ steps: 1 })
    await expect(device.flush()).rejects.toMatchObject({ name: 'RefusedError', problem })
    expect(refused).toEqual([0])
    expect(device.stats().stored).toMatchObject({ batches: 0, refused: 1 })
    expect(await device.refused()).toMatchObject([{ seq: 0, problem }])

    await recordAll(device, [1000])
    await device.flush()
    expect(node.batches.map(({ header }) => header.seq)).toEqual([1])

    await device.retryRefused()
    await expect(device.flush()).rejects.toMatchObject({ name: 'RefusedError' })
    await device.retryRefused()
    await device.flush()
    expect(node.batches.map(({ header }) => header.seq)).toEqual([1, 0])
    expect(await device.discardRefused()).toEqual([])
    expect(device.stats().stored.bytes).toBe(0)
    await device.close()
  })

  test('error: refused for now, delivered when the node allows it', async () => {
    const { clock } = setup()
    const node = createTestNode({ network: id, clock })
    const transport = script(toTransport(node), [
      async () => [{ status: 'refused', problem: { ...problem, status: 403 }, final: false }],
    ])
    const { device } = setup({ transport })
    await device.record({ steps: 1 })
    await expect(device.flush()).rejects.toMatchObject({ name: 'RefusedError' })
    await device.flush()
    expect(node.batches).toHaveLength(1)
    await device.close()
  })

  test('error: the signer fails; the rows keep their seq', async () => {
    const { clock } = setup()
    const node = createTestNode({ network: id, clock })
    const signer = createSoftwareSigner()
    let failures = 1
    const flaky = {
      ...signer,
      sign: async (message: Uint8Array) => {
        if (failures-- > 0) throw new Error('chip not found')
        return signer.sign(message)
      },
    }
    const { device } = setup({ signer: flaky, transport: toTransport(node) })
    await device.record({ steps: 1 })
    await expect(device.flush()).rejects.toThrow('chip not found')
    await device.flush()
    expect(node.batches.map(({ header }) => header.seq)).toEqual([0])
    await device.close()
  })
})

describe('refused for now', () => {
  const future: Problem = { ...problem, type: 'https://machinefi.dev/problems/future' }

  /** A transport of a node that does not take some batches for now. */
  function refuse(transport: Transport, isRefused: (batch: QueuedBatch) => boolean): Transport {
    return {
      ...transport,
      async send(batches, context) {
        const taken = batches.filter((batch) => !isRefused(batch))
        const receipts = [...(await transport.send(taken, context))]
        return batches.map((batch) => {
          if (!isRefused(batch)) return receipts.shift()!
          return { status: 'refused', problem: future, final: false }
        })
      },
    }
  }

  test('behavior: holds up none that came later', async () => {
    const { clock, node } = setup()
    let held = [0, 1, 3]
    const transport = refuse(toTransport(node, { maxBatches: 2 }), ({ seq }) => held.includes(seq))
    const { device } = setup({ clock, transport, maxRows: 1 })
    await recordAll(device, [0, 1000, 2000, 3000, 4000, 5000, 6000, 7000])
    const seqs = () => node.batches.map(({ header }) => header.seq)
    await vi.waitFor(() => expect(seqs()).toEqual([7, 2, 4, 5, 6]))
    await expect(device.flush()).rejects.toMatchObject({ name: 'RefusedError', problem: future })
    expect(device.stats().stored).toMatchObject({ batches: 3, refused: 0 })
    held = []
    await vi.waitFor(() => expect(seqs().toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]))
    await device.flush()
    await device.close()
  })

  test('behavior: pauses do not grow while others get through', async () => {
    const { clock, node } = setup()
    const online = toTransport(node, { maxBatches: 2 })
    let answer = () => {}
    const answering = new Promise<void>((resolve) => {
      answer = resolve
    })
    const send: Transport['send'] = async ([first, ...others], context) => {
      await answering
      const busy = { status: 'failed' as const, error: new TransportError('busy') }
      return [...(await online.send([first!], context)), ...others.map(() => busy)]
    }
    const { device } = setup({
      clock,
      transport: { ...online, send },
      maxRows: 1,
      retry: { minMs: 10, maxMs: 100_000 },
    })
    await recordAll(device, [0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000])
    await vi.waitFor(() => expect(device.stats().stored.batches).toBe(11))
    answer()
    await device.flush({ timeoutMs: 2000 })
    await device.close()
  })

  test('behavior: pauses grow while nothing gets through', async () => {
    vi.useFakeTimers({ now: start })
    try {
      let attempts = 0
      const transport = refuse(toTransport(createTestNode({ network: id })), () => {
        attempts++
        return true
      })
      const { device } = setup({ transport, retry: { minMs: 1000, maxMs: 8000 } })
      await device.record({ steps: 1 })
      device.flush().catch(() => {})
      await vi.advanceTimersByTimeAsync(60_000)
      await device.close()
      // Asked of each batch twice a request.
      expect(attempts / 2).toBeLessThan(20)
    } finally {
      vi.useRealTimers()
    }
  })

  test('behavior: discardFuture', async () => {
    const { clock, node, time } = setup()
    const transport = refuse(toTransport(node, { maxBatches: 1 }), ({ end }) => end > time.now)
    const { device } = setup({ clock, transport })
    await device.record({ steps: 1 })
    time.now += 30 * 86_400_000
    await device.record({ steps: 2 })
    time.now = start + 10_000
    await expect(device.record({ steps: 3 })).rejects.toMatchObject({ reason: 'backwards' })
    await expect(device.flush()).rejects.toMatchObject({ name: 'RefusedError' })
    const flushed = device.flush().catch(() => {})
    expect(await device.discardFuture()).toMatchObject([{ seq: 1 }])
    expect(await device.discardFuture()).toEqual([])
    await flushed
    time.now += 1000
    await device.record({ steps: 4 })
    await device.flush()
    expect(node.batches.map(({ header }) => header.seq)).toEqual([0, 2])
    expect(device.stats().stored).toEqual(emptySize)
    time.now = 0
    await expect(device.discardFuture()).rejects.toMatchObject({ reason: 'implausible' })
    await device.close()
  })
})

test('behavior: close is done when it says so, however often it is called', async () => {
  let closed = false
  const store = {
    ...createMemoryStore(),
    close: async () => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      closed = true
    },
  }
  const { device } = setup({ store })
  void device.close()
  await device.close()
  expect(closed).toBe(true)
})

describe('seq', () => {
  test('behavior: resumes above what the node has', async () => {
    const { clock, node, signer } = setup()
    const transport = toTransport(node)
    const first = setup({ signer, transport, clock })
    await recordAll(first.device, [0])
    await first.device.flush()
    await first.device.close()

    const second = setup({ signer, transport, clock })
    await recordAll(second.device, [1000])
    await second.device.flush()
    await second.device.close()
    const resumed = node.batches.at(-1)!.header.seq
    expect(resumed).toBeGreaterThanOrEqual(1 + transport.maxBatches)
    expect((resumed - 1) % transport.maxBatches).toBe(0)

    const third = setup({ signer, transport, clock, resumeGap: 0 })
    await recordAll(third.device, [2000])
    await third.device.flush()
    expect(node.batches.at(-1)!.header.seq).toBe(resumed + 1)
    await third.device.close()
  })

  test('behavior: a key generated in this process begins at 0, once, without asking', async () => {
    const { clock, node, signer } = setup()
    const { readDevice: _, ...transport } = toTransport(node)
    const first = setup({ signer, transport, clock })
    await recordAll(first.device, [0])
    await first.device.flush()
    await first.device.close()
    expect(node.batches.map(({ header }) => header.seq)).toEqual([0])

    const second = setup({ signer, transport, clock })
    await expect(recordAll(second.device, [1000])).rejects.toMatchObject({
      name: 'SequenceUnknownError',
    })
    await second.device.close()
    const elsewhere = { ...network, id: new Uint8Array(32).fill(2) }
    const other = setup({ signer, transport, clock, network: elsewhere })
    await recordAll(other.device, [1000])
    await other.device.close()
  })

  test('behavior: no seq is used twice though a batch of the run before is under way', async () => {
    const { clock, node } = setup()
    const transport = toTransport(node)
    const late: Uint8Array[] = []
    const slow: Transport = {
      ...transport,
      send: (batches) => {
        late.push(...batches.map(({ bytes }) => bytes))
        return Promise.reject(new TransportError('no answer', { retryAfterMs: 60_000 }))
      },
    }
    const signer = () => createSoftwareSigner({ privateKey })
    for (const run of [1, 2]) {
      const { device } = setup({ signer: signer(), transport: slow, clock })
      await recordAll(device, [1000 * run])
      device.flush().catch(() => {})
      await vi.waitFor(() => expect(late.length).toBe(run))
      await device.close()
    }
    const { device } = setup({ signer: signer(), transport, clock })
    await recordAll(device, [3000])
    await device.flush()
    await device.close()
    for (const bytes of late) await node.receive(bytes)
    expect(node.batches).toHaveLength(3)
  })

  test('behavior: the first run of a store that lasts begins at 0', async () => {
    const { clock, node } = setup()
    const store = { ...createMemoryStore(), lasting: true }
    const signer = createSoftwareSigner({ privateKey })
    const { device } = setup({ clock, signer, store, transport: toTransport(node) })
    await recordAll(device, [0])
    await device.flush()
    expect(node.batches.map(({ header }) => header.seq)).toEqual([0])
    await device.close()
  })

  test('behavior: records while the node is away, signs nothing until it knows', async () => {
    const { clock } = setup()
    const node = createTestNode({ network: id, clock })
    let away = true
    const readDevice = async () => {
      if (away) throw new TransportError('away')
      return { nextSeq: 41 }
    }
    const signer = createSoftwareSigner({ privateKey })
    const sign = vi.fn(signer.sign)
    const transport = { ...toTransport(node), readDevice }
    const { device } = setup({ transport, signer: { ...signer, sign }, maxRows: 1 })
    await recordAll(device, [0, 1000])
    await vi.waitFor(() => expect(device.stats().lastError).toBeDefined())
    expect(sign).not.toHaveBeenCalled()
    expect(device.stats()).toMatchObject({ nextSeq: undefined, stored: { rows: 2 } })
    away = false
    await device.flush()
    const [first, second] = node.batches.map(({ header }) => header.seq)
    expect(first).toBeGreaterThanOrEqual(51)
    expect(second).toBe(first! + 1)
    await device.close()
  })

  test('options: nextSeq', async () => {
    const { clock } = setup()
    const node = createTestNode({ network: id, clock })
    const { readDevice: _, ...transport } = toTransport(node)
    const { device } = setup({ transport, nextSeq: 7 })
    await device.record({ steps: 1 })
    await device.flush()
    expect(node.batches[0]!.header.seq).toBe(7)
    await device.close()
  })

  test('error: unknown', async () => {
    const { clock } = setup()
    const { readDevice: _, ...transport } = toTransport(createTestNode({ network: id, clock }))
    const { device } = setup({ transport, signer: createSoftwareSigner({ privateKey }) })
    const error = { name: 'SequenceUnknownError' }
    await expect(device.record({ steps: 1 })).rejects.toMatchObject(error)
    await expect(device.flush()).rejects.toMatchObject(error)
    await device.close()
  })

  test('behavior: reserved before signed', async () => {
    const memory = createMemoryStore()
    const calls: string[] = []
    const { clock } = setup()
    const node = createTestNode({ network: id, clock })
    const signer = createSoftwareSigner()
    const { device } = setup({
      transport: toTransport(node),
      signer: {
        ...signer,
        sign: (message) => {
          calls.push('sign')
          return signer.sign(message)
        },
      },
      store: {
        ...memory,
        reserve: async (seq, count) => {
          await new Promise((resolve) => setTimeout(resolve, 1))
          calls.push(`reserve ${seq} ${count}`)
          await memory.reserve(seq, count)
        },
      },
    })
    await recordAll(device, [0, 1000])
    await device.flush()
    expect(calls).toEqual(['reserve 0 2', 'sign'])
    await device.close()
  })
})

test('error: a published test key, but on a development chain', async () => {
  const signer = createSoftwareSigner({
    privateKey: Uint8Array.from({ length: 32 }, (_, i) => +(i === 31)),
  })
  for (const chainId of [undefined, 1, 4689])
    expect(() => setup({ signer, network: { ...network, chainId } })).toThrow(
      expect.objectContaining({ kind: 'input', name: 'InvalidDeviceError' }),
    )
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  const { device } = setup({ signer, network: { ...network, chainId: 31_337 } })
  expect(warn.mock.calls).toEqual([[expect.stringContaining('published')]])
  warn.mockRestore()
  await device.close()
})
