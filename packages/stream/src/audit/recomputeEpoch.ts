import { setImmediate } from 'node:timers/promises'
import type { Algorithm } from '@machinefi/core'
import { verifySignatureSync } from '@machinefi/core/node'
import {
  buildLedger,
  buildTrace,
  type Entry,
  type Ledger,
  type Log,
  type LoggedBatch,
  type LogHead,
  ledgerDepth,
  type Metric,
  reward,
  selectBatches,
  type Trace,
  type Window,
} from '@machinefi/proof'
import { decodeBatch, type Schema, type SignedBatch, sigStructure } from '@machinefi/telemetry'
import type { ChainConfig, ChainMember } from '../chain/chain.js'
import { isPaid } from '../epochs/buildClaims.js'
import type { LogCopy } from './openLogCopy.js'

/**
 * Computes from one's own copy of the logs what an operator must post for a
 * window: the canonical trace of every member, values, rewards, ledger. Posted
 * or not, by whomever.
 *
 * Memory is bounded by a few numbers for each batch of the window and the
 * batches of one device; the event loop has its turn now and then.
 *
 * @returns the epoch, with whatever an answer or a challenge needs of it: it
 * is the source that `buildAnswer` of `@machinefi/proof` reads from, but for
 * what only the posting has.
 */
export async function recomputeEpoch(options: recomputeEpoch.Options): Promise<RecomputedEpoch> {
  const { config, copies, members, network, onProgress, parent, schema, signal, window } = options
  const { metric } = config
  const before = parent?.entries ?? []
  const indexes = findBatches()
  const bySlot = new Map(members.map((member) => [member.slot, member]))
  const slots = Math.max(options.memberCount ?? 0, before.length, ...members.map((m) => m.slot + 1))
  const entries: (Entry | null)[] = []
  const rewards: bigint[] = []
  const incomplete = new Set<number>()
  let claims = 0
  let breath = performance.now()
  for (let slot = 0; slot < slots; slot++) {
    const member = bySlot.get(slot)
    const last = before[slot] ?? null
    const cumulative = last?.cumulative ?? 0n
    if (!member || !isPaid(member, window)) {
      entries.push(last && { ...last, steps: 0, traceRoot: new Uint8Array(32), value: 0n })
      rewards.push(0n)
    } else {
      const { steps, root, value } = trace(slot)
      const earned = reward({ ...policyOf(config), value })
      entries.push({
        cumulative: cumulative + earned,
        device: member.device,
        steps,
        traceRoot: root,
        value,
      })
      rewards.push(earned)
      claims++
    }
    if (performance.now() - breath > maxHoldMs) {
      onProgress?.(slot + 1, slots)
      signal?.throwIfAborted()
      await setImmediate()
      breath = performance.now()
    }
  }
  while (
    entries.length > 0 &&
    entries.at(-1) === null &&
    entries.length > (options.memberCount ?? 0)
  )
    entries.pop()

  /** Where each member's batches of the window are. */
  function findBatches() {
    const found = new Map<string, { copy: LogCopy; index: number }[]>()
    for (const { copy, size } of copies)
      for (const { device, index } of copy.overlapping(size, config.schema, window)) {
        const key = keyOf(device)
        const list = found.get(key)
        if (list) list.push({ copy, index })
        else found.set(key, [{ copy, index }])
      }
    return found
  }

  function batchesOf(member: ChainMember): TracedBatch[] {
    const batches: TracedBatch[] = []
    for (const { copy, index } of indexes.get(keyOf(member.device)) ?? []) {
      const kept = copy.batch(index)
      if (!kept) continue
      const batch = decodeBatch(kept.bytes)
      let { signed } = kept
      if (signed === undefined) {
        // It came before its device was known.
        const { algorithm, signature } = batch
        const { publicKey } = member
        const message = sigStructure(batch, network)
        signed = verifySignatureSync({ algorithm, message, publicKey, signature })
        copy.setSigned(index, signed)
      }
      if (signed) batches.push({ batch, id: copy.log.id(index), index, shard: copy.shard })
      else incomplete.add(member.slot)
    }
    return selectBatches(batches, { device: member.device, schema: config.schema, window })
  }

  function trace(slot: number): Trace {
    const member = bySlot.get(slot)
    const batches = member ? batchesOf(member) : []
    // Without rows nothing can be said of what comes after.
    const known = batches.findIndex(({ batch }) => batch.records === null)
    if (known >= 0) incomplete.add(slot)
    return buildTrace({
      batches: known < 0 ? batches : batches.slice(0, known),
      metric,
      schema,
      window,
    })
  }

  const depth =
    options.depth ?? ledgerDepth(Math.max(options.memberCount ?? 0, members.length, entries.length))
  // There is no slot beyond: what a parent had there is gone, and cannot be disputed.
  if (entries.length > 2 ** depth) entries.length = 2 ** depth
  return {
    claims,
    config,
    entries,
    incomplete,
    ledger: buildLedger(entries, { depth }),
    logs: copies
      .filter(({ size }) => size > 0)
      .map(({ copy, size }) => ({ root: copy.log.root(size), shard: copy.shard, size })),
    metric,
    parentLedger: parent && buildLedger(parent.entries, { depth: parent.depth }),
    rewards,
    schema,
    window,
    claim(slot) {
      const member = bySlot.get(slot)
      if (!member) return null
      const { algorithm, device, publicKey } = member
      const paid = isPaid(member, window)
      return { algorithm, batches: paid ? batchesOf(member) : [], device, paid, publicKey }
    },
    log(shard) {
      return copies.find(({ copy }) => copy.shard === shard)?.copy.log
    },
    trace,
  }
}

export declare namespace recomputeEpoch {
  type Options = {
    config: ChainConfig
    /** Of the operator's logs, shards ascending, with how many entries count. */
    copies: readonly { copy: LogCopy; size: number }[]
    /** Of the ledger. @default the least for the members */
    depth?: number | undefined
    /** Members when the epoch was posted. @default all of `members` */
    memberCount?: number | undefined
    members: readonly ChainMember[]
    /** Network id, 32 bytes. */
    network: Uint8Array
    onProgress?: ((slots: number, of: number) => void) | undefined
    /** The ledger of the window before, as posted; null before the first. */
    parent: { readonly depth: number; readonly entries: readonly (Entry | null)[] } | null
    schema: Schema
    signal?: AbortSignal | undefined
    window: Window & { readonly number: number }
  }
}

/** A batch of a trace, and where it is. */
export type TracedBatch = LoggedBatch & { readonly batch: SignedBatch }

export type RecomputedEpoch = {
  /** Members that the window pays. */
  readonly claims: number
  readonly config: ChainConfig
  /** By slot. */
  readonly entries: readonly (Entry | null)[]
  /** Slots of which some batch came without rows, or with a signature that does not verify. */
  readonly incomplete: ReadonlySet<number>
  readonly ledger: Ledger
  /** What the epoch commits to of the logs. */
  readonly logs: readonly LogHead[]
  readonly metric: Metric
  /** Of the window before; null before the first. */
  readonly parentLedger: Ledger | null
  /** Of this window, by slot. */
  readonly rewards: readonly bigint[]
  readonly schema: Schema
  readonly window: Window & { readonly number: number }
  /** A member's batches of the window in the order of its trace; null where no member has the slot. */
  claim(slot: number): {
    algorithm: Algorithm
    batches: readonly TracedBatch[]
    device: Uint8Array
    /** Whether the window pays it. */
    paid: boolean
    publicKey: Uint8Array
  } | null
  /** The copy of a log; undefined where there is none. */
  log(shard: number): Log | undefined
  trace(slot: number): Trace
}

function policyOf({ cap, rate, threshold }: ChainConfig) {
  return { cap, rate, threshold }
}

const keyOf = (device: Uint8Array) =>
  Buffer.from(device.buffer, device.byteOffset, device.length).toString('latin1')

/** The longest the event loop is held, in ms. */
const maxHoldMs = 20
