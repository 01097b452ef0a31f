import { equalBytes } from '@machinefi/core'
import { hashLeaf, hashNode } from './treeHash.js'

/**
 * Verifies that an entry is in a log (RFC 9162 §2.1.3.2). Never throws: what
 * is malformed is `false`.
 */
export function verifyInclusion(parameters: verifyInclusion.Parameters): boolean {
  const { id, index, proof, root, size } = parameters
  if (id.length !== 32) return false
  const computed = foldInclusionPath({ index, leafHash: hashLeaf(id), proof, size })
  return computed !== null && equalBytes(computed, root)
}

export declare namespace verifyInclusion {
  type Parameters = {
    /** Entry, 32 bytes. */
    id: Uint8Array
    index: number
    /** 32 bytes a hash, from the leaf up. */
    proof: Uint8Array
    root: Uint8Array
    /** Number of entries below `root`. */
    size: number
  }
}

/** The root that a path leads to, or `null` where index, size and length of the path do not fit. */
export function foldInclusionPath(parameters: {
  index: number
  leafHash: Uint8Array
  proof: Uint8Array
  size: number
}): Uint8Array | null {
  const { index, leafHash, proof, size } = parameters
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size)) return null
  if (index < 0 || index >= size || leafHash.length !== 32 || proof.length % 32 !== 0) return null
  let position = index
  let last = size - 1
  let hash = leafHash
  for (let offset = 0; offset < proof.length; offset += 32) {
    if (last === 0) return null
    if (position % 2 === 1 || position === last) {
      hash = hashNode(proof, offset, hash, 0)
      // A lone last node rose to here without siblings.
      while (position % 2 === 0 && position !== 0) {
        position /= 2
        last = Math.floor(last / 2)
      }
    } else {
      hash = hashNode(hash, 0, proof, offset)
    }
    position = Math.floor(position / 2)
    last = Math.floor(last / 2)
  }
  // A copy, since core's hashes are Buffers in Node.
  return last === 0 ? Uint8Array.from(hash) : null
}
