import type { Address } from 'viem'
import { iDeviceRegistryAbi } from '../abis/iDeviceRegistryAbi.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import { algorithms, type Registration } from '../Registration.js'

/**
 * Registers devices, and joins those to a network whose registration names its
 * membership. Anyone may send it: the device's signature covers every argument.
 *
 * Resolves with one result per transaction. If one fails, those before it stand.
 *
 * @throws {ContractError} e.g. `InvalidSignature`, `RegistrationExpired`, `ERC721InvalidSender`
 * (registered before).
 */
export async function registerDevices(
  client: AnyClient,
  parameters: registerDevices.Parameters,
): Promise<registerDevices.ReturnType> {
  const { batchSize = 40, registrations, registry, ...options } = parameters
  const results: WriteResult[] = []
  for (let i = 0; i < registrations.length; i += batchSize) {
    const batch = registrations.slice(i, i + batchSize)
    const { hash, receipt } = await writeContract(
      client,
      {
        abi: iDeviceRegistryAbi,
        address: registry,
        functionName: 'register',
        args: [batch.map((one) => ({ ...one, algorithm: algorithms.indexOf(one.algorithm) }))],
      },
      options,
    )
    results.push({ hash, receipt })
  }
  return results
}

export declare namespace registerDevices {
  type Parameters = WriteOptions & {
    registry: Address
    registrations: readonly Registration[]
    /**
     * Most devices in one transaction. The default stays below the 16.7 M gas a transaction may
     * have (EIP-7825) where P-256 is checked in Solidity; with a precompile 200 fit.
     * @default 40
     */
    batchSize?: number | undefined
  }
  type ReturnType = WriteResult[]
}
