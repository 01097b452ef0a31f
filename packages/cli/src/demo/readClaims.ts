import { formatDid, publicKeyToAddress } from '@machinefi/core'
import type { Address } from 'viem'
import type { Devnet } from '../chain/startDevnet.js'
import { fetchLedger } from '../node/buildRedemptions.js'
import { type Amount, toAmount } from './Amount.js'
import type { Walker } from './registerFleet.js'

export type DemoClaim = {
  device: string
  did: string
  owner: Address
  window: string
  value: Amount
  reward: Amount
}

/** Claims of every window, as the node publishes them, for devices that sent anything. */
export async function readClaims(
  { network, url }: Devnet,
  fleet: readonly Walker[],
  epochs: readonly { window: number }[],
): Promise<DemoClaim[]> {
  const byDevice = new Map(
    fleet.map((walker) => [formatDid(publicKeyToAddress(walker.signer.publicKey)), walker]),
  )
  const claims: DemoClaim[] = []
  for (const { window } of epochs) {
    const ledger = await fetchLedger(url, network.id, window)
    for (const entry of ledger.entries) {
      const walker = byDevice.get(entry.did)
      if (walker === undefined || entry.steps === 0) continue
      claims.push({
        device: walker.name,
        did: entry.did,
        owner: walker.owner,
        reward: toAmount(BigInt(entry.reward)),
        value: toAmount(BigInt(entry.value)),
        window: ledger.name,
      })
    }
  }
  return claims
}
