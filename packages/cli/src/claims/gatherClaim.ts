import {
  type Epoch,
  type EpochStatus,
  type Network,
  type NetworkConfig,
  readConfig,
  readEpoch,
  readOperator,
} from '@machinefi/contracts'
import { iMembershipAbi } from '@machinefi/contracts/abis'
import { BaseError, formatAddress, formatDid, fromHex, type Hex, toHex } from '@machinefi/core'
import { type ClaimEvidence, type ClaimVerdict, decodeBundle, verifyBundle } from '@machinefi/proof'
import type { ChainReader } from '../chain/createChainClient.js'
import { fetchNode, fetchNodeBytes, NodeProblemError } from '../node/fetchNode.js'

/** A batch of a device in the node's log, as the node says: nothing of it is proven. */
export type NodeBatch = {
  seq: number
  index: number
  id: Hex
  schema: number
  start: number
  span: number
  count: number
  /** When the node took it in, ms. */
  arrived: number
  late: boolean
}

/** All that says why a window paid a device what it paid. */
export type GatheredClaim = {
  device: Uint8Array
  /** Rules of the window, from the chain. */
  config: NetworkConfig
  /** The latest attempt, from the chain; null where the window was never posted. */
  epoch: (Epoch & { status: EpochStatus }) | null
  /** From the chain; null where the device has never joined. Times in ms, `suspendedAt` null if never. */
  member: { joinedAt: number; slot: number; suspendedAt: number | null } | null
  /** Checked from the device's signatures to the posted hash; null where there is nothing to check. */
  claim: { evidence: ClaimEvidence; verdict: ClaimVerdict } | null
  /** Batches whose header overlaps the window, by seq. */
  batches: NodeBatch[]
  /** Time of the chain's latest block, ms. */
  now: number
  window: { end: number; number: number; start: number }
}

/**
 * Gathers what chain and node know of a device in a window. What the node
 * shows of the posted claim is checked against the chain; that a batch came
 * late is its word.
 *
 * @throws {EvidenceRefusedError} if the evidence is not what was posted.
 */
export async function gatherClaim(options: gatherClaim.Options): Promise<GatheredClaim> {
  const { client, device, network, node, window } = options
  const did = formatDid(device)
  const span = { start: window * network.windowSeconds * 1000 }
  const bounds = { ...span, end: span.start + network.windowSeconds * 1000, number: window }
  if (window < network.firstWindow) throw new WindowTooEarlyError(network, window)
  const [config, epoch, member, { timestamp }] = await Promise.all([
    readConfig(client, { network, window }),
    readEpoch(client, { network, window }),
    client.readContract({
      abi: iMembershipAbi,
      address: network.membership,
      args: [formatAddress(device) as Hex],
      functionName: 'member',
    }),
    client.getBlock(),
  ])
  const stands = epoch !== null && epoch.status !== 'void'
  return {
    batches: member.joinedAt === 0 ? [] : await fetchBatches(node, network.id, did, bounds),
    claim: stands && member.joinedAt !== 0 ? await fetchClaim(options, epoch) : null,
    config,
    device,
    epoch,
    member:
      member.joinedAt === 0
        ? null
        : {
            joinedAt: member.joinedAt * 1000,
            slot: member.slot,
            suspendedAt: member.suspendedAt === 0 ? null : member.suspendedAt * 1000,
          },
    now: Number(timestamp) * 1000,
    window: bounds,
  }
}

export declare namespace gatherClaim {
  type Options = {
    client: ChainReader
    device: Uint8Array
    network: Network
    node: string
    window: number
  }
}

async function fetchBatches(
  node: string,
  network: string,
  did: string,
  { end, start }: { end: number; start: number },
): Promise<NodeBatch[]> {
  const batches: NodeBatch[] = []
  for (let seq: number | null = 0; seq !== null; ) {
    const path = `/networks/${network}/devices/${did}/batches?from=${start}&to=${end}&seq=${seq}`
    const page: { batches: NodeBatch[]; next: number | null } = await fetchNode(node, path)
    batches.push(...page.batches)
    // A node that goes in circles is left.
    seq = page.next !== null && page.next > seq ? page.next : null
  }
  return batches
}

/** The evidence of a claim, checked; null where the ledger has no entry of the device. */
async function fetchClaim(
  { client, device, network, node, window }: gatherClaim.Options,
  { epochHash, operator }: Epoch,
): Promise<GatheredClaim['claim']> {
  const path = `/networks/${network.id}/epochs/${window}/claims/${formatDid(device)}/bundle`
  let bytes: Uint8Array
  try {
    bytes = await fetchNodeBytes(node, path)
  } catch (error) {
    if (error instanceof NodeProblemError && error.status === 404) return null
    throw error
  }
  const { logKey } = await readOperator(client, { network, operator })
  const verdict = await verifyBundle(bytes, { device, epochHash: fromHex(epochHash) })
  if (!verdict.ok) throw new EvidenceRefusedError(verdict.at, verdict.reason)
  if (toHex(verdict.network) !== network.id)
    throw new EvidenceRefusedError('network', 'It is of another one.')
  if (toHex(verdict.logKey) !== logKey)
    throw new EvidenceRefusedError('log key', 'It is not the one the operator is bonded with.')
  const evidence = decodeBundle(bytes).claims.find(
    ({ entry }) => toHex(entry.device) === toHex(device),
  )
  return { evidence: evidence as ClaimEvidence, verdict: verdict.claims[0] as ClaimVerdict }
}

export class EvidenceRefusedError extends BaseError {
  override readonly name = 'EvidenceRefusedError'
  constructor(at: string, reason: string) {
    super('What the node shows as evidence is not what was posted.', {
      docsPath: 'guides/audit.md',
      kind: 'integrity',
      metaMessages: [`At ${at}: ${reason}`, 'Let `machinefi audit` look at it.'],
    })
  }
}

export class WindowTooEarlyError extends BaseError {
  override readonly name = 'WindowTooEarlyError'
  constructor(network: Network, window: number) {
    super(`Window ${window} is before the network’s first, ${network.firstWindow}.`, {
      kind: 'input',
    })
  }
}
