import { formatDid } from '@machinefi/core'
import { type Address, type Hex, hexToBytes } from 'viem'
import { readContract } from '../chain/readContract.js'
import { toLowerCase } from '../chain/toLowerCase.js'
import type { AnyClient } from '../chain/writeContract.js'
import { assertIoidRegistry } from './assertIoidRegistry.js'
import { ioidAbi } from './ioidAbi.js'
import { ioidRegistryAbi } from './ioidRegistryAbi.js'

/** A device in IoTeX's ioID registry. */
export type IoidDevice = {
  device: Address
  /** `did:io:0x…`, lower case: `ioID.wallet(did)` knows no other form. */
  did: string
  /** Token of the ioID contract. */
  id: bigint
  /** Of that token. It need not be who signs updates: any account that the device permits may. */
  owner: Address
  /** The device's ERC-6551 account. */
  wallet: Address
  /** Whose device it is, by number in IoTeX's project registry. */
  project: bigint
  /** Of its DID document. */
  hash: Hex
  uri: string
  /** That its next permit needs. */
  nonce: bigint
}

/**
 * Looks a device up in IoTeX's ioID contracts; null if it is not registered, or was removed.
 *
 * @throws {NotFoundOnChainError} if there is no registry at the address.
 */
export async function readIoid(
  client: AnyClient,
  parameters: readIoid.Parameters,
): Promise<IoidDevice | null> {
  const { registry } = parameters
  const device = toLowerCase(parameters.device)
  await assertIoidRegistry(client, registry)
  const call = { abi: ioidRegistryAbi, address: registry, args: [device] } as const
  if (!(await readContract(client, { ...call, functionName: 'exists' }))) return null
  const [address, hash, uri, id, nonce] = await Promise.all([
    readContract(client, { abi: ioidRegistryAbi, address: registry, functionName: 'ioID' }),
    readContract(client, { ...call, functionName: 'documentHash' }),
    readContract(client, { ...call, functionName: 'documentURI' }),
    readContract(client, { ...call, functionName: 'deviceTokenId' }),
    readContract(client, { ...call, functionName: 'nonces' }),
  ])
  const ioid = { abi: ioidAbi, address } as const
  const did = formatDid(hexToBytes(device))
  const [owner, wallet, project] = await Promise.all([
    readContract(client, { ...ioid, args: [id], functionName: 'ownerOf' }),
    readContract(client, { ...ioid, args: [did], functionName: 'wallet' }),
    readContract(client, { ...ioid, args: [device], functionName: 'deviceProject' }),
  ])
  return { device, did, id, owner, wallet, project, hash, uri, nonce }
}

export declare namespace readIoid {
  type Parameters = {
    /** The `ioIDRegistry`: {@link ioidAddresses} has IoTeX's. */
    registry: Address
    device: Address
  }
}

/**
 * Reads the nonce that a device's next permit needs, registered or not.
 *
 * @throws {NotFoundOnChainError} if there is no registry at the address.
 */
export async function readIoidNonce(
  client: AnyClient,
  parameters: readIoid.Parameters,
): Promise<bigint> {
  const { device, registry } = parameters
  await assertIoidRegistry(client, registry)
  const call = { abi: ioidRegistryAbi, address: registry, args: [device] } as const
  return readContract(client, { ...call, functionName: 'nonces' })
}
