import { equalBytes } from '@machinefi/core'
import { emptyRoot, hashNode } from './treeHash.js'

/**
 * Verifies that the log of `from` entries is the beginning of the log of `to`
 * entries (RFC 9162 §2.1.4.2). Every log begins with the empty one: from 0 the
 * proof is empty. Never throws: what is malformed is `false`.
 */
export function verifyConsistency(parameters: verifyConsistency.Parameters): boolean {
  const { from, fromRoot, proof, to, toRoot } = parameters
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 0 || from > to)
    return false
  if (fromRoot.length !== 32 || toRoot.length !== 32 || proof.length % 32 !== 0) return false
  if (from === to) return proof.length === 0 && equalBytes(fromRoot, toRoot)
  if (from === 0) return proof.length === 0 && equalBytes(fromRoot, emptyRoot)
  if (proof.length === 0) return false

  let position = from - 1
  let last = to - 1
  while (position % 2 === 1) {
    position = (position - 1) / 2
    last = Math.floor(last / 2)
  }
  // A power of two is one complete subtree: its root, and so the first hash, is `fromRoot`.
  const complete = position === 0
  let offset = complete ? 0 : 32
  let oldHash = complete ? fromRoot : proof.subarray(0, 32)
  let newHash = oldHash
  for (; offset < proof.length; offset += 32) {
    if (last === 0) return false
    if (position % 2 === 1 || position === last) {
      oldHash = hashNode(proof, offset, oldHash, 0)
      newHash = hashNode(proof, offset, newHash, 0)
      while (position % 2 === 0 && position !== 0) {
        position /= 2
        last = Math.floor(last / 2)
      }
    } else {
      newHash = hashNode(newHash, 0, proof, offset)
    }
    position = Math.floor(position / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 && equalBytes(oldHash, fromRoot) && equalBytes(newHash, toRoot)
}

export declare namespace verifyConsistency {
  type Parameters = {
    from: number
    fromRoot: Uint8Array
    /** 32 bytes a hash. */
    proof: Uint8Array
    to: number
    toRoot: Uint8Array
  }
}
