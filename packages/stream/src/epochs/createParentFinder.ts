import { equalBytes, toHex } from '@machinefi/core'
import { emptyRoot, MissingRecordsError, reward } from '@machinefi/proof'
import type { PostedEpoch } from '../chain/chain.js'
import type { OpenNetwork } from '../network/openNetwork.js'
import { conflict, isLedgerOf, isSame, noParent, toEntry, toKept, toRules } from './BuiltEpoch.js'
import { isPaid } from './buildClaims.js'
import { fetchLedger } from './fetchLedger.js'
import type { BuiltEpoch, Claim, EpochStore, StoredEpoch } from './openEpochStore.js'

/**
 * Finds what a window builds on: the epoch that stands for the window before,
 * with all its entries. What this operator posted is in the store. What another
 * one posted is computed again from this node's own data, where that gives the
 * ledger on chain; else other nodes are asked for it, and what they say counts
 * only if it has the root and the total that are on chain.
 */
export function createParentFinder(options: createParentFinder.Options): ParentFinder {
  const { clock, compute, cut, epochs, peers } = options
  /** Hashes of epochs that this node's data does not give: it never will. */
  const foreign = new Set<string>()
  /** Hashes of epochs that the peers have been asked for. */
  const asked = new Set<string>()
  /** What every peer said last, so that it is reported once. */
  const said = new Map<string, string>()

  async function find(
    open: OpenNetwork,
    window: number,
    { note, urgent = false }: ParentFinder.Options,
  ): Promise<ParentFinder.Result> {
    const { firstWindow } = open.network
    let parent = await lastStanding(open, window)
    let next = parent ? parent.window + 1 : firstWindow
    for (; next < window; next++) {
      const epoch = await recompute(open, next, parent, note)
      if (!epoch) break
      parent = epoch
    }
    if (next === window) return { ok: true, epoch: parent }
    return fetchEpoch(open, window - 1, urgent)
  }

  /** The last epoch below a window that is in the store as it stands on chain. */
  async function lastStanding(open: OpenNetwork, window: number): Promise<StoredEpoch | null> {
    const { chain, state } = open
    for (let below = window; ; ) {
      const last = epochs.lastPosted(state.number, below)
      if (!last) return null
      const { attempt, epochHash } = await chain.latest(last.window)
      const stored = epochs.attempt(state.number, last.window, attempt)
      if (stored?.posted?.epochHash === epochHash) return stored
      below = last.window
    }
  }

  /** Takes an epoch in that this node has built, or would have built. */
  async function recompute(
    open: OpenNetwork,
    window: number,
    parent: StoredEpoch | null,
    note: (epoch: StoredEpoch) => void,
  ): Promise<StoredEpoch | undefined> {
    const { chain, state, windowOf } = open
    const { attempt, epochHash } = await chain.latest(window)
    if (foreign.has(epochHash)) return undefined
    const posted = await readEpoch(open, window, epochHash)
    if (!posted) return undefined
    const built = epochs.attempt(state.number, window, attempt)
    if (built && isSame(built, posted)) {
      const epoch = { ...built, posted: toKept(posted) }
      epochs.setPosted(state.number, built, epoch.posted)
      if (posted.operator === chain.operator) note(epoch)
      return epoch
    }
    if (posted.operator === chain.operator) throw conflict(open, posted, built)
    // The chain moved on in between: the next time it is found as it is then.
    if (posted.parentHash !== (parent?.posted?.epochHash ?? noParent)) return undefined
    const { graceMs } = await open.configAt(window)
    if (clock() < windowOf(window).end + graceMs) return undefined
    await open.refresh()
    try {
      const size = await cut(open, window)
      const claims = await compute(open, { parent, size, window })
      // Whoever joined after the posting has no slot in it; none of them is paid.
      while (claims.length > posted.memberCount && claims.at(-1) === null) claims.pop()
      if (isLedgerOf(posted, claims.map(toEntry))) return await keep(open, posted, claims)
    } catch (error) {
      // The rows have expired.
      if (!(error instanceof MissingRecordsError)) throw error
    }
    foreign.add(epochHash)
    return undefined
  }

  /** Asks the peers for an epoch's entries: once, and whenever it is urgent. */
  async function fetchEpoch(
    open: OpenNetwork,
    window: number,
    urgent: boolean,
  ): Promise<ParentFinder.Result> {
    const { chain, network } = open
    const { epochHash } = await chain.latest(window)
    const problem = `The ledger of window ${window} is of another operator: this node's data does not give it, and no peer has it.`
    if (asked.has(epochHash) && !urgent) return { ok: false, problem }
    const posted = await readEpoch(open, window, epochHash)
    if (!posted) return { ok: false, problem: 'The chain has changed.' }
    if (posted.operator === chain.operator) throw conflict(open, posted, undefined)
    await open.refresh()
    for (const peer of peers) {
      const answer = await fetchLedger({ fetch: chain.fetch, network: network.id, peer, posted })
      report(peer, answer.ok ? undefined : answer.error)
      if (!answer.ok) continue
      return {
        ok: true,
        epoch: await keep(open, posted, await toClaims(open, posted, answer.entries)),
      }
    }
    asked.add(epochHash)
    return { ok: false, problem }
  }

  /** The epoch with a hash, if it still is the latest of its window. */
  async function readEpoch(open: OpenNetwork, window: number, epochHash: string) {
    const posted = await open.chain.epoch(window)
    return posted?.epochHash === epochHash ? posted : undefined
  }

  /** Entries as claims. One that is not of the member with its slot is nobody's day, and goes on as it is. */
  async function toClaims(
    open: OpenNetwork,
    posted: PostedEpoch,
    entries: fetchLedger.Entries,
  ): Promise<(Claim | null)[]> {
    const { state, windowOf } = open
    const { cap, rate, threshold } = await open.configAt(posted.window)
    const members = new Map([...state.members].map((member) => [member.slot, member]))
    return entries.map((entry, slot) => {
      if (!entry) return null
      const member = members.get(slot)
      const isOwn = member !== undefined && equalBytes(member.device, entry.device)
      const paid = isOwn && isPaid(member, windowOf(posted.window))
      const earned = paid ? reward({ cap, rate, threshold, value: entry.value }) : 0n
      return { ...entry, paid, reward: earned, slot }
    })
  }

  async function keep(
    open: OpenNetwork,
    posted: PostedEpoch,
    claims: readonly (Claim | null)[],
  ): Promise<StoredEpoch> {
    const { number } = open.state
    const { attempt, depth, ledgerRoot, ledgerTotal, parentHash, window } = posted
    const head = posted.logs.find(({ shard }) => shard === 0)
    const epoch: BuiltEpoch = {
      window,
      attempt,
      parentHash,
      size: head?.size ?? 0,
      logRoot: toHex(head?.root ?? emptyRoot),
      depth,
      ledgerRoot: toHex(ledgerRoot),
      ledgerTotal,
      ...toRules(await open.configAt(window)),
      builtAt: clock(),
    }
    const kept = toKept(posted)
    epochs.put(
      number,
      epoch,
      claims.filter((claim) => claim !== null),
    )
    epochs.setPosted(number, epoch, kept)
    return { ...epoch, posted: kept }
  }

  function report(peer: URL, error: Error | undefined) {
    if (error && said.get(peer.href) !== error.message) options.onError(error)
    if (error) said.set(peer.href, error.message)
    else said.delete(peer.href)
  }

  return { find }
}

export declare namespace createParentFinder {
  type Options = {
    clock: () => number
    /** What the members did in a window by a prefix of this node's log. */
    compute: (
      open: OpenNetwork,
      what: { parent: StoredEpoch | null; size: number; window: number },
    ) => Promise<(Claim | null)[]>
    cut: (open: OpenNetwork, window: number) => Promise<number>
    epochs: EpochStore
    /** Told of peers that cannot be used, once for each reason. */
    onError: (error: unknown) => void
    peers: readonly URL[]
  }
}

export type ParentFinder = {
  /** The parent of a window that is to be posted. @throws {EpochConflictError} */
  find(
    network: OpenNetwork,
    window: number,
    options: ParentFinder.Options,
  ): Promise<ParentFinder.Result>
}

export declare namespace ParentFinder {
  type Options = {
    /** Told of epochs that this node turns out to have posted. */
    note: (epoch: StoredEpoch) => void
    /** Asks peers again that did not have it. @default false */
    urgent?: boolean
  }
  type Result =
    /** Null before the first window. */
    { ok: true; epoch: StoredEpoch | null } | { ok: false; problem: string }
}
