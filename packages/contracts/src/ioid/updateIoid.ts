import type { Address, Hex } from 'viem'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import { assertIoidRegistry } from './assertIoidRegistry.js'
import { assertSender } from './assertSender.js'
import { ioidRegistryAbi } from './ioidRegistryAbi.js'
import type { IoidPermit } from './signIoidPermit.js'

/**
 * Sets another DID document for a registered device. The account must be the one that the device
 * permitted; the contract asks for no other right.
 *
 * @throws {ContractError} e.g. `Error(device not exists)`, `Error(invalid signature)`.
 * @throws {InvalidArgumentError} if the permit is another account's.
 * @throws {NotFoundOnChainError} if there is no registry at the address.
 */
export async function updateIoid(
  client: AnyClient,
  parameters: updateIoid.Parameters,
): Promise<WriteResult> {
  const { hash: documentHash, permit, registry, uri, ...options } = parameters
  const { device, r, s, v } = permit
  assertSender(client, permit, options)
  await assertIoidRegistry(client, registry)
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: ioidRegistryAbi,
      address: registry,
      functionName: 'update',
      args: [device, documentHash, uri, v, r, s],
    },
    options,
  )
  return { hash, receipt }
}

export declare namespace updateIoid {
  type Parameters = WriteOptions & {
    /** The `ioIDRegistry`: {@link ioidAddresses} has IoTeX's. */
    registry: Address
    permit: IoidPermit
    /** Of the DID document; not zero. */
    hash: Hex
    /** Where the document is. */
    uri: string
  }
}
