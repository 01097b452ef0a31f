import type { Requirements } from '@machinefi/contracts'
import { formatEther } from 'viem'

/** What a device needs to join, in words. */
export function formatTerms({ joinFee, leastAssurance }: Requirements): string {
  const who =
    leastAssurance === 'none'
      ? 'any device, also one that nobody vouches for'
      : `devices that are ${leastAssurance} at least, by a model that the network accepts`
  return `${who}; ${joinFee === 0n ? 'free' : `${formatEther(joinFee)} coins each`}`
}
