import { equalBytes } from '@machinefi/core'
import { maxDepth } from './buildLedger.js'
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
  const { depth, entries, proof, root, slot, total } = parameters
  if (!Number.isInteger(depth) || depth < 0 || depth > maxDepth) return false
  if (!Number.isInteger(slot) || slot < 0 || entries.length < 1) return false
  if (slot + entries.length > 2 ** depth) return false

  // Room for a sibling at each end.
  let nodes = new Uint8Array(nodeBytes * (entries.length + 2))
  try {
    for (const [i, entry] of entries.entries()) writeLeaf(entry, nodes, nodeBytes * (i + 1))
  } catch (error) {
    if (error instanceof InvalidEntryError) return false
    throw error
  }
  let first = slot
  let count = entries.length
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

export declare namespace verifyFleetProof {
  type Parameters = Omit<verifyLedgerProof.Parameters, 'entry'> & {
    /** What `slot` and the slots after it hold. */
    entries: readonly (Entry | null)[]
  }
}
