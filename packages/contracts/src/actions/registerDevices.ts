import { type Address, zeroAddress } from 'viem'
import { iDeviceRegistryAbi } from '../abis/iDeviceRegistryAbi.js'
import { iMembershipAbi } from '../abis/iMembershipAbi.js'
import { readContract } from '../chain/readContract.js'
import { toLowerCase } from '../chain/toLowerCase.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import { ContractError } from '../errors.js'
import { algorithms, type Registration, toDeviceAddress } from '../Registration.js'

/**
 * Registers devices, and joins those to a network whose registration names its
 * membership. Anyone may send it: the device's signature covers every argument.
 * So somebody else may have sent some of it before: a device that is registered
 * to this owner, and joined, is passed over.
 *
 * Resolves with one result per transaction. If one fails, those before it stand.
 *
 * @throws {ContractError} e.g. `InvalidSignature`, `RegistrationExpired`, `ERC721InvalidSender`
 * (registered before, to another owner or without joining).
 */
export async function registerDevices(
  client: AnyClient,
  parameters: registerDevices.Parameters,
): Promise<registerDevices.ReturnType> {
  const { batchSize = 40, registrations, registry, ...options } = parameters
  const results: WriteResult[] = []
  for (let i = 0; i < registrations.length; i += batchSize) {
    let batch = registrations.slice(i, i + batchSize)
    while (batch.length > 0) {
      try {
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
        break
      } catch (error) {
        // Mined and reverted has no reason: something came between.
        const { hash, revert } = error instanceof ContractError ? error : {}
        if (hash === undefined && revert?.name !== 'ERC721InvalidSender') throw error
        const done = await Promise.all(batch.map((one) => isDone(client, registry, one)))
        if (!done.includes(true)) throw error
        batch = batch.filter((_, j) => !done[j])
      }
    }
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
  /** Empty where nothing was left to do. */
  type ReturnType = WriteResult[]
}

/** Whether a device has the owner, and the membership, that a registration asks for. */
async function isDone(
  client: AnyClient,
  registry: Address,
  registration: Registration,
): Promise<boolean> {
  const { membership, owner } = registration
  const device = toDeviceAddress(registration)
  try {
    const actual = await readContract(client, {
      abi: iDeviceRegistryAbi,
      address: registry,
      functionName: 'ownerOf',
      args: [BigInt(device)],
    })
    if (actual !== toLowerCase(owner)) return false
  } catch (error) {
    if (error instanceof ContractError) return false
    throw error
  }
  if (membership === zeroAddress) return true
  const { joinedAt } = await readContract(client, {
    abi: iMembershipAbi,
    address: membership,
    functionName: 'member',
    args: [device],
  })
  return joinedAt > 0
}
