import type { Address } from 'viem'
import { iDeviceRegistryAbi } from '../abis/iDeviceRegistryAbi.js'
import { readContract } from './readContract.js'
import type { AnyClient } from './writeContract.js'

/** Where the models of a device registry are. */
export function readModelRegistry(client: AnyClient, registry: Address): Promise<Address> {
  return readContract(client, {
    abi: iDeviceRegistryAbi,
    address: registry,
    functionName: 'models',
  })
}
