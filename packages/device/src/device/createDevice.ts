import { formatDid, isDevelopmentChain, publicKeyToAddress, type Signer } from '@machinefi/core'
import {
  maxRecordsBytes,
  type Row,
  type Schema,
  toRow,
  UnknownFieldError,
  type Values,
} from '@machinefi/telemetry'
import { createOutbox, type Delivered, toSeqs } from '../outbox/createOutbox.js'
import { isTestKey, isUnusedKey, takeUnusedKey } from '../signers/knownKeys.js'
import { createMemoryStore } from '../stores/createMemoryStore.js'
import type { DroppedBatch, RefusedBatch, Store } from '../stores/store.js'
import type { QueuedBatch, Transport } from '../transports/transport.js'
import {
  ClockError,
  DeviceClosedError,
  formatTime,
  InvalidDeviceError,
  RowTooLargeError,
  SequenceUnknownError,
  TickTakenError,
} from './errors.js'

/**
 * A device: takes readings, cuts them into batches, signs and delivers them in
 * the background until a receipt for each is verified.
 *
 * A batch is cut at `maxRows` rows, before it would exceed `maxBytes` bytes of
 * rows, when it is `maxAgeMs` old, and at every window boundary, which no
 * batch crosses. Its seq is in the store before it is signed. A key generated
 * in this process starts at 0. With any other key and an empty store the
 * device asks the node, before it signs anything, for the next seq it expects,
 * and starts above every batch that may still be on its way from an earlier
 * run (see `resumeGap`): also when the node has none yet, unless the store is
 * a lasting one, whose first run this is then.
 *
 * @throws {InvalidDeviceError} an option out of bounds; or a key that everyone has, on another than
 * a development chain.
 * @example
 * const device = createDevice({
 *   schema,
 *   signer: createSoftwareSigner(),
 *   network: { id: new Uint8Array(32), windowMs: 86_400_000 },
 *   transport: http('http://hub.local:4270'),
 * })
 * await device.record({ steps: 12 })
 * await device.flush()
 * await device.close()
 */
export function createDevice<const schema extends Schema>(
  options: createDevice.Options<schema>,
): Device<schema> {
  const { schema, signer, network } = options
  const {
    store = createMemoryStore(),
    clock = Date.now,
    maxRows = 60,
    maxBytes = network.maxRowsBytes ?? 4096,
    maxAgeMs = 600_000,
    maxAheadMs = 300_000,
    maxJumpMs = 366 * 86_400_000,
    nextSeq: firstSeq,
    resumeGap = options.transport.maxBatches,
    retry: { minMs = 1000, maxMs = 60_000 } = {},
  } = options
  let { transport } = options
  const { tickMs } = schema
  const { windowMs } = network
  if (network.id.length !== 32) throw new InvalidDeviceError('a network id has 32 bytes')
  assertInteger('windowMs', windowMs)
  assertInteger('maxRows', maxRows)
  assertInteger('maxBytes', maxBytes, 1, maxRecordsBytes)
  if (firstSeq !== undefined) assertInteger('nextSeq', firstSeq, 0)
  for (const [name, ms] of Object.entries({ maxAgeMs, maxJumpMs }))
    if (!(ms > 0)) throw new InvalidDeviceError(`${name} is not above 0`)
  const address = publicKeyToAddress(signer.publicKey)
  const did = formatDid(address)
  if (isTestKey(signer.publicKey)) {
    const problem = 'its private key is published'
    if (!isDevelopmentChain(network.chainId)) throw new InvalidDeviceError(problem)
    // biome-ignore lint/suspicious/noConsole: nobody waits for a value, and it must be seen
    console.warn(`${did}: ${problem}`)
  }

  /** Once closed, or where the store did not open: the error that says so. */
  let state: Error | 'opening' | 'ready' = 'opening'
  let lastTime = -Infinity
  /** Of the last reading that a store with promises has for sure. */
  let storedTime = lastTime
  let recorded = 0
  let group: Group | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  /** The last append in flight: appends settle in order. */
  let appending: Promise<void> | undefined
  let closing: Promise<void> | undefined

  const identity: Store.Identity = {
    network: network.id,
    device: address,
    schema: schema.id,
    fields: schema.fields.length,
  }
  const getTransport = () => transport
  const outbox = createOutbox({
    ...options,
    clock,
    network: network.id,
    readNextSeq,
    retry: { minMs, maxMs },
    store,
    getTransport,
  })
  const opening = open()

  function open(): Promise<void> | undefined {
    try {
      const contents = store.open(identity, { getTransport, network, onDropped: outbox.drop })
      if (!(contents instanceof Promise)) return start(contents)
      return contents.then(start).catch(refuseToStart)
    } catch (error) {
      return refuseToStart(error)
    }
  }

  function start(contents: Store.Contents): undefined {
    if (state !== 'opening') return
    const nextSeq = contents.nextSeq ?? firstSeq
    if (nextSeq !== undefined) takeUnusedKey(signer.publicKey, network.id)
    else if (!transport.readDevice && !isUnusedKey(signer.publicKey, network.id))
      return refuseToStart(new SequenceUnknownError())
    outbox.open({ ...contents, nextSeq })
    lastTime = storedTime = contents.lastTime ?? lastTime
    state = 'ready'
    for (const row of contents.rows) accept(row, clock())
  }

  function refuseToStart(error: unknown): undefined {
    if (state !== 'opening') return
    state = error as Error
  }

  async function readNextSeq(signal: AbortSignal): Promise<number> {
    if (takeUnusedKey(signer.publicKey, network.id)) return 0
    const known = await transport.readDevice?.({ ...identity, signal })
    const nextSeq = known?.nextSeq
    if (nextSeq === undefined) throw new SequenceUnknownError()
    if (nextSeq === 0 && store.lasting) return 0
    // The node may say this, even 0, while batches of an earlier run are under way to it, and may
    // have said the same to that run: only chance tells the two apart.
    return nextSeq + resumeGap * (1 + Math.floor(resumeSlots * Math.random()))
  }

  function record(values: Values<schema>, time: number | undefined, now: number): Promise<void> {
    try {
      if (state !== 'ready') throw state
      // A record read from elsewhere brings its time along: taking it for one of now would be a lie.
      if (Object.hasOwn(values, 'time')) throw new UnknownFieldError('time', schema)
      const row = toRow(schema, values, toTick(time, now))
      const size = 1 + rowSize(row, 0)
      if (size > maxBytes) throw new RowTooLargeError(size, maxBytes)
      const appended = store.appendRow(row)
      lastTime = row.time
      const take = () => {
        storedTime = row.time
        accept(row, now)
        recorded++
      }
      if (appended === undefined) {
        take()
        return done
      }
      const accepted = appended.then(take, (error) => {
        // Not taken: its tick is free, unless a later reading is on its way.
        if (lastTime === row.time) lastTime = storedTime
        throw error
      })
      appending = accepted.catch(() => {})
      return accepted
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** The start of the tick of a time that is plausible, and later than every one before. */
  function toTick(given: number | undefined, now: number): number {
    const time = given ?? now
    assertPlausible(time)
    if (given !== undefined && time > now + maxAheadMs)
      throw new ClockError('implausible', time, [`The clock says ${formatTime(now)}.`])
    const tick = Math.floor(time / tickMs) * tickMs
    if (tick > lastTime) {
      // Taken once, a time far ahead would be the one that all others are behind.
      if (time <= lastTime + maxJumpMs || lastTime === -Infinity) return tick
      throw new ClockError('ahead', time, [
        `The reading before is of ${formatTime(lastTime)}.`,
        'If both are right, raise maxJumpMs.',
      ])
    }
    if (tick === lastTime) throw new TickTakenError(tick, tickMs)
    throw new ClockError('backwards', time, [
      `The reading before is of ${formatTime(lastTime)}.`,
      'If the clock was wrong then and is right now: device.discardFuture().',
    ])
  }

  /** Adds a stored row to the batch it belongs to. */
  function accept(row: Row, now: number) {
    if (group !== undefined) {
      const { due, rows, windowEnd } = group
      const bytes = group.bytes + rowSize(row, (row.time - rows.at(-1)!.time) / tickMs)
      if (row.time >= windowEnd || now >= due || headSize(rows.length + 1) + bytes > maxBytes) cut()
      else {
        rows.push(row)
        group.bytes = bytes
      }
    }
    if (group === undefined) {
      const windowEnd = (Math.floor(row.time / windowMs) + 1) * windowMs
      // A window that is over already, as in a replay of old readings, is no reason to hurry.
      const due = Math.min(now + maxAgeMs, windowEnd > now ? windowEnd : Infinity)
      group = { rows: [row], bytes: rowSize(row, 0), due, windowEnd }
      arm()
    }
    if (group.rows.length >= maxRows) cut()
  }

  function cut() {
    if (group === undefined) return
    const { rows } = group
    group = undefined
    outbox.push(rows)
  }

  /** One timer at a time, and none a batch: it looks again when it fires. */
  function arm() {
    if (state !== 'ready' || timer !== undefined || group === undefined) return
    if (group.due === Infinity) return
    const delay = Math.min(Math.max(group.due - clock(), 1), 2 ** 31 - 1)
    timer = setTimeout(() => {
      timer = undefined
      if (group !== undefined && clock() >= group.due) cut()
      arm()
    }, delay)
  }

  async function assertReady() {
    await opening
    if (state !== 'ready') throw state
  }

  async function close() {
    const closed = new DeviceClosedError()
    state = closed
    clearTimeout(timer)
    await opening
    await outbox.close(closed)
    await appending
    await store.close()
  }

  return {
    address,
    did,
    record(values, { time } = {}) {
      const now = clock()
      if (state === 'opening') return opening!.then(() => record(values, time, now))
      return record(values, time, now)
    },
    async flush({ partial = true, timeoutMs } = {}) {
      await assertReady()
      await appending
      if (partial) cut()
      return outbox.delivered(timeoutMs)
    },
    async refused() {
      await assertReady()
      return store.refused()
    },
    async retryRefused() {
      await assertReady()
      await outbox.requeue(toSeqs(await store.refused()))
    },
    async discardRefused() {
      await assertReady()
      const batches = await store.refused()
      await store.remove(toSeqs(batches))
      return batches
    },
    async redeliver({ since = 0, transport: other = transport } = {}) {
      await assertReady()
      transport = other
      const seqs = toSeqs(store.kept().filter(({ end }) => end >= since))
      await outbox.requeue(seqs)
      return seqs.length
    },
    async discardDelivered({ before = Infinity } = {}) {
      await assertReady()
      const seqs = toSeqs(store.kept().filter(({ end }) => end < before))
      await store.remove(seqs)
      return seqs.length
    },
    async discardFuture() {
      await assertReady()
      await appending
      const now = clock()
      assertPlausible(now)
      if (lastTime <= now + maxAheadMs) return []
      cut()
      const batches = await outbox.discard(now + maxAheadMs)
      const tick = Math.floor(now / tickMs) * tickMs
      await store.rewind(tick)
      lastTime = storedTime = tick
      return batches
    },
    stats: () => ({ ...outbox.status(), recorded, stored: store.size() }),
    close() {
      closing ??= close()
      return closing
    },
  }
}

export declare namespace createDevice {
  type Options<schema extends Schema = Schema> = {
    schema: schema
    signer: Signer
    network: Network
    transport: Transport
    /** Where readings wait. @default createMemoryStore(), which forgets when the process ends */
    store?: Store | undefined
    /** Milliseconds since the Unix epoch. @default Date.now */
    clock?: (() => number) | undefined
    /** Rows of a batch. @default 60 */
    maxRows?: number | undefined
    /** Bytes of a batch's rows. @default the network's bound, else 4096 */
    maxBytes?: number | undefined
    /** Age at which a batch is cut, by the clock; Infinity leaves it to the rest. @default 10 minutes */
    maxAgeMs?: number | undefined
    /** How far the time given to `record` may be ahead of the clock. @default 5 minutes */
    maxAheadMs?: number | undefined
    /**
     * How far a reading may be after the one before. A clock that leaps to 2090 is refused; so is
     * the first reading of a device that slept for longer, until this is raised. Infinity for
     * recorded data with gaps of any length. @default 366 days
     */
    maxJumpMs?: number | undefined
    /** First seq of a new store, instead of asking the node: 0 for a key never used. */
    nextSeq?: number | undefined
    /**
     * With an empty store and a key from before this process, some seqs are left out, so that none
     * is used twice though batches of an earlier run may be under way: this many, times a number
     * drawn from 1 … 65,536, since that run may have started from the same answer of the node. The
     * gap is seen by everyone, as it should be: the device lost its memory. None is left out where
     * the store is a lasting one and the node has no batch of the key; nor with 0.
     * @default what one request carries
     */
    resumeGap?: number | undefined
    /** Pauses after failures: the first, and the longest. @default 1 s, 1 minute */
    retry?: { minMs?: number | undefined; maxMs?: number | undefined } | undefined
    /** A receipt was verified. */
    onDelivered?: ((delivered: Delivered) => void) | undefined
    /** The store was full, and made room (see its `whenFull`): these seqs are a gap. */
    onDropped?: ((batches: readonly DroppedBatch[]) => void) | undefined
    /** Signing or sending failed, and will be tried again. */
    onError?: ((error: Error) => void) | undefined
    /** The node will never take this batch; it is kept aside, see `refused`. */
    onRefused?: ((refused: RefusedBatch) => void) | undefined
  }
  type Network = {
    /** 32 bytes. */
    id: Uint8Array
    windowMs: number
    maxRowsBytes?: number | undefined
    /**
     * Least time from the end of a window until it can be final: grace and challenge window. No node
     * can make a store forget what was delivered sooner. @default 8 days
     */
    finalAfterMs?: number | undefined
    /** A published test key signs for development chains (1337, 31337) alone. */
    chainId?: number | undefined
  }
  type ErrorType = InvalidDeviceError
}

export type Device<schema extends Schema = Schema> = {
  /** 20 bytes. */
  readonly address: Uint8Array
  /** `did:io:0x…` */
  readonly did: string
  /**
   * Takes a reading, of now or of `options.time`, aligned down to the schema's tick. Resolves when
   * it is safely in the store.
   *
   * Rejects with TickTakenError, ClockError, an error of the record's values (InvalidValueError,
   * UnknownFieldError, also for a `time` among them), RowTooLargeError, StoreFullError, or DeviceClosedError; the reading was
   * not taken then.
   */
  record(values: Values<schema>, options?: { time?: number | undefined }): Promise<void>
  /**
   * Resolves when a verified receipt for everything recorded is in hand. Waits while the node
   * cannot be reached; rejects when it refuses a batch (RefusedError) or its receipt is wrong
   * (ReceiptError): every refusal is told to one flush.
   */
  flush(options?: Device.FlushOptions): Promise<void>
  /** Batches that the node will never take, kept until given up or tried again. */
  refused(): Promise<readonly RefusedBatch[]>
  /** Sends the refused batches again. */
  retryRefused(): Promise<void>
  /** Gives the refused batches up, and returns them. */
  discardRefused(): Promise<readonly RefusedBatch[]>
  /**
   * Sends what was delivered and is still kept once more, for a node that takes over from another;
   * with `transport`, that and all that follows goes there. Resolves to the number of batches when
   * they are queued; `flush` waits for their receipts. A node that has them gives the receipt again.
   */
  redeliver(options?: Device.RedeliverOptions): Promise<number>
  /**
   * Gives up delivered batches that are kept: their windows are final. Resolves to their number.
   * Without it the bounds of the store do that.
   */
  discardDelivered(options?: Device.DiscardOptions): Promise<number>
  /**
   * Gives up the batches that end later than the clock says, by more than `maxAheadMs`, and returns
   * them; readings are taken again from now on. For when a clock was ahead and its readings make
   * all later ones `backwards`: call it only when the clock is known to be right now. Waits until
   * everything recorded is signed, in a new store for the node that says the next seq.
   *
   * Rejects with ClockError (`implausible`) while the clock cannot be right.
   */
  discardFuture(): Promise<readonly QueuedBatch[]>
  stats(): Device.Stats
  /** Stops timers and deliveries and closes the store. What a lasting store holds waits for the next run. */
  close(): Promise<void>
}

export declare namespace Device {
  type FlushOptions = {
    /** With false, the batch being filled is left open and not waited for. @default true */
    partial?: boolean | undefined
    /** Reject with FlushTimeoutError after this long. @default wait for as long as it takes */
    timeoutMs?: number | undefined
  }
  type RedeliverOptions = {
    /** Only batches that end at this time or later, ms. @default all that are kept */
    since?: number | undefined
    /** The other node. @default the one the device has */
    transport?: Transport | undefined
  }
  type DiscardOptions = {
    /** Only batches that end before this time, ms. @default all that are kept */
    before?: number | undefined
  }
  type Stats = {
    /** Readings taken by this process. */
    recorded: number
    /** Batches with a verified receipt, of this process. */
    delivered: number
    /** What the store holds, and what it dropped. */
    stored: Store.Size
    /** Batches of the request in flight. */
    sending: number
    /** Seq of the next batch; undefined until the node was asked. */
    nextSeq: number | undefined
    /** Why the last attempt failed; undefined since one succeeded. */
    lastError: Error | undefined
    /** When delivery is tried again after a failure, ms by the machine's clock. */
    retryAt: number | undefined
  }
}

type Group = {
  rows: Row[]
  /** Encoded rows, without the head of their array. */
  bytes: number
  due: number
  windowEnd: number
}

const done = Promise.resolve()

/** Places where a run without memory may begin: two in a row choose one with a chance of 1.5e-5. */
const resumeSlots = 65_536

/**
 * Boards without a battery wake up in 1970, clock chips in 2000, and clocks gone mad are poison:
 * time never goes back. Recorded data may be older than the device.
 */
const earliest = /* @__PURE__ */ Date.UTC(2001)
const latest = /* @__PURE__ */ Date.UTC(2100)

/** Bytes of a row (an array head of one byte, dt, values), without encoding it. */
function rowSize({ values }: Row, dt: number): number {
  let size = 1 + headSize(dt)
  for (const value of values) size += value === null ? 1 : headSize(value < 0 ? -1 - value : value)
  return size
}

/** Bytes of a CBOR head with this argument (RFC 8949 §3). */
function headSize(argument: number): number {
  if (argument < 24) return 1
  if (argument < 0x100) return 2
  if (argument < 0x10000) return 3
  return argument < 0x100000000 ? 5 : 9
}

function assertPlausible(time: number) {
  if (time >= earliest && time < latest) return
  throw new ClockError('implausible', time, ['Is the clock set? Readings are from 2001 to 2100.'])
}

function assertInteger(name: string, value: number, least = 1, most = Number.MAX_SAFE_INTEGER) {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new InvalidDeviceError(`${name} is not an integer in ${least} … ${most}`)
}
