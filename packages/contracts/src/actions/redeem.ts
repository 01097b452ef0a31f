import type { Address, Hex } from 'viem'
import { parseEventLogs } from 'viem'
import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import { toLowerCase } from '../chain/toLowerCase.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import { type Entry, type EntryDigest, toEntryDigest } from '../Entry.js'
import type { Network } from '../Network.js'

/**
 * Mints what devices have earned up to a final window, and were not paid yet,
 * to their owners. Anyone may send it. A device that was already paid is passed
 * over. Devices in adjacent slots share one proof, and cost a fraction.
 *
 * @throws {ContractError} e.g. `NotFinal`, `InvalidProof`.
 */
export async function redeem(
  client: AnyClient,
  parameters: redeem.Parameters,
): Promise<redeem.ReturnType> {
  const { network, redemptions, window } = parameters
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iSettlementAbi,
      address: network.settlement,
      functionName: 'redeem',
      args: [
        window,
        redemptions.map(({ entries, siblings, slot }) => ({
          entries: entries.map(toEntryDigest),
          siblings,
          slot,
        })),
      ],
    },
    parameters,
  )
  const logs = parseEventLogs({ abi: iSettlementAbi, eventName: 'Redeemed', logs: receipt.logs })
  const redeemed = logs.map(({ args }) => toLowerCase(args))
  return { amount: redeemed.reduce((sum, { amount }) => sum + amount, 0n), hash, receipt, redeemed }
}

export declare namespace redeem {
  type Parameters = WriteOptions & {
    network: Pick<Network, 'settlement'>
    /** A final one: the later, the more is redeemed at once. */
    window: number
    redemptions: readonly Redemption[]
  }
  type Redemption = {
    /** Of the first entry. */
    slot: number
    /** In adjacent slots; null is an empty one. */
    entries: readonly (Entry | EntryDigest | null)[]
    /** 48 bytes each (hash ‖ uint128 sum), as `fleetProof` and `proof` of a ledger make them. */
    siblings: Hex
  }
  type ReturnType = WriteResult & {
    /** Minted in total. */
    amount: bigint
    redeemed: readonly { device: Address; owner: Address; window: number; amount: bigint }[]
  }
}
