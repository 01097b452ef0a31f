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
import { type Endorsement, proveEndorsement } from '../Endorsement.js'
import { ContractError } from '../errors.js'
import { algorithms, type Registration, toDeviceAddress } from '../Registration.js'
import { readRequirements } from './readRequirements.js'

/**
 * Registers devices, and joins those to a network whose registration names its
 * membership, for the fee that the network asks. Anyone may send it: the
 * device's signature covers every argument. So somebody else may have sent some
 * of it before: a device that is registered to this owner, and joined, is
 * passed over; not if it should have joined with an endorsement, and has none.
 *
 * With an endorsement all registrations name its model and one membership. They are sent in the
 * order of the run, each transaction with the proof of its own devices.
 *
 * Resolves with one result per transaction. If one fails, those before it stand.
 *
 * @throws {ContractError} e.g. `InvalidSignature`, `RegistrationExpired`, `ERC721InvalidSender`
 * (registered before, to another owner, without joining, or without the endorsement), `WrongModel` (names a model,
 * and would join without its endorsement), `ModelNotAccepted`, `NotEndorsed`, `AssuranceTooLow`.
 * @throws {NotInRunError}
 */
export async function registerDevices(
  client: AnyClient,
  parameters: registerDevices.Parameters,
): Promise<registerDevices.ReturnType> {
  const { batchSize = 40, endorsement, joinFee, registry, ...options } = parameters
  const { registrations } = endorsement ? prove(endorsement, parameters.registrations) : parameters
  const results: WriteResult[] = []
  for (let i = 0; i < registrations.length; i += batchSize) {
    let batch = registrations.slice(i, i + batchSize)
    while (batch.length > 0) {
      try {
        const value = await readDue(client, batch, joinFee)
        const { hash, receipt } = await register(
          client,
          { ...options, endorsement, registry },
          batch,
          value,
        )
        results.push({ hash, receipt })
        break
      } catch (error) {
        // Mined and reverted has no reason: something came between.
        const { hash, revert } = error instanceof ContractError ? error : {}
        if (hash === undefined && revert?.name !== 'ERC721InvalidSender') throw error
        const done = await Promise.all(
          batch.map((one) => isDone(client, registry, one, endorsement)),
        )
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
    /** That all of them are of a run of a model. @default nobody vouches for them */
    endorsement?: Endorsement | undefined
    /** Wei for each device that joins. @default what its network asks for now */
    joinFee?: bigint | undefined
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

async function register(
  client: AnyClient,
  options: WriteOptions & { endorsement: Endorsement | undefined; registry: Address },
  batch: readonly Registration[],
  value: bigint,
): Promise<WriteResult> {
  const { endorsement, registry: address } = options
  const to = { abi: iDeviceRegistryAbi, address, value } as const
  if (!endorsement)
    return writeContract(
      client,
      { ...to, functionName: 'register', args: [batch.map(encode)] },
      options,
    )
  const proven = prove(endorsement, batch)
  return writeContract(
    client,
    {
      ...to,
      functionName: 'registerEndorsed',
      args: [proven.registrations.map(encode), proven.endorsement],
    },
    options,
  )
}

/** Registrations in the order that the proof of their devices wants, and that proof. */
function prove(endorsement: Endorsement, registrations: readonly Registration[]) {
  const byDevice = new Map(registrations.map((one) => [toDeviceAddress(one), one]))
  const proven = proveEndorsement(endorsement, registrations.map(toDeviceAddress))
  return {
    endorsement: proven.endorsement,
    registrations: proven.devices.map((device) => byDevice.get(device)!),
  }
}

function encode(registration: Registration) {
  return { ...registration, algorithm: algorithms.indexOf(registration.algorithm) }
}

/** What the networks that a batch joins ask for, in wei. */
async function readDue(
  client: AnyClient,
  batch: readonly Registration[],
  joinFee: bigint | undefined,
): Promise<bigint> {
  const counts = new Map<Address, number>()
  for (const { membership } of batch)
    if (membership !== zeroAddress) counts.set(membership, (counts.get(membership) ?? 0) + 1)
  let due = 0n
  for (const [membership, count] of counts) {
    const fee = joinFee ?? (await readRequirements(client, { network: { membership } })).joinFee
    due += fee * BigInt(count)
  }
  return due
}

/** Whether a device has the owner, and the membership, that a registration asks for; vouched for, if asked. */
async function isDone(
  client: AnyClient,
  registry: Address,
  registration: Registration,
  endorsement: Endorsement | undefined,
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
  const { assurance, joinedAt } = await readContract(client, {
    abi: iMembershipAbi,
    address: membership,
    functionName: 'member',
    args: [device],
  })
  return joinedAt > 0 && (!endorsement || assurance > 0)
}
