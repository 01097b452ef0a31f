import { equalBytes, fromHex, InvalidHexError, toHex } from '@machinefi/core'
import { verifySignatureSync } from '@machinefi/core/node'
import { findEquivocation, type Proof } from '@machinefi/proof'
import { BatchError, decodeBatch, type SignedBatch, sigStructure } from '@machinefi/telemetry'
import type { ChainMember } from '../chain/chain.js'
import { type NodeReader, NodeRefusedError } from './createNodeReader.js'

/** The proof that a member signed both of two batches with one seq; undefined if it did not. */
export function proveEquivocation(
  a: SignedBatch,
  b: SignedBatch,
  options: { member: ChainMember | undefined; network: Uint8Array },
): Equivocation | undefined {
  const { member, network } = options
  if (!member || !equalBytes(a.device, member.device)) return undefined
  const { device, publicKey } = member
  const proof = findEquivocation(a, b, { network, publicKey })
  const isSigned = ({ algorithm, signature, ...batch }: SignedBatch) =>
    verifySignatureSync({ algorithm, message: sigStructure(batch, network), publicKey, signature })
  if (!proof || !isSigned(a) || !isSigned(b)) return undefined
  return { device, proof, seq: a.header.seq }
}

/** Asks a node for what it has against some of the members. What does not hold is passed over. */
export async function readEquivocations(
  options: readEquivocations.Options,
): Promise<Equivocation[]> {
  const { members, network, reader, signal } = options
  const found: Equivocation[] = []
  for (const member of members)
    try {
      const path = `/devices/${toHex(member.device)}/evidence`
      const answer = await reader.readJson(path, { maxBytes: maxEvidenceBytes, signal })
      for (const { logged, other } of toPairs(answer)) {
        const proof = proveEquivocation(logged, other, { member, network })
        if (!proof) continue
        found.push(proof)
        break
      }
    } catch (error) {
      if (!(error instanceof NodeRefusedError)) throw error
      signal?.throwIfAborted()
    }
  return found
}

export declare namespace readEquivocations {
  type Options = {
    members: readonly ChainMember[]
    /** Network id, 32 bytes. */
    network: Uint8Array
    reader: NodeReader
    signal?: AbortSignal | undefined
  }
}

/** Two batches with one seq: proof against their device. */
export type Equivocation = {
  device: Uint8Array
  proof: Extract<Proof, { kind: 'equivocation' }>
  seq: number
}

function toPairs(answer: unknown): { logged: SignedBatch; other: SignedBatch }[] {
  const { evidence } = (answer ?? {}) as { evidence?: unknown }
  if (!Array.isArray(evidence)) return []
  return evidence.slice(0, maxPairs).flatMap((pair) => {
    try {
      return [{ logged: toBatch(pair?.logged?.batch), other: toBatch(pair?.other?.batch) }]
    } catch (error) {
      if (error instanceof BatchError || error instanceof InvalidHexError) return []
      throw error
    }
  })
}

const toBatch = (hex: unknown) => decodeBatch(fromHex(typeof hex === 'string' ? hex : ''))

const maxPairs = 8
const maxEvidenceBytes = 4 * 2 ** 20
