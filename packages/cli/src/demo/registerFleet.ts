import { registerDevices, signRegistration } from '@machinefi/contracts'
import type { SoftwareSigner } from '@machinefi/device'
import type { Address } from 'viem'
import type { Devnet } from '../chain/startDevnet.js'

/** A device of the demo's fleet, and who is paid for it. */
export type Walker = { name: string; owner: Address; signer: SoftwareSigner }

/** Registers and joins a fleet in slots one after the other; resolves to the gas it took. */
export async function registerFleet(
  { client, network }: Devnet,
  fleet: readonly Walker[],
  now: number,
): Promise<number> {
  const registrations = await Promise.all(
    fleet.map(({ owner, signer }) =>
      signRegistration({
        chainId: network.chainId,
        deadline: Math.floor(now / 1000) + 3_600,
        membership: network.membership,
        owner,
        registry: network.registry,
        signer,
      }),
    ),
  )
  const results = await registerDevices(client, {
    batchSize: 100,
    registrations,
    registry: network.registry,
  })
  return results.reduce((sum, { receipt }) => sum + Number(receipt.gasUsed), 0)
}
