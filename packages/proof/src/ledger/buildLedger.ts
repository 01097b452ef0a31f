import { BaseError, concatBytes, equalBytes } from '@machinefi/core'
import { type Entry, nodeBytes, readSum, writeLeaf, writeNode } from './Entry.js'

/**
 * Builds the ledger of an epoch: a Merkle sum tree over the members' slots.
 * Every node carries the sum of the rewards below it, in its hash.
 *
 * @param entries by slot; `null` is a slot that has never been paid.
 * @throws {LedgerOverflowError} the sum of all rewards does not fit uint128.
 * @throws {LedgerDepthError} more entries than 2^depth slots.
 * @throws {InvalidEntryError}
 *
 * @example
 * const ledger = buildLedger([{ device, value: 10_432n, steps: 24, traceRoot: trace.root, cumulative: 5n }])
 * const { siblings } = ledger.proof(0)
 */
export function buildLedger(
  entries: readonly (Entry | null)[],
  options: buildLedger.Options = {},
): Ledger {
  const { depth = ledgerDepth(entries.length) } = options
  if (!Number.isInteger(depth) || depth < 0 || depth > maxDepth || entries.length > 2 ** depth)
    throw new LedgerDepthError(depth, entries.length)

  // levels[l] has the nodes above real slots, padded to an even number; beyond them all is empty.
  const empties = emptyNodes(depth)
  const levels: Uint8Array[] = []
  let count = Math.max(1, entries.length)
  let level = new Uint8Array(nodeBytes * (count + (count % 2)))
  for (const [slot, entry] of entries.entries()) writeLeaf(entry, level, nodeBytes * slot)
  for (let l = 0; ; l++) {
    if (count % 2 === 1) level.set(empties[l] as Uint8Array, nodeBytes * count)
    levels.push(level)
    if (l === depth) break
    count = Math.ceil(count / 2)
    const above = new Uint8Array(nodeBytes * (count + (count % 2)))
    for (let i = 0; i < count; i++)
      if (!writeNode(level, 2 * nodeBytes * i, above, nodeBytes * i))
        throw new LedgerOverflowError()
    level = above
  }

  function node(l: number, position: number): Uint8Array {
    const offset = nodeBytes * position
    const nodes = levels[l] as Uint8Array
    return offset < nodes.length
      ? nodes.subarray(offset, offset + nodeBytes)
      : (empties[l] as Uint8Array)
  }

  function siblings(from: number, length: number): Uint8Array {
    if (!Number.isInteger(from) || !Number.isInteger(length) || from < 0 || length < 1)
      throw new LedgerSlotError(from, length, depth)
    if (from + length > 2 ** depth) throw new LedgerSlotError(from, length, depth)
    const path: Uint8Array[] = []
    let first = from
    let last = from + length - 1
    for (let l = 0; l < depth; l++) {
      if (first % 2 === 1) path.push(node(l, first - 1))
      if (last % 2 === 0) path.push(node(l, last + 1))
      first = Math.floor(first / 2)
      last = Math.floor(last / 2)
    }
    return concatBytes(...path)
  }

  function assertNode(height: number, index: number) {
    const fits = Number.isInteger(height) && height >= 0 && height <= depth
    if (!fits || !Number.isInteger(index) || index < 0 || index >= 2 ** (depth - height))
      throw new LedgerNodeError(height, index, depth)
  }

  return {
    depth,
    root: level.slice(0, 32),
    total: readSum(level, 0),
    entry(slot) {
      if (!Number.isInteger(slot) || slot < 0 || slot >= 2 ** depth)
        throw new LedgerSlotError(slot, 1, depth)
      return entries[slot] ?? null
    },
    slotOf(device) {
      const slot = entries.findIndex((entry) => entry !== null && equalBytes(entry.device, device))
      return slot === -1 ? null : slot
    },
    node(height, index) {
      assertNode(height, index)
      const found = node(height, index)
      return { hash: found.slice(0, 32), sum: readSum(found, 0) }
    },
    nodeProof(height, index) {
      assertNode(height, index)
      const below = Math.min(revealedLevels, height)
      const nodes = Array.from({ length: 2 ** below }, (_, i) =>
        node(height - below, index * 2 ** below + i),
      )
      const path: Uint8Array[] = []
      for (let l = height, position = index; l < depth; l++, position = Math.floor(position / 2))
        path.push(node(l, position % 2 === 0 ? position + 1 : position - 1))
      return { nodes: concatBytes(...nodes), siblings: concatBytes(...path) }
    },
    proof: (slot) => ({ entry: entries[slot] ?? null, siblings: siblings(slot, 1), slot }),
    fleetProof(from, length) {
      const path = siblings(from, length)
      const run = Array.from({ length }, (_, i) => entries[from + i] ?? null)
      return { entries: run, siblings: path, slot: from }
    },
  }
}

export declare namespace buildLedger {
  type Options = {
    /** At least the default, {@link ledgerDepth} of the number of entries; a posting may have one more. */
    depth?: number | undefined
  }
}

export type Ledger = {
  readonly depth: number
  /** Hash at the root, 32 bytes. */
  readonly root: Uint8Array
  /** Sum at the root. */
  readonly total: bigint
  /** What is in a slot. @throws {LedgerSlotError} */
  entry(slot: number): Entry | null
  /** The slot that has a device's entry, by looking at all of them; `null` where there is none. */
  slotOf(device: Uint8Array): number | null
  /** A node by its height, 0 for the leaves, and its place from the left. @throws {LedgerNodeError} */
  node(height: number, index: number): LedgerNode
  /** The nodes min(5, height) levels below a node, 48 bytes each from the left, and the path of the node from its height up. @throws {LedgerNodeError} */
  nodeProof(height: number, index: number): { nodes: Uint8Array; siblings: Uint8Array }
  /** What is in a slot, and its path. @throws {LedgerSlotError} */
  proof(slot: number): { entry: Entry | null; siblings: Uint8Array; slot: number }
  /** What is in `count` adjacent slots, and the one path they share. @throws {LedgerSlotError} */
  fleetProof(
    from: number,
    count: number,
  ): { entries: (Entry | null)[]; siblings: Uint8Array; slot: number }
}

/** A node of a ledger. */
export type LedgerNode = {
  /** 32 bytes. */
  readonly hash: Uint8Array
  /** All rewards below it. */
  readonly sum: bigint
}

/** What is posted of a ledger. */
export type LedgerHead = {
  readonly depth: number
  /** 32 bytes. */
  readonly root: Uint8Array
  readonly total: bigint
}

/** How many levels of a ledger one answer shows. */
export const revealedLevels = 5

/** The least depth with a slot for every member: 2^depth ≥ members. */
export function ledgerDepth(members: number): number {
  let depth = 0
  while (2 ** depth < members) depth++
  return depth
}

/** A slot has 32 bits. */
export const maxDepth = 32

/** What a subtree of empty slots is, by height. The leaf is all zeros. */
function emptyNodes(depth: number): Uint8Array[] {
  const nodes = [new Uint8Array(nodeBytes)]
  const pair = new Uint8Array(2 * nodeBytes)
  for (let l = 0; l < depth; l++) {
    pair.set(nodes[l] as Uint8Array)
    pair.set(nodes[l] as Uint8Array, nodeBytes)
    const above = new Uint8Array(nodeBytes)
    writeNode(pair, 0, above, 0)
    nodes.push(above)
  }
  return nodes
}

export class LedgerDepthError extends BaseError {
  override readonly name = 'LedgerDepthError'
  constructor(depth: number, entries: number) {
    super(`A ledger of depth ${depth} has no room for ${entries} entries.`, { kind: 'input' })
  }
}

export class LedgerNodeError extends BaseError {
  override readonly name = 'LedgerNodeError'
  constructor(height: number, index: number, depth: number) {
    super(`There is no node ${index} at height ${height} of a ledger of depth ${depth}.`, {
      kind: 'input',
    })
  }
}

export class LedgerOverflowError extends BaseError {
  override readonly name = 'LedgerOverflowError'
  constructor() {
    super('The sum of all rewards does not fit 128 bits.', { kind: 'input' })
  }
}

export class LedgerSlotError extends BaseError {
  override readonly name = 'LedgerSlotError'
  constructor(slot: number, count: number, depth: number) {
    super(`There are no ${count} slots from ${slot} on in a ledger of depth ${depth}.`, {
      kind: 'input',
    })
  }
}
