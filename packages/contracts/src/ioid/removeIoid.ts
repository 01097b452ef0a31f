import type { Address } from 'viem'
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
 * Removes a device from IoTeX's ioID registry. The account must be the one that the device
 * permitted. The token that went into its wallet stays there and registers no other device.
 *
 * @throws {ContractError} e.g. `Error(device not exists)`, `Error(invalid signature)`.
 * @throws {InvalidArgumentError} if the permit is another account's.
 * @throws {NotFoundOnChainError} if there is no registry at the address.
 */
export async function removeIoid(
  client: AnyClient,
  parameters: removeIoid.Parameters,
): Promise<WriteResult> {
  const { permit, registry, ...options } = parameters
  const { device, r, s, v } = permit
  assertSender(client, permit, options)
  await assertIoidRegistry(client, registry)
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: ioidRegistryAbi,
      address: registry,
      functionName: 'remove',
      args: [device, v, r, s],
    },
    options,
  )
  return { hash, receipt }
}

export declare namespace removeIoid {
  type Parameters = WriteOptions & {
    /** The `ioIDRegistry`: {@link ioidAddresses} has IoTeX's. */
    registry: Address
    permit: IoidPermit
  }
}
