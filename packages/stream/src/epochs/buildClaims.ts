import { setImmediate } from 'node:timers/promises'
import { buildTrace, isInWindow, type LoggedBatch, reward, selectBatches } from '@machinefi/proof'
import { decodeBatch, type Schema, type SignedBatch } from '@machinefi/telemetry'
import type { ChainConfig } from '../chain/chain.js'
import type { Store, StoredBatch, StoredMember } from '../store/openStore.js'
import type { Claim } from './openEpochStore.js'

/**
 * Computes what every member did in a window, from the prefix of the log that
 * was cut for it, and nothing else. Memory is bounded by one device's batches
 * and a few numbers for every other batch; the event loop has its turn now and
 * then.
 *
 * @returns one claim per slot, of every member and of what the window before has beyond them; null
 * where the slot is still empty.
 */
export async function buildClaims(options: buildClaims.Options): Promise<(Claim | null)[]> {
  const { config, members, previous, schema, window } = options
  const indexes = await findBatches({ ...options, schema: config.schema })
  const claims: (Claim | null)[] = []
  let breath = performance.now()
  for (const member of members) {
    carryTo(member.slot)
    const before = previous[member.slot] ?? null
    claims.push(isPaid(member, window) ? buildClaim(member, before) : carry(before))
    if (performance.now() - breath > maxHoldMs) {
      await setImmediate()
      breath = performance.now()
    }
  }
  carryTo(previous.length)
  return claims

  /** What the window before says of slots without a member goes on, as in those of members that are not paid. */
  function carryTo(slot: number) {
    while (claims.length < slot) claims.push(carry(previous[claims.length] ?? null))
  }

  /**
   * A slot is empty until its member's first paid window and never again. Whatever is in it stays,
   * the member's or not: the contract asks for no more (`EvidenceVerifier.checkCarry`), and for no less.
   */
  function carry(before: Claim | null): Claim | null {
    return before && { ...before, ...emptyClaim }
  }

  function buildClaim(member: StoredMember, before: Claim | null): Claim {
    const { device, slot } = member
    const cumulative = before?.cumulative ?? 0n
    const trace = buildTrace({
      batches: readTrace({
        ...options,
        device,
        indexes: indexes.get(member.number) ?? [],
        schema: config.schema,
      }),
      metric: config.metric,
      schema,
      window,
    })
    const { cap, rate, threshold } = config
    const earned = reward({ cap, rate, threshold, value: trace.value })
    return {
      slot,
      device,
      paid: true,
      value: trace.value,
      reward: earned,
      cumulative: cumulative + earned,
      steps: trace.steps,
      traceRoot: trace.root,
    }
  }
}

export declare namespace buildClaims {
  type Options = {
    config: ChainConfig
    /** In order of slots. */
    members: readonly StoredMember[]
    network: number
    /** The claims of the window before, by slot. */
    previous: readonly (Claim | null)[]
    schema: Schema
    /** Entries of the log that count. */
    size: number
    store: Store
    window: { start: number; end: number }
  }
}

/** Where each device's batches of a window are, in the log that counts for it. */
export async function findBatches(options: findBatches.Options): Promise<Map<number, number[]>> {
  const { network, schema, size, store, window } = options
  const found = new Map<number, number[]>()
  // Whatever overlaps the window arrived after its start, give or take the clock of a device.
  let from = store.firstArrivedSince(network, window.start - greatestSkewMs)
  for (; from < size; from += pageSize) {
    for (const stored of store.batches(network, from, Math.min(size, from + pageSize))) {
      const { header } = joinBatch(stored, null)
      if (header.schema !== schema || !isInWindow(header, window)) continue
      const list = found.get(stored.device)
      if (list) list.push(stored.index)
      else found.set(stored.device, [stored.index])
    }
    await setImmediate()
  }
  return found
}

export declare namespace findBatches {
  type Options = Pick<buildClaims.Options, 'network' | 'size' | 'store' | 'window'> & {
    /** Schema id. */
    schema: number
  }
}

/** A device's canonical batches of a window; without the rows that have expired. */
export function readTrace(options: readTrace.Options): LoggedTrace[] {
  const { device, indexes, network, schema, store, window } = options
  const stored = indexes.map((index) => store.batch(network, index)!)
  const records = store.records(network, stored)
  const batches = stored.map((batch, i) => ({
    batch: joinBatch(batch, records[i]!),
    id: batch.id,
    index: batch.index,
    shard: 0,
  }))
  return selectBatches(batches, { device, schema, window })
}

export declare namespace readTrace {
  type Options = Pick<buildClaims.Options, 'network' | 'store' | 'window'> & {
    device: Uint8Array
    indexes: readonly number[]
    /** Schema id. */
    schema: number
  }
}

export type LoggedTrace = LoggedBatch & { batch: SignedBatch }

/** A stored batch as it was received, or without its rows. */
export function joinBatch(stored: StoredBatch, records: Uint8Array | null): SignedBatch {
  return decodeBatch(joinBytes(stored, records))
}

/** The bytes of a stored batch. */
export function joinBytes({ envelope }: StoredBatch, records: Uint8Array | null): Uint8Array {
  const head = records === null ? [0xf6] : byteStringHead(records.length)
  const bytes = new Uint8Array(1 + envelope.length + head.length + (records?.length ?? 0))
  bytes[0] = 0x82
  bytes.set(envelope, 1)
  bytes.set(head, 1 + envelope.length)
  if (records) bytes.set(records, 1 + envelope.length + head.length)
  return bytes
}

/** Whether a window pays a member: joined before its start, not suspended before its end. */
export function isPaid(
  member: Pick<StoredMember, 'joinedAt' | 'suspendedAt'>,
  window: { start: number; end: number },
): boolean {
  const { joinedAt, suspendedAt } = member
  return (
    joinedAt !== 0 &&
    joinedAt * 1000 < window.start &&
    (suspendedAt === 0 || suspendedAt * 1000 >= window.end)
  )
}

/**
 * No node may take in batches that end later than this after its clock: what overlaps a window
 * is then found by when it arrived, whatever the limit was at the time.
 */
export const greatestSkewMs = 600_000

/** The longest the event loop is held, in ms. */
const maxHoldMs = 10
const pageSize = 500
const emptyClaim = {
  paid: false,
  value: 0n,
  reward: 0n,
  steps: 0,
  traceRoot: new Uint8Array(32),
}

function byteStringHead(length: number): number[] {
  if (length < 24) return [0x40 | length]
  if (length < 256) return [0x58, length]
  return [0x59, length >> 8, length & 0xff]
}
