import { equalBytes } from '@machinefi/core'
import { hashState, hashTraceLeaf, type TraceLeaf, type TraceStep } from './buildTrace.js'
import { hashPair } from './hashPair.js'

/**
 * Verifies that a step, with the state after it, is in the trace with a root
 * and a number of steps. Never throws: what is malformed is `false`.
 */
export function verifyTraceProof(parameters: verifyTraceProof.Parameters): boolean {
  const { step, ...rest } = parameters
  const { id, seq, state } = step
  return verifyTraceLeaf({ ...rest, leaf: { id, seq, stateHash: hashState(state) } })
}

export declare namespace verifyTraceProof {
  type Parameters = {
    index: number
    /** Siblings from below, 32 bytes each. */
    proof: Uint8Array
    root: Uint8Array
    step: TraceStep
    steps: number
  }
}

/** The same where the hash of the state is known, and not the state. */
export function verifyTraceLeaf(parameters: verifyTraceLeaf.Parameters): boolean {
  const { index, leaf, proof, root, steps } = parameters
  // Ledger entries give steps 32 bits.
  if (!Number.isInteger(steps) || steps > 0xffffffff) return false
  if (!Number.isInteger(index) || index < 0 || index >= steps) return false
  if (leaf.id.length !== 32 || leaf.stateHash.length !== 32) return false
  if (!Number.isSafeInteger(leaf.seq) || leaf.seq < 0) return false
  if (proof.length !== 32 * traceDepth(steps)) return false
  const hash = new Uint8Array(32)
  hashTraceLeaf(leaf, hash, 0)
  let position = index
  for (let offset = 0; offset < proof.length; offset += 32) {
    if (position % 2 === 0) hashPair(hash, 0, proof, offset, hash, 0)
    else hashPair(proof, offset, hash, 0, hash, 0)
    position = Math.floor(position / 2)
  }
  return equalBytes(hash, root)
}

export declare namespace verifyTraceLeaf {
  type Parameters = {
    index: number
    leaf: TraceLeaf
    /** Siblings from below, 32 bytes each. */
    proof: Uint8Array
    root: Uint8Array
    steps: number
  }
}

/** ⌈log2 steps⌉. */
function traceDepth(steps: number): number {
  let depth = 0
  while (2 ** depth < steps) depth++
  return depth
}
