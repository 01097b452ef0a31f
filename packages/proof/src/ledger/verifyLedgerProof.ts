import { equalBytes } from '@machinefi/core'
import { type LedgerHead, maxDepth, revealedLevels } from './buildLedger.js'
import { type Entry, InvalidEntryError, nodeBytes, readSum, writeLeaf, writeNode } from './Entry.js'

/**
 * Verifies that a slot of the ledger with this root and total holds an entry,
 * or nothing (`null`). All sums on the path are checked. Never throws: what is
 * malformed is `false`.
 */
export function verifyLedgerProof(parameters: verifyLedgerProof.Parameters): boolean {
  const { entry, proof, ...rest } = parameters
  return verifyFleetProof({ ...rest, entries: [entry], proof })
}

export declare namespace verifyLedgerProof {
  type Parameters = {
    depth: number
    entry: Entry | null
    /** Siblings from below, 48 bytes each: hash ‖ uint128 sum. */
    proof: Uint8Array
    root: Uint8Array
    slot: number
    total: bigint
  }
}

/**
 * Verifies what adjacent slots hold by the one path they share: level by level
 * from the leaves, first the left sibling where the run's first node is a
 * right child, then the right one where its last node is a left child. Never
 * throws: what is malformed is `false`.
 */
export function verifyFleetProof(parameters: verifyFleetProof.Parameters): boolean {
  const { entries, slot, ...rest } = parameters
  const nodes = new Uint8Array(nodeBytes * entries.length)
  try {
    for (const [i, entry] of entries.entries()) writeLeaf(entry, nodes, nodeBytes * i)
  } catch (error) {
    if (error instanceof InvalidEntryError) return false
    throw error
  }
  return verifyRun({ ...rest, from: slot, run: nodes })
}

export declare namespace verifyFleetProof {
  type Parameters = Omit<verifyLedgerProof.Parameters, 'entry'> & {
    /** What `slot` and the slots after it hold. */
    entries: readonly (Entry | null)[]
  }
}

/**
 * Verifies nodes that were revealed below one of a ledger: that they, and the
 * path of that node, lead to root and total. Never throws: what is malformed
 * is `false`.
 */
export function verifyRevealed(parameters: verifyRevealed.Parameters): boolean {
  const { depth, height, index, nodes, root, siblings, total } = parameters
  if (!Number.isInteger(height) || height < 0 || !(height <= depth)) return false
  const below = Math.min(revealedLevels, height)
  if (!Number.isInteger(index) || nodes.length !== nodeBytes * 2 ** below) return false
  // The leaves of a smaller tree, that which ends at their height.
  const from = index * 2 ** below
  return verifyRun({
    depth: depth - height + below,
    ...{ from, proof: siblings, root, run: nodes, total },
  })
}

export declare namespace verifyRevealed {
  type Parameters = LedgerHead & {
    /** Of the node, 0 for the leaves. */
    height: number
    /** Place of the node from the left. */
    index: number
    /** Those min(5, height) levels below, from the left, 48 bytes each. */
    nodes: Uint8Array
    /** Of the node, from its height up, 48 bytes each. */
    siblings: Uint8Array
  }
}

/** Whether adjacent nodes lead to a root, all of them being leaves of a tree of this depth. */
function verifyRun(parameters: {
  depth: number
  from: number
  proof: Uint8Array
  root: Uint8Array
  run: Uint8Array
  total: bigint
}): boolean {
  const { depth, from: slot, proof, root, run, total } = parameters
  let count = run.length / nodeBytes
  if (!Number.isInteger(depth) || depth < 0 || depth > maxDepth) return false
  if (!Number.isInteger(slot) || slot < 0 || count < 1 || slot + count > 2 ** depth) return false

  // Room for a sibling at each end.
  let nodes = new Uint8Array(run.length + 2 * nodeBytes)
  nodes.set(run, nodeBytes)
  let first = slot
  let used = 0
  for (let l = 0; l < depth; l++) {
    let from = 1
    if (first % 2 === 1) {
      if (!takeSibling(0)) return false
      from = 0
      first--
      count++
    }
    if (count % 2 === 1) {
      if (!takeSibling(from + count)) return false
      count++
    }
    count /= 2
    first /= 2
    const above = new Uint8Array(nodeBytes * (count + 2))
    for (let i = 0; i < count; i++)
      if (!writeNode(nodes, nodeBytes * (from + 2 * i), above, nodeBytes * (i + 1))) return false
    nodes = above
  }
  return (
    used === proof.length &&
    readSum(nodes, nodeBytes) === total &&
    equalBytes(nodes.subarray(nodeBytes, nodeBytes + 32), root)
  )

  function takeSibling(position: number): boolean {
    if (used + nodeBytes > proof.length) return false
    nodes.set(proof.subarray(used, used + nodeBytes), nodeBytes * position)
    used += nodeBytes
    return true
  }
}
