import { redeem } from '@machinefi/contracts'
import type { Devnet } from '../chain/startDevnet.js'
import { buildRedemptions, fetchLedger } from '../node/buildRedemptions.js'

/** Slots of one transaction: far from any block's gas limit. */
const fleetSize = 100

/** Redeems every slot of a final window, those in a row with one path. */
export async function redeemFleet({ client, network, url }: Devnet, window: number) {
  const ledger = await fetchLedger(url, network.id, window)
  const slots = ledger.entries.map((entry) => entry.slot)
  let amount = 0n
  let gasUsed = 0
  for (let at = 0; at < slots.length; at += fleetSize) {
    const redemptions = buildRedemptions(ledger, slots.slice(at, at + fleetSize))
    const result = await redeem(client, { network, redemptions, window })
    amount += result.amount
    gasUsed += Number(result.receipt.gasUsed)
  }
  return { amount, gasUsed }
}
