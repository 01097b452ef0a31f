import { ioidAddresses } from '@machinefi/contracts/ioid'
import { BaseError } from '@machinefi/core'
import type { Address } from 'viem'
import { parseAccountAddress } from '../../options/parseAccountAddress.js'

/** The ioIDRegistry that a command is about: as named, else IoTeX's own on its two chains. */
export function findRegistry(registry: string | undefined, chainId: number): Address {
  if (registry !== undefined) return parseAccountAddress(registry)
  const known: { readonly [chainId: number]: { registry: Address } | undefined } = ioidAddresses
  const found = known[chainId]
  if (found === undefined) throw new RegistryMissingError(chainId)
  return found.registry
}

export class RegistryMissingError extends BaseError {
  override readonly name = 'RegistryMissingError'
  constructor(chainId: number) {
    super(`No ioIDRegistry is known on chain ${chainId}.`, {
      kind: 'input',
      metaMessages: ['Name one with --registry, or a chain of IoTeX with --rpc.'],
    })
  }
}
