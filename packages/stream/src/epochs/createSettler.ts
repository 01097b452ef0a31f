import { fromHex, toHex } from '@machinefi/core'
import { buildLedger, type Ledger, ledgerDepth } from '@machinefi/proof'
import type { PostedEpoch } from '../chain/chain.js'
import { EpochConflictError } from '../errors.js'
import type { Pipeline } from '../ingest/createPipeline.js'
import type { OpenNetwork } from '../network/openNetwork.js'
import { dayMs } from '../store/openRowFiles.js'
import type { Store } from '../store/openStore.js'
import {
  bySlot,
  conflict,
  isSame,
  logHeads,
  noParent,
  toEntry,
  toKept,
  toRules,
} from './BuiltEpoch.js'
import { buildClaims } from './buildClaims.js'
import { createParentFinder } from './createParentFinder.js'
import type { BuiltEpoch, Claim, EpochStore, StoredEpoch } from './openEpochStore.js'

/**
 * Closes windows: cut the log, compute claims and ledger, post. The chain says
 * which window is next: after a void that is one that was posted before, and it
 * is built again, on what stands now. Each step is durable before the next, so
 * that after a crash at any point the work goes on where it was; what a
 * transaction sent before the crash did is read from the chain. Then lets rows
 * expire that nobody needs any more.
 */
export function createSettler(options: createSettler.Options): Settler {
  const { clock, epochs, onEpoch, pipeline, store } = options
  const ledgers = new Map<string, Ledger>()
  const waits = new Map<OpenNetwork, string>()
  const parents = createParentFinder({ ...options, compute, cut })

  async function settle(open: OpenNetwork): Promise<StoredEpoch[]> {
    const { chain, status } = open
    const settled: StoredEpoch[] = []
    const note = (epoch: StoredEpoch) => {
      settled.push(epoch)
      onEpoch?.(open, epoch)
    }
    let window = await chain.nextWindow()
    status.nextWindow = window
    let parent = await parents.find(open, window, { note })
    for (;;) {
      waits.delete(open)
      if (!(await isDue(open, window))) break
      if (!parent.ok) parent = await parents.find(open, window, { note, urgent: true })
      const problem = await findObstacle(open, window)
      if (problem || !parent.ok) {
        waits.set(
          open,
          `Window ${window} waits. ${problem ?? (parent as { problem: string }).problem}`,
        )
        break
      }
      const epoch = await settleWindow(open, window, parent.epoch)
      if (epoch) {
        note(epoch)
        parent = { ok: true, epoch }
        window++
      } else {
        // Another operator was faster, or its own answer got lost.
        window = await chain.nextWindow()
        parent = await parents.find(open, window, { note })
      }
      status.nextWindow = window
    }
    await noteFinal(open)
    return settled
  }

  /** Reads which windows are final, once another could be. */
  async function noteFinal({ chain, config, status, windowMs }: OpenNetwork) {
    const { finalBefore = Number.NEGATIVE_INFINITY } = status
    if (clock() < finalBefore + windowMs + config.graceMs + config.challengeWindowMs) return
    status.finalBefore = (await chain.nextFinalWindow()) * windowMs
  }

  /** Whether this operator may post a window by now, on the node's clock and on the chain's. */
  async function isDue(open: OpenNetwork, window: number): Promise<boolean> {
    const { chain, status, windowOf } = open
    const { end } = windowOf(window)
    if (clock() < end) return false
    const { graceMs, operator, takeoverDelayMs } = await open.configAt(window)
    const from = end + graceMs + (operator === chain.operator ? 0 : takeoverDelayMs)
    if (clock() < from) return false
    // Whoever joined or was suspended before the end of the window is in a block by now.
    await open.refresh()
    return status.time >= from
  }

  /** Why the chain would refuse a posting of this operator, whatever is in it. */
  async function findObstacle(open: OpenNetwork, window: number): Promise<string | undefined> {
    const { chain, network, state, status } = open
    const { bond, listed, posted } = status.operator!
    // Its earlier epochs are of a log that is not here: every one would contradict the next.
    if (posted !== undefined && posted > (epochs.lastOwn(state.number, chain.operator) ?? -1))
      throw new EpochConflictError(
        `Window ${posted} is on chain with another log or ledger than this node has.`,
        { metaMessages: [`Network: ${network.id}`, `Posted by: ${chain.operator}`] },
      )
    if (!listed) return 'The operator is not listed.'
    const { minBond } = await open.configAt(window)
    if (bond < minBond) return 'The bond of the operator is too small.'
    if (await open.knowsEveryMember()) return undefined
    return 'The endpoint of the chain does not show every member.'
  }

  /** Undefined if the window was posted by somebody else meanwhile. */
  async function settleWindow(
    open: OpenNetwork,
    window: number,
    parent: StoredEpoch | null,
  ): Promise<StoredEpoch | undefined> {
    const { chain, state } = open
    const size = await cut(open, window)
    const attempt = (await chain.latest(window)).attempt + 1
    const parentHash = parent?.posted?.epochHash ?? noParent
    const built = epochs.attempt(state.number, window, attempt)
    const isGood = built && !built.posted && built.parentHash === parentHash && built.size === size
    return post(open, isGood ? built : await build(open, { attempt, parent, size, window }))
  }

  /** Fixes which entries of the log count for a window, between two commits. */
  async function cut(open: OpenNetwork, window: number): Promise<number> {
    const { state, windowOf } = open
    const known = store.cuts(state.number)
    // After a void a window can be cut later than one after it; but the log never shrinks.
    const least = known.reduce(
      (most, cut) => (cut.window < window ? Math.max(most, cut.size) : most),
      0,
    )
    const own = known.find((cut) => cut.window === window)
    if (own) return Math.max(own.size, least)
    const { end } = windowOf(window)
    const { graceMs } = await open.configAt(window)
    return pipeline.exclusive(() => {
      // No checkpoint over a longer log may be dated before the cut-off.
      const at = Math.max(clock(), state.arrived, end + graceMs)
      store.addCut(state.number, { window, size: state.size, at })
      state.arrived = at
      state.cutEnd = Math.max(state.cutEnd, end)
      return state.size
    })
  }

  /** What every member did in a window, by the first `size` entries of this node's log. */
  async function compute(
    open: OpenNetwork,
    { parent, size, window }: { parent: StoredEpoch | null; size: number; window: number },
  ): Promise<(Claim | null)[]> {
    const { schemas, state, windowOf } = open
    const config = await open.configAt(window)
    return buildClaims({
      config,
      members: [...state.members].sort((a, b) => a.slot - b.slot),
      network: state.number,
      previous: parent ? bySlot(epochs.claims(state.number, parent)) : [],
      schema: schemas.find((schema) => schema.id === config.schema)!,
      size,
      store,
      window: windowOf(window),
    })
  }

  async function build(
    open: OpenNetwork,
    given: { attempt: number; parent: StoredEpoch | null; size: number; window: number },
  ): Promise<StoredEpoch> {
    const { attempt, parent, size, window } = given
    const { state } = open
    const claims = await compute(open, given)
    const ledger = buildLedger(claims.map(toEntry))
    const epoch: BuiltEpoch = {
      window,
      attempt,
      parentHash: parent?.posted?.epochHash ?? noParent,
      size,
      logRoot: toHex(state.log.root(size)),
      depth: ledger.depth,
      ledgerRoot: toHex(ledger.root),
      ledgerTotal: ledger.total,
      ...toRules(await open.configAt(window)),
      builtAt: clock(),
    }
    epochs.put(
      state.number,
      epoch,
      claims.filter((claim) => claim !== null),
    )
    return { ...epoch, posted: undefined }
  }

  async function post(open: OpenNetwork, built: StoredEpoch): Promise<StoredEpoch | undefined> {
    const { chain, state } = open
    const { posted: _, ...epoch } = built
    // A join since the ledger was built may need one more level. What the window before has beyond
    // the members may need it, too, and that much is allowed.
    const depth = Math.max(ledgerDepth(await chain.memberCount()), epoch.depth)
    if (depth !== epoch.depth) {
      const claims = epochs.claims(state.number, epoch)
      const ledger = buildLedger(bySlot(claims).map(toEntry), { depth })
      epoch.depth = depth
      epoch.ledgerRoot = toHex(ledger.root)
      epochs.put(state.number, epoch, claims)
    }
    let posted: PostedEpoch
    try {
      posted = await chain.post({
        window: epoch.window,
        parentHash: epoch.parentHash,
        depth,
        ledgerRoot: fromHex(epoch.ledgerRoot),
        ledgerTotal: epoch.ledgerTotal,
        logs: logHeads(epoch),
      })
    } catch (error) {
      const next = await chain.nextWindow().catch(() => epoch.window)
      if (next > epoch.window) return undefined
      throw error
    }
    if (!isSame(epoch, posted)) throw conflict(open, posted, epoch)
    const kept = toKept(posted)
    epochs.setPosted(state.number, epoch, kept)
    return { ...epoch, posted: kept }
  }

  /** Deletes the rows of days that are older than retention and in no window that is not final. */
  async function expire(open: OpenNetwork): Promise<number> {
    const { chain, config, state, windowMs } = open
    const days = store.expirable(state.number, Math.floor((clock() - config.retentionMs) / dayMs))
    if (days.length === 0) return 0
    const nextFinalWindow = await chain.nextFinalWindow()
    let expired = 0
    for (const { day, end } of days) {
      if (Math.floor(end / windowMs) >= nextFinalWindow) continue
      store.expire(state.number, day)
      expired++
    }
    return expired
  }

  function ledgerOf(open: OpenNetwork, epoch: StoredEpoch): Ledger {
    const key = `${open.state.number}/${epoch.window}/${epoch.attempt}/${epoch.ledgerRoot}`
    let ledger = ledgers.get(key)
    if (ledger) ledgers.delete(key)
    else {
      const claims = epochs.claims(open.state.number, epoch)
      ledger = buildLedger(bySlot(claims).map(toEntry), { depth: epoch.depth })
      if (ledgers.size >= 4) ledgers.delete(ledgers.keys().next().value as string)
    }
    // In order of last use.
    ledgers.set(key, ledger)
    return ledger
  }

  return { expire, ledgerOf, settle, waiting: (open) => waits.get(open) }
}

export declare namespace createSettler {
  type Options = {
    clock: () => number
    epochs: EpochStore
    /** Told of what this operator has posted. */
    onEpoch?: ((network: OpenNetwork, epoch: StoredEpoch) => void) | undefined
    /** Told of peers that cannot be used. */
    onError: (error: unknown) => void
    /** Nodes to ask for ledgers that other operators posted. */
    peers: readonly URL[]
    pipeline: Pipeline
    store: Store
  }
}

export type Settler = {
  /** Cuts, builds and posts every window that is due; resolves to what was posted. */
  settle(network: OpenNetwork): Promise<StoredEpoch[]>
  /** Why a window that is due has not been posted, where that is no error but a state of things. */
  waiting(network: OpenNetwork): string | undefined
  /** Deletes rows that are due; resolves to how many days' files. */
  expire(network: OpenNetwork): Promise<number>
  ledgerOf(network: OpenNetwork, epoch: StoredEpoch): Ledger
}
