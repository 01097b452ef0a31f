import { PassThrough } from 'node:stream'
import { concatBytes } from '@machinefi/core'
import { verifyReceipt } from '@machinefi/proof'
import { batchId, defineSchema, encodeRows, signBatch } from '@machinefi/telemetry'
import { describe, expect, test, vi } from 'vitest'
import { createTestNode, toTransport } from '../../test/createTestNode.js'
import { createDevice } from '../device/createDevice.js'
import { createSoftwareSigner } from '../signers/createSoftwareSigner.js'
import { createMemoryStore } from '../stores/createMemoryStore.js'
import { StoreFullError } from '../stores/store.js'
import type { Transport } from '../transports/transport.js'
import { type Bridge, createBridge } from './createBridge.js'
import { createFrameReader } from './createFrameReader.js'
import { encodeFrame, type Frame, frameTypes } from './encodeFrame.js'
import { LineError } from './line.js'

const { ack, batch: batchType, clock, hello, reading, receipt, refused, registration } = frameTypes
const weather = defineSchema({
  id: 1,
  tickMs: 1000,
  fields: { temp: { unit: 'Cel', scale: 1 }, rain: { unit: 'mm' } },
})
const network = new Uint8Array(32).fill(7)
const began = 1_700_000_000_000

/** A bridge, and the board's end of its line. */
function start(options: { transport?: Partial<Transport>; maxBytes?: number; key?: boolean } = {}) {
  let now = began
  const node = createTestNode({ clock: () => now, network })
  const transport: Transport = { ...toTransport(node), ...options.transport }
  const signer = createSoftwareSigner()
  const device = createDevice({
    clock: () => now,
    network: { id: network, windowMs: 86_400_000 },
    schema: weather,
    signer,
    store: createMemoryStore({ maxBytes: options.maxBytes ?? 1e6 }),
    transport,
  })
  const errors: Error[] = []
  const answers: Frame[] = []
  let line = new PassThrough()
  const reader = createFrameReader()
  const bridge = createBridge({
    clock: () => now,
    device: options.key === false ? undefined : device,
    onError: (error) => errors.push(error),
    open: async () => {
      line = new PassThrough()
      return {
        bytes: line,
        close: async () => void line.end(),
        write: async (bytes) => {
          for (const { frame } of reader.push(bytes)) if (frame) answers.push(frame)
        },
      }
    },
    relay: { network, transport },
    retry: { maxMs: 1, minMs: 1 },
    schema: weather,
  })
  const until = (stats: Partial<Bridge.Stats>) =>
    vi.waitFor(() => expect(bridge.stats()).toMatchObject(stats))
  return {
    answers,
    bridge,
    device,
    errors,
    node,
    signer,
    until,
    send: async (type: number, number: number, body: Uint8Array = new Uint8Array(0)) => {
      await until({ open: true })
      line.write(encodeFrame({ body, number, type }))
    },
    noise: (bytes: Uint8Array) => line.write(bytes),
    cut: () => line.end(),
    advance: (ms: number) => {
      now += ms
    },
    answered: (type: number, number: number) =>
      vi.waitFor(() => expect(answers).toContainEqual(expect.objectContaining({ number, type }))),
    async [Symbol.asyncDispose]() {
      await bridge.close()
      await device.close()
    },
  }
}

function encodeReading(ageMs: number, ...values: (number | null)[]): Uint8Array {
  return encodeRows([{ time: ageMs, values }], { start: 0, tickMs: 1 }).slice(1)
}

const greeting = Uint8Array.of(1, 1)

test('default', async () => {
  await using t = start()
  await t.send(hello, 0, greeting)
  await t.answered(clock, 0)
  expect(new DataView(t.answers[0]!.body.slice().buffer).getBigUint64(0)).toBe(BigInt(began))
  t.advance(10_000)
  await t.send(reading, 1, encodeReading(2_500, 205, null))
  await t.answered(ack, 1)
  await t.device.flush()
  expect(t.node.batches).toHaveLength(1)
  const [batch] = t.node.batches
  expect(batch!.header).toMatchObject({ count: 1, start: began + 7_000 })
  expect(batch!.records).toEqual(Uint8Array.of(0x81, 0x83, 0, 0x18, 205, 0xf6))
  await t.until({ damaged: 0, frames: 2, lost: 0, readings: 1, refused: 0, restarts: 0 })
})

describe('loss', () => {
  const send = async (t: ReturnType<typeof start>, ...numbers: number[]) => {
    for (const number of numbers) {
      t.advance(1000)
      await t.send(reading, number, encodeReading(0, 1, 1))
      await t.answered(ack, number)
      t.answers.length = 0
    }
  }

  test('behavior: missing numbers are counted, also across 65,535', async () => {
    await using t = start()
    await send(t, 65_530, 65_531, 65_534)
    await t.until({ lost: 2 })
    await send(t, 1)
    await t.until({ frames: 4, lost: 4, readings: 4, restarts: 0 })
  })

  test('behavior: a frame that was torn by a restart is counted', async () => {
    await using t = start()
    await t.send(hello, 0, greeting)
    await send(t, 1, 2)
    t.noise(encodeFrame({ body: encodeReading(0, 1, 1), number: 3, type: reading }).slice(0, 6))
    await t.send(hello, 0, greeting)
    await send(t, 1)
    await t.until({ damaged: 1, lost: 1, restarts: 1 })
  })

  test('behavior: a restart between frames loses none, and a repeated hello is no restart', async () => {
    await using t = start()
    for (let i = 0; i < 3; i++) await t.send(hello, 0, greeting)
    await send(t, 1, 2)
    for (let i = 0; i < 3; i++) await t.send(hello, 0, greeting)
    await send(t, 1)
    await t.until({ lost: 0, readings: 3, restarts: 1 })
  })

  test('behavior: a restart whose hello was lost', async () => {
    await using t = start()
    await t.send(hello, 0, greeting)
    await send(t, 1, 2, 3, 4, 2, 3)
    // The hello, and frame 1.
    await t.until({ lost: 2, readings: 6, restarts: 1 })
  })

  test('behavior: noise between frames costs nothing', async () => {
    await using t = start()
    await send(t, 1)
    for (let i = 0; i < 100; i++) t.noise(Uint8Array.of(i, 0, 0x55, 0xff, 0, 0))
    await send(t, 2)
    await t.until({ lost: 0, readings: 2 })
  })

  test('behavior: a late registration is none of the messages', async () => {
    await using t = start()
    await send(t, 1)
    await t.send(registration, 0, new Uint8Array(84))
    await send(t, 2)
    await t.until({ frames: 2, lost: 0, refused: 0, restarts: 0 })
  })

  test('behavior: a line that ends is opened again, and the numbers go on', async () => {
    await using t = start()
    await send(t, 1, 2)
    t.noise(Uint8Array.of(0, 3, 2))
    t.cut()
    await vi.waitFor(() => expect(t.errors).toHaveLength(1))
    expect(t.errors[0]).toBeInstanceOf(LineError)
    await send(t, 4)
    await t.until({ damaged: 1, lost: 1, readings: 3 })
  })
})

describe('readings', () => {
  test('behavior: one that comes again is acknowledged again, and taken once', async () => {
    await using t = start()
    const body = encodeReading(0, 1, 1)
    // The second comes while the first is being stored: one answer is enough for both.
    for (let i = 0; i < 2; i++) await t.send(reading, 1, body)
    await t.until({ frames: 1, readings: 1, repeated: 1 })
    await t.send(reading, 1, body)
    await vi.waitFor(() => expect(t.answers.map(({ type }) => type)).toEqual([ack, ack]))
    await t.until({ frames: 1, readings: 1, repeated: 2 })
  })

  test('behavior: the second in a tick goes to the next; the third is refused', async () => {
    await using t = start()
    await t.send(reading, 1, encodeReading(0, 1, 1))
    await t.send(reading, 2, encodeReading(0, 2, 2))
    await t.answered(ack, 2)
    await t.send(reading, 3, encodeReading(0, 3, 3))
    await t.answered(refused, 3)
    expect(t.answers.at(-1)!.body).toEqual(Uint8Array.of(409 >> 8, 409 & 0xff))
    await t.until({ readings: 2, refused: 1 })
  })

  test.each([
    ['too few values', encodeReading(0, 1)],
    ['too many values', encodeReading(0, 1, 2, 3)],
    ['bytes after the end', concatBytes(encodeReading(0, 1, 2), Uint8Array.of(0))],
    ['no shortest integer', Uint8Array.of(0x83, 0x18, 1, 1, 2)],
    ['no integer', Uint8Array.of(0x83, 0, 0xf5, 2)],
    ['an age of 2^53', Uint8Array.of(0x83, 0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0, 1, 2)],
    ['nothing', new Uint8Array(0)],
  ])('error: %s', async (_, body) => {
    await using t = start()
    await t.send(reading, 1, body)
    await t.answered(refused, 1)
    expect(t.answers[0]!.body).toEqual(Uint8Array.of(400 >> 8, 400 & 0xff))
    expect(t.errors).toMatchObject([{ name: 'FrameRefusedError', status: 400 }])
  })

  test('error: a full store answers nothing, and the board may try again', async () => {
    await using t = start({ maxBytes: 10 })
    for (let i = 1; i <= 2; i++) {
      await t.send(reading, 1, encodeReading(0, 1, 1))
      await vi.waitFor(() => expect(t.errors).toHaveLength(i))
    }
    expect(t.errors[1]).toBeInstanceOf(StoreFullError)
    expect(t.answers).toEqual([])
    await t.until({ readings: 0, refused: 0, repeated: 1 })
  })

  test('error: no device', async () => {
    await using t = start({ key: false })
    await t.send(reading, 1, encodeReading(0, 1, 1))
    await t.answered(refused, 1)
  })
})

test('behavior: a board that wants no answers gets the clock alone', async () => {
  await using t = start()
  await t.send(hello, 0, Uint8Array.of(1, 0))
  await t.send(reading, 1, encodeReading(0, 1, 1))
  await t.send(reading, 2, encodeReading(0, 1))
  await t.until({ readings: 1, refused: 1 })
  expect(t.answers.map(({ type }) => type)).toEqual([clock])
})

describe('batches', () => {
  const sign = async (t: ReturnType<typeof start>) =>
    (
      await signBatch({
        network,
        rows: [{ time: began, values: [1, 2] }],
        schema: weather,
        seq: 0,
        signer: t.signer,
      })
    ).bytes

  test('default', async () => {
    await using t = start()
    const bytes = await sign(t)
    await t.send(batchType, 1, bytes)
    await t.answered(ack, 1)
    expect(t.node.batches.map(({ bytes }) => bytes)).toEqual([bytes])
    await t.answered(clock, 1)
    await t.until({ batches: 1 })
  })

  test('behavior: the receipt itself, where the hello asked for it', async () => {
    await using t = start()
    await t.send(hello, 0, Uint8Array.of(1, 3))
    await t.send(batchType, 1, await sign(t))
    await t.answered(receipt, 1)
    const [batch] = t.node.batches
    const { logKey: publicKey, operator } = t.node
    const id = batchId(batch!, network)
    const { body } = t.answers.find(({ type }) => type === receipt)!
    expect(await verifyReceipt(body, { id, network, operator, publicKey })).toMatchObject({
      ok: true,
    })
  })

  test('behavior: a node that is away: no answer, until the batch comes again', async () => {
    let calls = 0
    await using t = start({
      transport: {
        async send(batches, context) {
          if (calls++ === 0) throw new LineError('away')
          return toTransport(t.node).send(batches, context)
        },
      },
    })
    const bytes = await sign(t)
    await t.send(batchType, 1, bytes)
    await vi.waitFor(() => expect(t.errors).toHaveLength(1))
    expect(t.answers).toEqual([])
    await t.send(batchType, 1, bytes)
    await t.answered(ack, 1)
  })

  test('error: refused by the node', async () => {
    const problem = { status: 422, title: 'no', type: 'about:blank' }
    await using t = start({
      transport: { send: async () => [{ final: true, problem, status: 'refused' }] },
    })
    await t.send(batchType, 1, await sign(t))
    await t.answered(refused, 1)
    expect(t.answers[0]!.body).toEqual(Uint8Array.of(422 >> 8, 422 & 0xff))
  })

  test('error: no batch', async () => {
    await using t = start()
    await t.send(batchType, 1, Uint8Array.of(1, 2, 3))
    await t.answered(refused, 1)
  })
})

test('error: another version', async () => {
  await using t = start()
  await t.send(hello, 0, Uint8Array.of(2, 0))
  await t.answered(refused, 0)
  expect(t.errors).toMatchObject([{ name: 'BoardVersionError' }])
})

test('error: a line that can never be opened ends the bridge', async () => {
  const bridge = createBridge({
    open: async () => {
      throw new TypeError('no such module')
    },
  })
  await expect(bridge.closed).rejects.toThrow('no such module')
  await bridge.close()
})

test('behavior: closed while the line stays away', async () => {
  const errors: Error[] = []
  const bridge = createBridge({
    onError: (error) => errors.push(error),
    open: async () => {
      throw new LineError('Nothing is there.')
    },
    retry: { maxMs: 60_000, minMs: 60_000 },
  })
  await vi.waitFor(() => expect(errors).toHaveLength(1))
  await bridge.close()
  await bridge.closed
})
