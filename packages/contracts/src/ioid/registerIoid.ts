import { type Address, erc721Abi, type Hex, isAddressEqual } from 'viem'
import { readContract } from '../chain/readContract.js'
import { toLowerCase } from '../chain/toLowerCase.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import { AccountMissingError } from '../errors.js'
import { assertIoidRegistry } from './assertIoidRegistry.js'
import { ioidRegistryAbi } from './ioidRegistryAbi.js'
import type { IoidPermit } from './signIoidPermit.js'

/**
 * Registers a device in IoTeX's ioID contracts: its owner's token of the project's device contract
 * goes into the device's new wallet, and the owner gets an ioID. If the owner sends it, the registry
 * is first approved for that one token where it is not; anyone else can send it after that.
 *
 * The permit covers neither the document nor the token: give it to nobody who is not to choose them.
 *
 * @throws {ContractError} e.g. `Error(invalid signature)`, `Error(device exists)`.
 * @throws {NotFoundOnChainError} if there is no registry at the address.
 */
export async function registerIoid(
  client: AnyClient,
  parameters: registerIoid.Parameters,
): Promise<WriteResult> {
  const { deviceContract, hash, permit, registry, tokenId, uri, value, ...options } = parameters
  const { account = client.account } = options
  if (!account) throw new AccountMissingError('register')
  await assertIoidRegistry(client, registry)
  const { device, owner, r, s, v } = permit
  const call = { abi: ioidRegistryAbi, address: registry, functionName: 'register', value } as const
  const sender = typeof account === 'string' ? account : account.address
  if (!isAddressEqual(sender, owner))
    return toResult(
      await writeContract(
        client,
        { ...call, args: [deviceContract, tokenId, owner, device, hash, uri, v, r, s] },
        options,
      ),
    )
  if (!(await isApproved(client, parameters)))
    await writeContract(
      client,
      {
        abi: erc721Abi,
        address: deviceContract,
        functionName: 'approve',
        args: [registry, tokenId],
      },
      options,
    )
  return toResult(
    await writeContract(
      client,
      { ...call, args: [deviceContract, tokenId, device, hash, uri, v, r, s] },
      options,
    ),
  )
}

export declare namespace registerIoid {
  type Parameters = WriteOptions & {
    /** The `ioIDRegistry`: {@link ioidAddresses} has IoTeX's. */
    registry: Address
    permit: IoidPermit
    /** ERC-721 contract that the project set for its devices. */
    deviceContract: Address
    /** Token of it, the owner's. */
    tokenId: bigint
    /** Of the DID document; not zero. */
    hash: Hex
    /** Where the document is. */
    uri: string
    /**
     * Wei. Projects of hardware paid for their ioIDs before, and what is sent is lost; others pay
     * the store's price here.
     * @default 0n
     */
    value?: bigint | undefined
  }
}

async function isApproved(
  client: AnyClient,
  { deviceContract, permit, registry, tokenId }: registerIoid.Parameters,
): Promise<boolean> {
  const call = { abi: erc721Abi, address: deviceContract } as const
  const [approved, forAll] = await Promise.all([
    readContract(client, { ...call, functionName: 'getApproved', args: [tokenId] }),
    readContract(client, {
      ...call,
      functionName: 'isApprovedForAll',
      args: [permit.owner, registry],
    }),
  ])
  return forAll || approved === toLowerCase(registry)
}

function toResult({ hash, receipt }: WriteResult): WriteResult {
  return { hash, receipt }
}
