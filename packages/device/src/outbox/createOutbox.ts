import { BaseError, type Signer } from '@machinefi/core'
import { batchId, type Row, type Schema, signBatch } from '@machinefi/telemetry'
import { FlushTimeoutError } from '../device/errors.js'
import { type DroppedBatch, DroppedError, type Store } from '../stores/store.js'
import { RefusedError, TransportError } from '../transports/errors.js'
import type { Problem, QueuedBatch, Transport } from '../transports/transport.js'
import { createLoop } from './createLoop.js'

/**
 * From groups of rows to receipts: reserves a seq, signs, stores, sends, and
 * forgets a batch only when its receipt was verified. Signing and sending are
 * two loops, so that a node that is away does not keep rows unsigned.
 */
export function createOutbox(options: createOutbox.Options): Outbox {
  const { clock, getTransport, network, readNextSeq, retry, schema, signer, store } = options
  const { onDelivered, onDropped, onError, onRefused } = options
  const abort = new AbortController()
  const closed: Group[] = []
  let groups = 0
  /** The last group that was signed, and its seq. */
  let sealed = { group: -1, seq: -1 }
  /** The highest seq that a node answered for: what is above it is fresh. */
  let answered = -1
  /** Whether fresh batches had the last request of a transport that takes one at a time. */
  let wasFresh = false
  let nextSeq: number | undefined
  let delivered = 0
  let lastError: Error | undefined
  let retryAt: number | undefined
  let sending = 0
  /** The first refusal, or loss, that no `flush` has been told of. */
  let refusal: DroppedError | RefusedError | undefined
  /** Not taken for now: tried again when all others had their turn, so that they hold up none. */
  const deferred = new Set<number>()
  /** Who waits for all groups up to one; its seq, once it is signed. */
  let waiters: Waiter[] = []

  /** Who waits until everything is signed. */
  const sealWaiters: { resolve(): void; reject(error: unknown): void }[] = []

  const loops = { ...retry, onError: fail }
  const sealer = createLoop(seal, loops)
  const sender = createLoop(send, loops)

  async function seal(): Promise<boolean> {
    const group = closed[0]
    if (group === undefined) {
      for (const { resolve } of sealWaiters.splice(0)) resolve()
      return false
    }
    if (group.seq === undefined) {
      nextSeq ??= await readNextSeq(abort.signal)
      // Persisted before anything is signed with it: after a crash the same rows get the same seq.
      await store.reserve(nextSeq, group.rows.length)
      group.seq = nextSeq++
    }
    const { rows, seq } = group
    const batch = await signBatch({ signer, network, schema, seq, rows })
    const { start, span } = batch.header
    const id = batchId(batch, network)
    await store.appendBatch({ seq, id, bytes: batch.bytes, end: start + span })
    closed.shift()
    sealed = { group: group.number, seq }
    for (const waiter of waiters) if (waiter.group === group.number) waiter.seq = seq
    sender.kick()
    return true
  }

  /** What the next request carries: see the guide to the outbox for its order. */
  async function select(): Promise<readonly QueuedBatch[]> {
    const { maxBatches } = getTransport()
    const limits = { maxBatches, maxBytes: maxSendBytes }
    const oldest = await store.scan({ ...limits, skip: deferred })
    const last = oldest.at(-1)
    if (last === undefined) {
      deferred.clear()
      return store.scan(limits)
    }
    const share = Math.max(1, Math.floor(maxBatches / freshShare))
    if (oldest.length === 1) {
      wasFresh = !wasFresh
      if (!wasFresh) return oldest
    }
    const fresh = await store.scan({
      maxBatches: share,
      maxBytes: maxSendBytes / freshShare,
      above: Math.max(answered, last.seq),
      newest: true,
      skip: deferred,
    })
    return [...oldest.slice(0, maxBatches - fresh.length), ...fresh]
  }

  async function send(): Promise<boolean> {
    const transport = getTransport()
    const batches = await select()
    if (batches.length === 0) return false
    sending = batches.length
    let deliveries: readonly Transport.Delivery[]
    try {
      deliveries = await transport.send(batches, { network, clock, signal: abort.signal })
    } finally {
      sending = 0
    }
    const done: number[] = []
    let failure: BaseError | undefined
    if (deliveries.length !== batches.length)
      failure = new TransportError('The transport did not answer for every batch.')
    for (const [i, batch] of batches.entries()) {
      const delivery = deliveries[i]
      if (delivery === undefined) break
      if (delivery.status !== 'failed') answered = Math.max(answered, batch.seq)
      if (delivery.status === 'delivered') {
        done.push(batch.seq)
        notify(onDelivered, { ...batch, index: delivery.index, receipt: delivery.receipt })
      } else if (delivery.status === 'refused' && delivery.final) {
        await refuse(batch, delivery.problem)
        sender.progress()
      } else {
        const error =
          delivery.status === 'failed'
            ? delivery.error
            : new RefusedError(delivery.problem, { final: false })
        if (error.kind !== 'transport') deferred.add(batch.seq)
        failure ??= error
      }
    }
    if (done.length > 0) {
      await store.deliver(done, deliveries)
      delivered += done.length
      sender.progress()
    }
    settle()
    if (failure !== undefined) throw failure
    lastError = retryAt = undefined
    return true
  }

  async function refuse(batch: QueuedBatch, problem: Problem) {
    await store.refuse(batch.seq, problem)
    refusal ??= new RefusedError(problem, { final: true })
    notify(onRefused, { ...batch, problem })
  }

  function settle() {
    if (waiters.length === 0) return
    const oldest = store.size().oldest?.seq ?? Infinity
    const isReady = ({ group, seq }: Waiter) => group <= sealed.group && seq < oldest
    const ready = waiters.filter(isReady)
    if (ready.length === 0) return
    waiters = waiters.filter((waiter) => !isReady(waiter))
    const error = refusal
    refusal = undefined
    for (const { resolve, reject } of ready) error === undefined ? resolve() : reject(error)
  }

  function fail(error: unknown, at: number) {
    lastError = error instanceof Error ? error : new Error(String(error))
    retryAt = at
    notify(onError, lastError)
    // Whoever waits for the node to come back goes on waiting; for anything else time is no cure.
    if (!(error instanceof BaseError && error.kind === 'transport')) rejectAll(lastError)
  }

  function rejectAll(error: Error) {
    const rejected = waiters
    waiters = []
    for (const { reject } of [...rejected, ...sealWaiters.splice(0)]) reject(error)
  }

  return {
    open(contents) {
      nextSeq = contents.nextSeq
      sealed.seq = (nextSeq ?? 0) - 1
      for (const { rows, seq } of contents.reserved) closed.push({ number: groups++, rows, seq })
      sealer.kick()
      sender.kick()
    },
    push(rows) {
      closed.push({ number: groups++, rows, seq: undefined })
      sealer.kick()
    },
    delivered(timeoutMs) {
      let timer: ReturnType<typeof setTimeout> | undefined
      return new Promise<void>((resolve, reject) => {
        const waiter = { group: groups - 1, seq: sealed.seq, resolve, reject }
        waiters.push(waiter)
        settle()
        if (timeoutMs === undefined) return
        timer = setTimeout(() => {
          // Whoever gives up is forgotten: a refusal told to nobody would be lost.
          waiters = waiters.filter((other) => other !== waiter)
          reject(new FlushTimeoutError(timeoutMs, lastError))
        }, timeoutMs)
      }).finally(() => clearTimeout(timer))
    },
    async requeue(seqs) {
      await store.requeue(seqs)
      sender.kick()
    },
    drop(batches) {
      refusal ??= new DroppedError(batches)
      notify(onDropped, batches)
      settle()
    },
    async discard(after) {
      await new Promise<void>((resolve, reject) => {
        sealWaiters.push({ resolve, reject })
        sealer.kick()
      })
      const queue = await store.scan({ maxBatches: Infinity, maxBytes: Infinity })
      const batches = [...queue, ...(await store.refused())].filter(({ end }) => end > after)
      await store.remove(toSeqs(batches))
      settle()
      return batches
    },
    status: () => ({ delivered, lastError, nextSeq, retryAt, sending }),
    async close(error) {
      abort.abort(error)
      rejectAll(error)
      await Promise.all([sealer.stop(), sender.stop()])
    },
  }
}

/** What one `send` asks the store for at the most: a full body for the node, little memory here. */
const maxSendBytes = 1024 * 1024

/** A callback of the application that throws is its own affair, and must not stop deliveries. */
function notify<value>(callback: ((value: value) => void) | undefined, value: value) {
  if (callback !== undefined) queueMicrotask(() => callback(value))
}

export function toSeqs(batches: readonly Store.Place[]): readonly number[] {
  return batches.map(({ seq }) => seq)
}

/** One part in so many of a request is for fresh batches. */
const freshShare = 10

type Waiter = { group: number; seq: number; resolve(): void; reject(error: unknown): void }

type Group = { readonly number: number; readonly rows: readonly Row[]; seq: number | undefined }

export declare namespace createOutbox {
  type Options = {
    clock: () => number
    getTransport: () => Transport
    network: Uint8Array
    readNextSeq: (signal: AbortSignal) => Promise<number>
    retry: { minMs: number; maxMs: number }
    schema: Schema
    signer: Signer
    store: Store
    onDelivered?: ((delivered: Delivered) => void) | undefined
    onDropped?: ((batches: readonly DroppedBatch[]) => void) | undefined
    onError?: ((error: Error) => void) | undefined
    onRefused?: ((refused: QueuedBatch & { problem: Problem }) => void) | undefined
  }
}

/** A batch whose receipt was verified. */
export type Delivered = QueuedBatch & { readonly receipt: Uint8Array; readonly index: number }

export type Outbox = {
  /** Goes on where an earlier run stopped. */
  open(contents: Store.Contents): void
  /** Takes the rows of one batch; they are in the store already. */
  push(rows: readonly Row[]): void
  /** Resolves when every batch pushed so far is delivered; rejects if one was refused, or after `timeoutMs`. */
  delivered(timeoutMs?: number): Promise<void>
  /** Queues batches again that were refused, or delivered and kept. */
  requeue(seqs: readonly number[]): Promise<void>
  /** The store dropped batches. */
  drop(batches: readonly DroppedBatch[]): void
  /** Gives up the batches that end after this time; what is not signed yet is signed before. */
  discard(after: number): Promise<readonly QueuedBatch[]>
  status(): {
    delivered: number
    lastError: Error | undefined
    nextSeq: number | undefined
    retryAt: number | undefined
    sending: number
  }
  close(error: Error): Promise<void>
}
