import { fromHex, publicKeyToAddress, toHex } from '@machinefi/core'
import { type Address, concat, getAbiItem, type Hex, zeroAddress } from 'viem'
import { getBlock } from 'viem/actions'
import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import { readContract } from '../chain/readContract.js'
import { type BlockRange, readEvents } from '../chain/readEvents.js'
import { toLowerCase } from '../chain/toLowerCase.js'
import type { AnyClient } from '../chain/writeContract.js'
import { toContractError } from '../errors.js'
import type { Network } from '../Network.js'

/** An operator of a network. */
export type Operator = {
  address: Address
  /** Short name in epochs; 0 if it was never listed. */
  id: number
  /** Wei, without what is leaving. Can be slashed. */
  bond: bigint
  /** Whether it may post in the place of the named operator. */
  listed: boolean
  /** Wei, requested to be withdrawn. Can still be slashed. */
  leaving: bigint
  /** Unix seconds from which on it can be withdrawn. */
  leavesAt: number
  /** The window that must be final before. */
  leavesAfter: number
  /** Address of the key that signs its checkpoints from now on; zero if it never bonded. */
  logKeyAddress: Address
  /** X‖Y of that key; undefined if it never bonded, or not in the range of blocks. */
  logKey: Hex | undefined
  /** The keys that it changed, the last first. */
  formerLogKeys: readonly FormerLogKey[]
}

/** A key that an operator signed its checkpoints with. */
export type FormerLogKey = {
  address: Address
  /** X‖Y; undefined if it was set before the range of blocks. */
  logKey: Hex | undefined
  /** When it was changed, Unix seconds. */
  changedAt: number
  /** Checkpoints with a later date bind nobody: an hour after the change, Unix seconds. */
  until: number
}

/** Reads an operator's money and keys. */
export async function readOperator(
  client: AnyClient,
  parameters: readOperator.Parameters,
): Promise<Operator> {
  const { fromBlock, network, operator, toBlock } = parameters
  const address = network.settlement
  const [{ leavesAt, logKey, ...stored }, all] = await Promise.all([
    readContract(client, {
      abi: iSettlementAbi,
      address,
      functionName: 'operator',
      args: [operator],
    }),
    // By topic: anyone may change a key, whether operator or not, as often as it likes.
    Promise.all(
      keyEvents.map((event) =>
        readEvents(client, { address, args: { operator }, event, fromBlock, toBlock }),
      ),
    ),
  ])
  const events = all
    .flat()
    .sort((a, b) => Number(a.blockNumber - b.blockNumber) || a.logIndex - b.logIndex)
  const keys = new Map<Address, Hex>()
  for (const { args } of events) {
    const key = concat([args.x, args.y])
    keys.set(toHex(publicKeyToAddress(fromHex(key))), key)
  }
  const former = new Map<Address, FormerLogKey>()
  for (const { args, blockNumber, eventName } of events.reverse()) {
    if (eventName !== 'LogKeyRotated') continue
    const { before } = args
    // Of a key that was taken back, and changed again, the last time counts.
    if (before === zeroAddress || before === logKey || former.has(before)) continue
    const changedAt = await readTime(blockNumber)
    const until = changedAt + mostSkewSeconds
    former.set(before, { address: before, changedAt, logKey: keys.get(before), until })
  }
  return {
    address: toLowerCase(operator),
    ...stored,
    formerLogKeys: [...former.values()],
    leavesAt: Number(leavesAt),
    logKey: keys.get(logKey),
    logKeyAddress: logKey,
  }

  async function readTime(blockNumber: bigint): Promise<number> {
    try {
      return Number((await getBlock(client, { blockNumber })).timestamp)
    } catch (error) {
      throw toContractError(error, { address, functionName: 'LogKeyRotated' })
    }
  }
}

export declare namespace readOperator {
  type Parameters = BlockRange & { network: Pick<Network, 'settlement'>; operator: Address }
}

/**
 * Whether a key was an operator's at the date of a checkpoint: the one of now,
 * or one that it changed since, or not an hour before. The contract asks besides that it was not
 * changed longer ago than receipts live, or that the window of the change is not final.
 */
export function isLogKey(operator: Operator, checkpoint: isLogKey.Checkpoint): boolean {
  const { logKey, time } = checkpoint
  const address = toHex(publicKeyToAddress(fromHex(logKey)))
  return (
    address === operator.logKeyAddress ||
    operator.formerLogKeys.some((former) => former.address === address && time <= former.until)
  )
}

export declare namespace isLogKey {
  type Checkpoint = {
    /** X‖Y of the key that signed it. */
    logKey: Hex
    /** Its date, Unix seconds. */
    time: number
  }
}

/** How far ahead of a change a date may be: as the settlement has it. */
const mostSkewSeconds = 3600

const keyEvents = [
  getAbiItem({ abi: iSettlementAbi, name: 'Bonded' }),
  getAbiItem({ abi: iSettlementAbi, name: 'LogKeyRotated' }),
] as const
