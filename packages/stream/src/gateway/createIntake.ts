import { timingSafeEqual } from 'node:crypto'
import { BaseError, fromHex, toHex } from '@machinefi/core'
import { createDevice, type Device, StoreFullError, type Transport } from '@machinefi/device'
import { openFileStore, openKeyFile } from '@machinefi/device/node'
import type { Schema } from '@machinefi/telemetry'
import { ProblemError } from '../http/openServer.js'
import { createReadingsMac } from './createReadingsMac.js'
import {
  type GatewayDevice,
  type GatewayStore,
  keyFileOf,
  outboxOf,
  type UsedCounter,
} from './openGatewayStore.js'
import { toReadings } from './toReadings.js'

/**
 * The one way of a message into the gateway, whatever brought it: authentic →
 * not revoked → not too many → counter new, and used up durably → readings →
 * each durably in the outbox.
 *
 * The newest message of a device may come again, as networks and devices make
 * it: it is answered as before, and what of it is stored already is not stored
 * again. So a crash at any moment leaves a message that is not acknowledged for
 * the device to send again, and no reading twice.
 */
export function createIntake(options: createIntake.Options): Intake {
  const { clock, finalAfterMs, limits, onError, store, transport } = options
  const { onDelivered, onRefused } = options
  const lines = new Map<string, Promise<Line>>()
  const stats = { authentic: 0, readings: 0, refused: 0 }
  const reasons: Record<string, number> = {}
  let queue: Use[] = []
  let closing = false

  async function take(message: Intake.Message): Promise<Intake.Taken> {
    try {
      const { device, newest } = authenticate(message)
      stats.authentic++
      if (device.revokedAt !== undefined) throw new ProblemError('revoked')
      if (closing) throw new ProblemError('unavailable', 'The gateway is shutting down.', 5)
      const line = await lineOf(device)
      spend(line)
      if (line.pending >= maxPending) throw new ProblemError('overloaded', undefined, 1)
      line.pending++
      const taken = line.tail.then(() => takeNext(line, newest, message.body))
      line.tail = taken
        .catch(() => {})
        .then(() => {
          line.pending--
        })
      return await taken
    } catch (error) {
      stats.refused++
      const reason = error instanceof ProblemError ? error.problem.reason : 'internal'
      reasons[reason] = (reasons[reason] ?? 0) + 1
      throw error
    }
  }

  /** Says no more of a device that is not known than of a key that is wrong. */
  function authenticate({ body, counter, device, mac }: Intake.Message) {
    if (!/^0x[0-9a-f]{40}$/.test(device))
      throw new ProblemError('parameter', 'The device is not 0x and 40 hex digits in lower case.')
    const count = /^(0|[1-9]\d{0,15})$/.test(counter) ? Number(counter) : Number.NaN
    if (!Number.isSafeInteger(count))
      throw new ProblemError('parameter', 'The counter is not an integer in 0 … 2^53 − 1.')
    if (!/^[0-9a-f]{64}$/.test(mac))
      throw new ProblemError('parameter', 'The mac is not 64 hex digits in lower case.')
    const address = fromHex(device as `0x${string}`)
    const found = store.find(address)
    const { network, sharedKey: key } = found ?? nobody
    const expected = createReadingsMac({ body, counter: count, device: address, key, network })
    const given = fromHex(`0x${mac}`)
    const isRight = timingSafeEqual(expected, given)
    if (!isRight || found === undefined) throw new ProblemError('mac')
    return { device: found, newest: { address, counter: count, mac: given } }
  }

  /** A bucket that fills by the rate; only who has the key can empty it. */
  function spend(line: Line) {
    const now = performance.now()
    const { burst, messagesPerMinute } = limits
    const perMs = messagesPerMinute / 60_000
    line.tokens = Math.min(burst, line.tokens + (now - line.filledAt) * perMs)
    line.filledAt = now
    if (line.tokens < 1) {
      const seconds = Math.ceil((1 - line.tokens) / perMs / 1000)
      throw new ProblemError('rate', `At most ${messagesPerMinute} messages a minute.`, seconds)
    }
    line.tokens--
  }

  async function takeNext(
    line: Line,
    message: Pick<UsedCounter, 'address' | 'counter' | 'mac'>,
    body: Uint8Array,
  ): Promise<Intake.Taken> {
    const { address, counter, mac } = message
    const { newest, revokedAt } = store.find(address)!
    if (revokedAt !== undefined) throw new ProblemError('revoked')
    const isAgain = counter === newest?.counter && timingSafeEqual(mac, newest.mac)
    const { lastTime, receivedAt } = isAgain
      ? newest
      : { lastTime: line.lastTime, receivedAt: Math.floor(clock()) }
    if (!isAgain && !(await use({ ...message, lastTime, receivedAt }))) {
      const latest = store.find(address)!
      if (latest.revokedAt !== undefined) throw new ProblemError('revoked')
      throw new ProblemError('replayed', `The newest one is ${latest.newest!.counter}.`)
    }
    const { maxAheadMs, maxReadings } = limits
    const readings = toReadings(body, {
      lastTime,
      maxAheadMs,
      maxJumpMs,
      maxReadings,
      now: receivedAt,
      schema: line.schema,
    })
    for (const { time, values } of readings) {
      // Stored when the message came the first time.
      if (line.lastTime !== undefined && time <= line.lastTime) continue
      await line.device.record(values, { time }).catch((error) => {
        if (error instanceof StoreFullError)
          throw new ProblemError('overloaded', 'The outbox of the device is full.', 60)
        if (error instanceof BaseError && error.kind === 'input')
          throw new ProblemError('senml', error.shortMessage)
        throw error
      })
      stats.readings++
    }
    return { counter, readings: readings.length }
  }

  /** Messages that come together share a commit. */
  function use(used: UsedCounter): Promise<boolean> {
    return new Promise((resolve, reject) => {
      queue.push({ reject, resolve, used })
      if (queue.length === 1) setImmediate(commit)
    })
  }

  function commit() {
    const taken = queue
    queue = []
    try {
      const results = store.use(taken.map(({ used }) => used))
      for (const [i, { resolve }] of taken.entries()) resolve(results[i]!)
    } catch (error) {
      for (const { reject } of taken) reject(error)
    }
  }

  function lineOf({ address, network }: GatewayDevice): Promise<Line> {
    const name = toHex(address)
    let line = lines.get(name)
    if (line === undefined) {
      line = openLine(address, network)
      lines.set(name, line)
      line.catch(() => lines.delete(name))
    }
    return line
  }

  async function openLine(address: Uint8Array, id: Uint8Array): Promise<Line> {
    const network = store.network(id)
    const files = openFileStore(outboxOf(store.directory, address), {
      maxBytes: limits.maxOutboxBytes,
      // What was acknowledged is not dropped.
      whenFull: 'reject',
    })
    const line: Line = {
      device: undefined as never,
      filledAt: performance.now(),
      lastTime: undefined,
      pending: 0,
      schema: network.schema,
      tail: Promise.resolve(),
      tokens: limits.burst,
    }
    line.device = createDevice({
      clock,
      maxAgeMs: limits.maxAgeMs,
      maxAheadMs: limits.maxAheadMs,
      maxJumpMs,
      network: { ...network, finalAfterMs },
      onDelivered: onDelivered && (({ index, seq }) => onDelivered({ address, index, seq })),
      onError,
      onRefused: onRefused && (({ problem, seq }) => onRefused({ address, problem, seq })),
      schema: network.schema,
      signer: await openKeyFile(keyFileOf(store.directory, address), { algorithm: 'ES256' }),
      store: {
        ...files,
        async open(...args) {
          const contents = await files.open(...args)
          line.lastTime = contents.lastTime
          return contents
        },
        async appendRow(row) {
          await files.appendRow(row)
          line.lastTime = row.time
        },
      },
      transport,
    })
    try {
      // What the node has refused may pass by now.
      await line.device.retryRefused()
    } catch (error) {
      await line.device.close().catch(() => {})
      throw error
    }
    return line
  }

  return {
    take,
    async open() {
      for (const device of store.list()) await lineOf(device)
    },
    async stats() {
      const sum = {
        ...stats,
        reasons: { ...reasons },
        ...{ batches: 0, bytes: 0, delivered: 0, devices: 0, kept: 0, rows: 0 },
      }
      for (const opened of lines.values()) {
        const line = await opened.catch(() => undefined)
        if (line === undefined) continue
        const { delivered, stored } = line.device.stats()
        sum.devices++
        sum.batches += stored.batches
        sum.bytes += stored.bytes
        sum.delivered += delivered
        sum.kept += stored.refused
        sum.rows += stored.rows
      }
      return sum
    },
    async close(graceMs) {
      closing = true
      await Promise.all(
        [...lines.values()].map(async (opened) => {
          const line = await opened.catch(() => undefined)
          if (line === undefined) return
          await line.tail
          // What is not delivered by then is at the next start.
          await line.device.flush({ timeoutMs: graceMs }).catch(() => {})
          await line.device.close()
        }),
      )
    },
  }
}

export declare namespace createIntake {
  type Options = {
    clock: () => number
    finalAfterMs?: number | undefined
    limits: IntakeLimits
    onDelivered?: ((delivered: GatewayDelivery) => void) | undefined
    onError: (error: unknown) => void
    onRefused?: ((refused: GatewayRefusal) => void) | undefined
    store: GatewayStore
    transport: Transport
  }
}

export type Intake = {
  /** Opens the outboxes of all devices, so that what they hold is delivered. */
  open(): Promise<void>
  /**
   * Resolves when the readings are durably in the outbox.
   *
   * @throws {ProblemError}
   */
  take(message: Intake.Message): Promise<Intake.Taken>
  stats(): Promise<Intake.Stats>
  /** Takes nothing more, and tries for `graceMs` to deliver what there is. */
  close(graceMs: number): Promise<void>
}

export declare namespace Intake {
  /** As it came: nothing of it is believed yet. */
  type Message = { body: Uint8Array; counter: string; device: string; mac: string }
  type Taken = { counter: number; readings: number }
  type Stats = {
    /** Messages with a right code, refused ones included; readings stored; messages refused. */
    authentic: number
    readings: number
    refused: number
    /** The refused ones by reason: a problem's name, or `internal`. */
    reasons: Readonly<Record<string, number>>
    /** Devices whose outbox is open. */
    devices: number
    /** Waiting: rows not signed yet, batches not delivered, their bytes. */
    rows: number
    batches: number
    bytes: number
    /** Batches with a verified receipt, of this process. */
    delivered: number
    /** Batches that the node will not take. */
    kept: number
  }
}

export type IntakeLimits = {
  /** How many messages a device may send at once that has been quiet. */
  burst: number
  messagesPerMinute: number
  /** How old a reading gets before its batch is cut. */
  maxAgeMs: number
  /** How far a reading may be ahead of the gateway's clock. */
  maxAheadMs: number
  /** Of one device, until a receipt is verified. */
  maxOutboxBytes: number
  /** Of one message; each is synced by itself, so that what is stored of it has no holes. */
  maxReadings: number
}

export type GatewayDelivery = { address: Uint8Array; index: number; seq: number }
export type GatewayRefusal = {
  address: Uint8Array
  problem: { status: number; title: string }
  seq: number
}

type Line = {
  device: Device
  /** When the bucket was filled last, and what is in it. */
  filledAt: number
  tokens: number
  /** Of the newest reading that is stored. */
  lastTime: number | undefined
  /** Messages under way, one after the other. */
  pending: number
  tail: Promise<unknown>
  readonly schema: Schema
}

type Use = { reject(error: unknown): void; resolve(isUsed: boolean): void; used: UsedCounter }

/** The code of an unknown device is computed too, so that time does not tell which there are. */
const nobody = { network: new Uint8Array(32), sharedKey: new Uint8Array(32) }
/** Of one device. */
const maxPending = 8
/** As in createDevice: a clock that leaps to 2090 would make all later readings late. */
const maxJumpMs = 366 * 86_400_000
