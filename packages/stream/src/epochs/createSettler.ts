import { equalBytes, fromHex, toHex } from '@machinefi/core'
import { buildLedger, type Ledger, type LogHead, ledgerDepth } from '@machinefi/proof'
import type { PostedEpoch } from '../chain/chain.js'
import { EpochConflictError } from '../errors.js'
import type { Pipeline } from '../ingest/createPipeline.js'
import type { OpenNetwork } from '../network/openNetwork.js'
import { dayMs } from '../store/openRowFiles.js'
import type { Store } from '../store/openStore.js'
import { buildClaims } from './buildClaims.js'
import type { BuiltEpoch, Claim, EpochStore, StoredEpoch } from './openEpochStore.js'

/**
 * Closes windows: cut the log, compute claims and ledger, post. Each step is
 * durable before the next, so that after a crash at any point the work goes on
 * where it was; what a transaction sent before the crash did is read from the
 * chain. Then lets rows expire that nobody needs any more.
 */
export function createSettler(options: createSettler.Options): Settler {
  const { clock, epochs, onEpoch, pipeline, store } = options
  const ledgers = new Map<string, Ledger>()

  async function settle(open: OpenNetwork): Promise<StoredEpoch[]> {
    const { chain, network, state, windowOf } = open
    const settled: StoredEpoch[] = []
    for (;;) {
      const last = epochs.last(state.number)
      const window = !last ? network.firstWindow : last.posted ? last.window + 1 : last.window
      const { end } = windowOf(window)
      // Most calls end here, without asking the chain anything.
      if (clock() < end) break
      const { graceMs } = await open.configAt(window)
      if (clock() < end + graceMs) break
      if ((await chain.head()).time < end + graceMs) break
      settled.push(await settleWindow(open, window))
    }
    return settled
  }

  async function settleWindow(open: OpenNetwork, window: number): Promise<StoredEpoch> {
    const { number } = open.state
    const size = await cut(open, window)
    let epoch = epochs.epoch(number, window) ?? (await build(open, window, size))
    if (!epoch.posted) {
      epoch = await post(open, epoch)
      onEpoch?.(open, epoch)
    }
    return epoch
  }

  /** Fixes which entries of the log count for a window, between two commits. */
  async function cut(open: OpenNetwork, window: number): Promise<number> {
    const { state, windowOf } = open
    const known = store.cuts(state.number).find((cut) => cut.window === window)
    if (known) return known.size
    const { end } = windowOf(window)
    const { graceMs } = await open.configAt(window)
    return pipeline.exclusive(() => {
      // No checkpoint over a longer log may be dated before the cut-off.
      const at = Math.max(clock(), state.arrived, end + graceMs)
      store.addCut(state.number, { window, size: state.size, at })
      state.arrived = at
      state.cutEnd = end
      return state.size
    })
  }

  async function build(open: OpenNetwork, window: number, size: number): Promise<StoredEpoch> {
    const { chain, network, schemas, state, windowOf } = open
    // A member that joined or was suspended before the end of the window is in a block by now.
    await open.refresh()
    const config = await open.configAt(window)
    const parent =
      window === network.firstWindow ? undefined : epochs.epoch(state.number, window - 1)
    const claims = await buildClaims({
      config,
      members: [...state.members].sort((a, b) => a.slot - b.slot),
      network: state.number,
      previous: parent ? bySlot(epochs.claims(state.number, parent)) : [],
      schema: schemas.find((schema) => schema.id === config.schema)!,
      size,
      store,
      window: windowOf(window),
    })
    const { nextWindow } = await chain.progress()
    const latest = await chain.epoch(window)
    const ledger = buildLedger(claims.map(toEntry))
    const epoch: BuiltEpoch = {
      window,
      // On chain already if the process died after posting; else the next attempt.
      attempt: latest && nextWindow > window ? latest.attempt : (latest?.attempt ?? 0) + 1,
      parentHash: parent?.posted?.epochHash ?? noParent,
      size,
      logRoot: toHex(state.log.root(size)),
      depth: ledger.depth,
      ledgerRoot: toHex(ledger.root),
      ledgerTotal: ledger.total,
      config: toHex(config.bytes),
      configHash: config.hash,
      schema: config.schema,
      metric: config.metric,
      threshold: config.threshold,
      rate: config.rate,
      cap: config.cap,
      builtAt: clock(),
    }
    epochs.put(
      state.number,
      epoch,
      claims.filter((claim) => claim !== null),
    )
    return { ...epoch, posted: undefined }
  }

  async function post(open: OpenNetwork, built: StoredEpoch): Promise<StoredEpoch> {
    const { chain, state } = open
    const { window } = built
    const { nextWindow } = await chain.progress()
    if (nextWindow < window)
      throw new EpochConflictError(`Window ${nextWindow} is to be posted again before ${window}.`)
    let epoch: BuiltEpoch = built
    let posted: PostedEpoch
    if (nextWindow > window) posted = (await chain.epoch(window))!
    else {
      // A join since the ledger was built may need one more level.
      const members = await chain.memberCount()
      const depth = ledgerDepth(members)
      if (depth !== built.depth) {
        const claims = epochs.claims(state.number, built)
        const ledger = buildLedger(bySlot(claims).map(toEntry), { depth })
        const { posted: _, ...rest } = built
        epoch = { ...rest, depth, ledgerRoot: toHex(ledger.root) }
        epochs.put(state.number, epoch, claims)
      }
      posted = await chain.post({
        window,
        parentHash: epoch.parentHash,
        depth: epoch.depth,
        ledgerRoot: fromHex(epoch.ledgerRoot),
        ledgerTotal: epoch.ledgerTotal,
        logs: logHeads(epoch),
      })
    }
    assertSame(open, epoch, posted)
    const { block, challengeEndsAt, epochHash, gasUsed, memberCount, operator, transaction } =
      posted
    const kept = { block, challengeEndsAt, epochHash, gasUsed, memberCount, operator, transaction }
    epochs.setPosted(state.number, epoch, kept)
    return { ...epoch, posted: kept }
  }

  function assertSame(open: OpenNetwork, epoch: BuiltEpoch, posted: PostedEpoch) {
    const logs = logHeads(epoch)
    const same =
      posted.attempt === epoch.attempt &&
      posted.parentHash === epoch.parentHash &&
      posted.depth === epoch.depth &&
      posted.ledgerTotal === epoch.ledgerTotal &&
      toHex(posted.ledgerRoot) === epoch.ledgerRoot &&
      posted.logs.length === logs.length &&
      posted.logs.every(
        (log, i) =>
          log.shard === logs[i]!.shard &&
          log.size === logs[i]!.size &&
          equalBytes(log.root, logs[i]!.root),
      )
    if (same) return
    throw new EpochConflictError(
      `Window ${epoch.window} is on chain with another log or ledger than this node has.`,
      {
        metaMessages: [
          `Network: ${open.network.id}`,
          `Posted by: ${posted.operator} in ${posted.transaction}`,
          `Ledger on chain: ${toHex(posted.ledgerRoot)}, total ${posted.ledgerTotal}`,
          `Ledger here: ${epoch.ledgerRoot}, total ${epoch.ledgerTotal}`,
        ],
      },
    )
  }

  /** Deletes the rows of days that are older than retention and in no window that is not final. */
  async function expire(open: OpenNetwork): Promise<number> {
    const { chain, config, state, windowMs } = open
    const days = store.expirable(state.number, Math.floor((clock() - config.retentionMs) / dayMs))
    if (days.length === 0) return 0
    const { nextFinalWindow } = await chain.progress()
    let expired = 0
    for (const { day, end } of days) {
      if (Math.floor(end / windowMs) >= nextFinalWindow) continue
      store.expire(state.number, day)
      expired++
    }
    return expired
  }

  function ledgerOf(open: OpenNetwork, epoch: StoredEpoch): Ledger {
    const key = `${open.state.number}/${epoch.window}/${epoch.ledgerRoot}`
    let ledger = ledgers.get(key)
    if (!ledger) {
      const claims = epochs.claims(open.state.number, epoch)
      ledger = buildLedger(bySlot(claims).map(toEntry), { depth: epoch.depth })
      if (ledgers.size >= 4) ledgers.delete(ledgers.keys().next().value as string)
      ledgers.set(key, ledger)
    }
    return ledger
  }

  return { expire, ledgerOf, settle }
}

export declare namespace createSettler {
  type Options = {
    clock: () => number
    epochs: EpochStore
    onEpoch?: ((network: OpenNetwork, epoch: StoredEpoch) => void) | undefined
    pipeline: Pipeline
    store: Store
  }
}

export type Settler = {
  /** Cuts, builds and posts every window that is due; resolves to what was posted. */
  settle(network: OpenNetwork): Promise<StoredEpoch[]>
  /** Deletes rows that are due; resolves to how many days' files. */
  expire(network: OpenNetwork): Promise<number>
  ledgerOf(network: OpenNetwork, epoch: StoredEpoch): Ledger
}

/** What stands before a network's first window. */
export const noParent = toHex(new Uint8Array(32))

export function logHeads(epoch: Pick<BuiltEpoch, 'logRoot' | 'size'>): LogHead[] {
  return epoch.size === 0 ? [] : [{ shard: 0, size: epoch.size, root: fromHex(epoch.logRoot) }]
}

export function bySlot(claims: readonly Claim[]): (Claim | null)[] {
  const slots: (Claim | null)[] = []
  for (const claim of claims) {
    while (slots.length < claim.slot) slots.push(null)
    slots.push(claim)
  }
  return slots
}

export function toEntry(claim: Claim | null) {
  if (!claim) return null
  const { cumulative, device, steps, traceRoot, value } = claim
  return { cumulative, device, steps, traceRoot, value }
}
