import { getAbiItem, type Hash, hexToBytes, zeroAddress } from 'viem'
import { iDisputesAbi } from '../abis/iDisputesAbi.js'
import { type BlockRange, readEvents } from '../chain/readEvents.js'
import type { AnyClient } from '../chain/writeContract.js'
import type { ShownEntry } from '../Dispute.js'
import type { Network } from '../Network.js'

/** Reads the parts of an attempt's ledger that answers revealed in a range of blocks, oldest first. */
export async function readRevealed(
  client: AnyClient,
  parameters: readRevealed.Parameters,
): Promise<readRevealed.ReturnType> {
  const { attempt, fromBlock, network, toBlock, window } = parameters
  const logs = await readEvents(client, {
    address: network.disputes,
    args: { attempt, window },
    event: revealed,
    fromBlock,
    toBlock,
  })
  return logs.map(({ args: { height, index, nodes }, blockNumber, transactionHash }) => ({
    blockNumber,
    height,
    index,
    nodes: hexToBytes(nodes),
    transactionHash,
  }))
}

export declare namespace readRevealed {
  type Parameters = BlockRange & {
    network: Pick<Network, 'disputes'>
    window: number
    attempt: number
  }
  type ReturnType = {
    /** Of the node that was asked for; a leaf has 0. */
    height: number
    index: number
    /** min(5, height) levels below it, from the left; 48 bytes each: hash ‖ uint128 sum. */
    nodes: Uint8Array
    blockNumber: bigint
    transactionHash: Hash
  }[]
}

/** Reads the entries of an attempt's ledger that answers showed in a range of blocks, oldest first. */
export async function readShownEntries(
  client: AnyClient,
  parameters: readShownEntries.Parameters,
): Promise<readShownEntries.ReturnType> {
  const { attempt, fromBlock, network, slot, toBlock, window } = parameters
  const logs = await readEvents(client, {
    address: network.disputes,
    args: { attempt, window, ...(slot !== undefined && { slot }) },
    event: entryShown,
    fromBlock,
    toBlock,
  })
  return logs.map(({ args, blockNumber, transactionHash }) => {
    const { cumulative, device, slot, steps, traceRoot, value } = args
    const entry =
      device === zeroAddress
        ? null
        : {
            cumulative,
            device: hexToBytes(device),
            steps,
            traceRoot: hexToBytes(traceRoot),
            value,
          }
    return { blockNumber, entry, slot, transactionHash }
  })
}

export declare namespace readShownEntries {
  type Parameters = readRevealed.Parameters & {
    /** Only of this one. */
    slot?: number | undefined
  }
  type ReturnType = {
    slot: number
    /** null where the slot was shown to be empty. */
    entry: ShownEntry | null
    blockNumber: bigint
    transactionHash: Hash
  }[]
}

/** Reads the leaves of an attempt's traces that answers showed in a range of blocks, oldest first. */
export async function readShownLeaves(
  client: AnyClient,
  parameters: readShownLeaves.Parameters,
): Promise<readShownLeaves.ReturnType> {
  const { attempt, fromBlock, network, slot, toBlock, window } = parameters
  const logs = await readEvents(client, {
    address: network.disputes,
    args: { attempt, window, ...(slot !== undefined && { slot }) },
    event: leafShown,
    fromBlock,
    toBlock,
  })
  return logs.map(({ args, blockNumber, transactionHash }) => ({
    blockNumber,
    leaf: {
      id: hexToBytes(args.batchId),
      seq: Number(args.seq),
      stateHash: hexToBytes(args.stateHash),
    },
    slot: args.slot,
    step: args.step,
    transactionHash,
  }))
}

export declare namespace readShownLeaves {
  type Parameters = readShownEntries.Parameters
  type ReturnType = {
    slot: number
    step: number
    /** Batch id, seq, and keccak256 of the state after it. */
    leaf: { id: Uint8Array; seq: number; stateHash: Uint8Array }
    blockNumber: bigint
    transactionHash: Hash
  }[]
}

const revealed = getAbiItem({ abi: iDisputesAbi, name: 'Revealed' })
const entryShown = getAbiItem({ abi: iDisputesAbi, name: 'EntryShown' })
const leafShown = getAbiItem({ abi: iDisputesAbi, name: 'LeafShown' })
