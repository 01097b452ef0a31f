import {
  type Assurance,
  assurances,
  type Epoch,
  type EpochStatus,
  isLogKey,
  type Network,
  type NetworkConfig,
  readConfig,
  readEpoch,
  readOperator,
} from '@machinefi/contracts'
import { iMembershipAbi } from '@machinefi/contracts/abis'
import {
  BaseError,
  equalBytes,
  formatAddress,
  formatDid,
  fromHex,
  type Hex,
  toHex,
} from '@machinefi/core'
import { type ClaimEvidence, decodeBundle, verifyBundle } from '@machinefi/proof'
import { decodeBatch } from '@machinefi/telemetry'
import type { ChainReader } from '../chain/createChainClient.js'
import {
  fetchNode,
  fetchNodeBytes,
  type NodeAddress,
  NodeProblemError,
  NotANodeError,
} from '../node/fetchNode.js'
import { toSigned } from './toSigned.js'

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
  member: {
    assurance: Assurance
    joinedAt: number
    slot: number
    suspendedAt: number | null
  } | null
  /**
   * What was posted; null where there is no entry. Verified from the device's
   * signatures to the posted hash, except where rows have expired.
   */
  claim: (Pick<ClaimEvidence, 'batches' | 'entry'> & { verified: boolean }) | null
  /** Batches whose header overlaps the window, by seq; rows of those that were asked for. */
  batches: (NodeBatch & { records: Uint8Array | null })[]
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
  const isMember = member.joinedAt !== 0
  const stands = epoch !== null && epoch.status !== 'void'
  const claim = stands && isMember ? await fetchClaim(options, epoch) : null
  const batches = isMember ? await fetchBatches(node, network.id, did, bounds) : []
  // Rows come with the evidence; until there is some, one by one from the log.
  const records = claim
    ? new Map(claim.batches.map(({ bytes, index }) => [index, decodeBatch(bytes).records]))
    : new Map(
        await Promise.all(
          (stands ? [] : batches).map(async ({ index }) => {
            const path = `/networks/${network.id}/log/batches/${index}`
            return [index, decodeBatch(await fetchNodeBytes(node, path)).records] as const
          }),
        ),
      )
  return {
    batches: batches.map((batch) => ({ ...batch, records: records.get(batch.index) ?? null })),
    claim,
    config,
    device,
    epoch,
    member: isMember
      ? {
          assurance: assurances[member.assurance]!,
          joinedAt: member.joinedAt * 1000,
          slot: member.slot,
          suspendedAt: member.suspendedAt === 0 ? null : member.suspendedAt * 1000,
        }
      : null,
    now: Number(timestamp) * 1000,
    window: bounds,
  }
}

export declare namespace gatherClaim {
  type Options = {
    client: ChainReader
    device: Uint8Array
    network: Network
    node: NodeAddress
    window: number
  }
}

async function fetchBatches(
  node: NodeAddress,
  network: string,
  did: string,
  { end, start }: { end: number; start: number },
): Promise<NodeBatch[]> {
  const batches: NodeBatch[] = []
  for (let seq: number | null = 0; seq !== null; ) {
    const path = `/networks/${network}/devices/${did}/batches?from=${start}&to=${end}&seq=${seq}`
    const page: { batches: NodeBatch[]; next: number | null } = await fetchNode(node, path)
    if (!Array.isArray(page.batches) || !page.batches.every(isBatch))
      throw new NotANodeError(node.url)
    batches.push(...page.batches)
    // A node that goes in circles is left.
    seq = page.next !== null && page.next > seq ? page.next : null
  }
  return batches
}

/** Whether it can be reckoned with, and printed. */
function isBatch({ arrived, count, id, index, schema, seq, span, start }: NodeBatch): boolean {
  const numbers = [arrived, count, index, schema, seq, span, start]
  // Times up to the year 10,000.
  const isTime = (time: number) => time < 253_402_300_800_000
  return (
    numbers.every((number) => Number.isSafeInteger(number) && number >= 0) &&
    isTime(arrived) &&
    isTime(start + span) &&
    /^0x[0-9a-f]{64}$/.test(id)
  )
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
    if (!(error instanceof NodeProblemError && error.status === 404)) throw error
    await assertNoEntry(node, path.replace(/\/bundle$/, ''))
    return null
  }
  const evidence = findClaim(bytes, device)
  // Without its rows a batch is checked by nobody any more.
  if (evidence?.batches.some(({ bytes }) => decodeBatch(bytes).records === null))
    return { ...evidence, verified: false }
  const state = await readOperator(client, { network, operator })
  const verdict = await verifyBundle(bytes, { device, epochHash: fromHex(epochHash) })
  if (!verdict.ok) throw new EvidenceRefusedError(verdict.at, verdict.reason)
  if (toHex(verdict.network) !== network.id)
    throw new EvidenceRefusedError('network', 'It is of another one.')
  if (!isLogKey(state, toSigned(verdict)))
    throw new EvidenceRefusedError('log key', 'It was not the operator’s when it signed.')
  return { ...(evidence as ClaimEvidence), verified: true }
}

function findClaim(bytes: Uint8Array, device: Uint8Array): ClaimEvidence | undefined {
  try {
    return decodeBundle(bytes).claims.find(({ entry }) => equalBytes(entry.device, device))
  } catch (error) {
    throw new EvidenceRefusedError('bundle', (error as BaseError).shortMessage)
  }
}

/** A node may know an epoch of another operator without its evidence. */
async function assertNoEntry(node: NodeAddress, path: string): Promise<void> {
  try {
    await fetchNode(node, path)
  } catch (error) {
    if (error instanceof NodeProblemError && error.status === 404) return
    throw error
  }
  throw new EvidenceElsewhereError(node.url)
}

export class EvidenceElsewhereError extends BaseError {
  override readonly name = 'EvidenceElsewhereError'
  constructor(node: string) {
    super('This node has no evidence of the window: another operator posted it.', {
      kind: 'input',
      metaMessages: [`Asked: ${new URL(node).origin}. Name that operator’s node with --node.`],
    })
  }
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
