import { setTimeout as sleep } from 'node:timers/promises'
import { BaseError, formatDid } from '@machinefi/core'
import { batchId, decodeBatch, formatScaled, type Schema } from '@machinefi/telemetry'
import type { Device } from '../device/createDevice.js'
import { TickTakenError } from '../device/errors.js'
import { StoreFullError } from '../stores/store.js'
import { TransportError } from '../transports/errors.js'
import type { QueuedBatch, Transport } from '../transports/transport.js'
import { createFrameReader } from './createFrameReader.js'
import { decodeReading } from './decodeReading.js'
import { encodeFrame, type Frame, frameTypes } from './encodeFrame.js'
import { type Line, LineError } from './line.js'

/**
 * Stands between a board on a serial line and the network, see docs/protocol/serial.md. Readings
 * become those of `device`, which signs them; batches that the board signed go to the node as they
 * are. A line that ends is opened again, for as long as the bridge lives.
 *
 * What the board is told: a reading is acknowledged when `record` resolved; a batch when its
 * receipt was verified; what will never be taken is refused; nothing is said of what may yet
 * succeed, so the board sends it again if it cares.
 *
 * A frame is lost when the line spoilt it: the numbers tell. `stats().lost` counts them.
 */
export function createBridge(options: createBridge.Options): Bridge {
  const { clock = Date.now, open, retry: { minMs = 100, maxMs = 5000 } = {} } = options
  const { onBatch, onError, onLost, relay } = options
  const abort = new AbortController()
  const stats = {
    batches: 0,
    damaged: 0,
    frames: 0,
    lost: 0,
    open: false,
    readings: 0,
    refused: 0,
    repeated: 0,
    restarts: 0,
  }
  let line: Line | undefined
  /** Number of the newest frame; undefined before the first. */
  let newest: number | undefined
  /** What became of the newest frame, so that the same one sent again is taken once. */
  let fate: 'open' | 'taken' | 'failed' = 'failed'
  /** What its hello asked for; acks while no hello was seen. */
  let wants: number = wanted.acks
  /** Since the newest frame, the line brought something that was none. */
  let torn = false
  const closed = run()
  closed.catch(() => {})

  async function run() {
    let failures = 0
    while (!abort.signal.aborted) {
      try {
        line = await open()
        if (abort.signal.aborted) break
        failures = 0
        stats.open = true
        await read(line)
      } catch (error) {
        if (abort.signal.aborted) break
        stats.open = false
        await line?.close()
        line = undefined
        if (!(error instanceof LineError)) throw error
        // One word about a line that stays away.
        if (failures++ === 0) onError?.(error as Error)
        const delayMs = Math.min(maxMs, minMs * 2 ** Math.min(failures - 1, 30))
        await sleep(delayMs, undefined, { signal: abort.signal }).catch(() => {})
      }
    }
    stats.open = false
    await line?.close()
  }

  async function read({ bytes }: Line) {
    const reader = createFrameReader()
    const chunks = bytes[Symbol.asyncIterator]()
    try {
      for (;;) {
        const { done, value } = await chunks.next().catch((cause) => {
          throw new LineError('The line broke.', { cause })
        })
        if (done) throw new LineError('The line ended.')
        for (const { frame } of reader.push(value))
          if (frame === undefined) damage()
          else take(frame)
      }
    } finally {
      if (reader.close()) damage()
    }
  }

  function damage() {
    stats.damaged++
    torn = true
  }

  function lose(frames: number) {
    if (frames === 0) return
    stats.lost += frames
    onLost?.(frames)
  }

  function take(frame: Frame) {
    const { number, type } = frame
    if (type === frameTypes.hello) return greet(frame)
    // An answer to whoever had the line before: it has no place in the count.
    if (type === frameTypes.registration) return
    const step = newest === undefined ? 1 : (number - newest) & 0xffff
    if (step === 0) {
      stats.repeated++
      if (fate === 'taken') return answer(frameTypes.ack, number)
      if (fate === 'open') return
    } else {
      stats.frames++
      // Half of all numbers are ahead. One from behind is a board that started again, and whose
      // hello, number 0, was lost.
      if (step < 0x8000) lose(step - 1)
      else {
        stats.restarts++
        lose(number)
      }
    }
    torn = false
    newest = number
    fate = 'open'
    const settled = type === frameTypes.reading ? record(frame) : forward(frame)
    settled.catch((error) => {
      settle(number, 'failed')
      onError?.(error)
    })
  }

  /** The board started: its numbers begin anew, and what it was sending then is lost. */
  function greet({ body, number }: Frame) {
    stats.frames++
    if (newest !== undefined && newest !== number) {
      stats.restarts++
      lose(torn ? 1 : 0)
    }
    torn = false
    newest = number
    fate = 'taken'
    if (body[0] !== serialVersion) {
      onError?.(new BoardVersionError(body[0]))
      return answer(frameTypes.refused, number, encodeStatus(505))
    }
    wants = body[1] ?? 0
    tellTime(number)
  }

  function tellTime(number: number) {
    const time = new Uint8Array(8)
    new DataView(time.buffer).setBigUint64(0, BigInt(Math.floor(clock())))
    answer(frameTypes.clock, number, time)
  }

  async function record({ body, number }: Frame) {
    const { device, schema } = options
    if (device === undefined || schema === undefined) return refuse(number, 501)
    const { fields, tickMs } = schema
    const now = clock()
    let reading: ReturnType<typeof decodeReading>
    try {
      reading = decodeReading(body, fields.length)
    } catch (error) {
      return refuse(number, 400, error)
    }
    const values = Object.fromEntries(
      fields.map(({ name, scale }, i) => {
        const value = reading.values[i] ?? null
        return [name, value === null ? null : formatScaled(value, scale)]
      }),
    )
    const time = now - reading.ageMs
    try {
      await device.record(values, { time }).catch((error) => {
        // Clocks of board and host differ, and bytes take their time: a reading a tick may fall
        // into the tick of the one before. The next one is at most a tick off.
        if (!(error instanceof TickTakenError)) throw error
        return device.record(values, { time: time + tickMs })
      })
    } catch (error) {
      if (error instanceof StoreFullError) throw error
      if (error instanceof BaseError && error.kind === 'input') return refuse(number, 409, error)
      throw error
    }
    stats.readings++
    settle(number, 'taken')
    answer(frameTypes.ack, number)
  }

  async function forward({ body, number, type }: Frame) {
    if (type !== frameTypes.batch || relay === undefined) return refuse(number, 501)
    const { network, transport } = relay
    let batch: QueuedBatch
    let device: Uint8Array
    try {
      const decoded = decodeBatch(body)
      device = decoded.device
      const { seq, span, start } = decoded.header
      batch = { bytes: decoded.bytes, end: start + span, id: batchId(decoded, network), seq }
    } catch (error) {
      return refuse(number, 400, error)
    }
    const context = { clock, network, signal: abort.signal }
    const [delivery] = await transport.send([batch], context)
    if (delivery?.status === 'delivered') {
      stats.batches++
      settle(number, 'taken')
      onBatch?.({ did: formatDid(device), index: delivery.index, seq: batch.seq })
      if (wants & wanted.receipts) answer(frameTypes.receipt, number, delivery.receipt)
      else answer(frameTypes.ack, number)
      // A board that signs needs the time, and its own drifts.
      if (wants !== 0) tellTime(number)
    } else if (delivery?.status === 'refused' && delivery.final)
      refuse(number, delivery.problem.status)
    else if (delivery?.status === 'failed') throw delivery.error
    else throw new TransportError('The node does not take the batch now.')
  }

  /** It will never be taken: the board may forget it. */
  function refuse(number: number, status: number, cause?: unknown) {
    stats.refused++
    settle(number, 'taken')
    onError?.(new FrameRefusedError(number, status, cause))
    answer(frameTypes.refused, number, encodeStatus(status))
  }

  function settle(number: number, outcome: typeof fate) {
    if (newest === number) fate = outcome
  }

  function answer(type: number, number: number, body: Uint8Array = new Uint8Array(0)) {
    if (wants === 0 && type !== frameTypes.clock) return
    // A line that is gone takes the answer with it: the board asks again.
    line?.write(encodeFrame({ body, number, type })).catch(() => {})
  }

  return {
    closed,
    stats: () => ({ ...stats }),
    async close() {
      abort.abort()
      await line?.close()
      await closed.catch(() => {})
    },
  }
}

export declare namespace createBridge {
  type Options = {
    /** Opens the line: at the start, and whenever it ended. Rejects with LineError to be asked again. */
    open: () => Promise<Line>
    /** Signs the readings of the board. Without one they are refused. */
    device?: Pick<Device, 'record'> | undefined
    /** Of `device`. */
    schema?: Schema | undefined
    /** Where batches go that the board signed. Without it they are refused. */
    relay?: { network: Uint8Array; transport: Transport } | undefined
    /** Milliseconds since the Unix epoch. @default Date.now */
    clock?: (() => number) | undefined
    /** Pauses before the line is opened again: the first, and the longest. @default 0.1 s, 5 s */
    retry?: { minMs?: number | undefined; maxMs?: number | undefined } | undefined
    /** A batch that the board signed is in the node's log: the receipt was verified. */
    onBatch?: ((delivered: { did: string; index: number; seq: number }) => void) | undefined
    /** The line is gone, a frame was refused, a reading not stored, a batch not delivered. */
    onError?: ((error: Error) => void) | undefined
    /** Frames that did not arrive. */
    onLost?: ((frames: number) => void) | undefined
  }
}

export type Bridge = {
  /** Resolves when the bridge is closed; rejects if the line can never be opened. */
  readonly closed: Promise<void>
  stats(): Bridge.Stats
  /** Closes the line. Closes neither device nor transport. */
  close(): Promise<void>
}

export declare namespace Bridge {
  type Stats = {
    /** Whether the line is open. */
    open: boolean
    /** Whole frames, repetitions left out. */
    frames: number
    /** Frames that the numbers say were sent and did not arrive. */
    lost: number
    /** Stretches of bytes that were no frame. Noise between frames costs nothing but this. */
    damaged: number
    /** Frames that the board sent again. */
    repeated: number
    /** Times that the board started anew. */
    restarts: number
    /** Readings stored for signing. */
    readings: number
    /** Batches of the board's own with a verified receipt. */
    batches: number
    /** Frames that will never be taken. */
    refused: number
  }
}

/** The board speaks another version of the protocol. */
export class BoardVersionError extends BaseError {
  override readonly name = 'BoardVersionError'
  constructor(version: number | undefined) {
    super(`The board speaks version ${version} of the serial protocol, not ${serialVersion}.`, {
      kind: 'input',
    })
  }
}

/** A frame arrived whole, and what is in it will never be taken. */
export class FrameRefusedError extends BaseError {
  override readonly name = 'FrameRefusedError'
  /** As the board was told: 400 malformed, 409 no tick for it, 501 not served here, or the node's. */
  readonly status: number
  constructor(number: number, status: number, cause: unknown) {
    super(`Frame ${number} was refused: ${reasons[status] ?? `the node answered ${status}`}.`, {
      cause,
      kind: 'input',
      metaMessages: cause instanceof BaseError ? [cause.shortMessage] : [],
    })
    this.status = status
  }
}

const serialVersion = 1

/** What a hello may ask for. */
const wanted = { acks: 1, receipts: 2 } as const

const reasons: { readonly [status: number]: string | undefined } = {
  400: 'it is malformed',
  409: 'its time cannot be taken',
  501: 'nothing here takes its kind',
}

function encodeStatus(status: number): Uint8Array {
  return Uint8Array.of(status >> 8, status)
}
