import type { Address, Hex } from 'viem'
import { iModelRegistryAbi } from '../abis/iModelRegistryAbi.js'
import { readModelRegistry } from '../chain/readModelRegistry.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'

/**
 * Vouches for all devices of a production run, by the root that `buildRun` gives: one
 * transaction, whatever their number. Only the model's maker.
 *
 * @throws {ContractError} e.g. `NotMaker`, `AlreadyEndorsed`.
 */
export async function endorseRun(
  client: AnyClient,
  parameters: endorseRun.Parameters,
): Promise<WriteResult> {
  return writeRun(client, 'endorse', parameters)
}

export declare namespace endorseRun {
  type Parameters = WriteOptions & {
    /** Of the devices. */
    registry: Address
    model: Hex
    root: Hex
  }
}

/**
 * Takes an endorsement back: nobody joins by it any more. Members stay what they are. Only the
 * model's maker.
 *
 * @throws {ContractError} e.g. `NotMaker`, `NotEndorsed`.
 */
export async function revokeRun(
  client: AnyClient,
  parameters: revokeRun.Parameters,
): Promise<WriteResult> {
  return writeRun(client, 'revoke', parameters)
}

export declare namespace revokeRun {
  type Parameters = endorseRun.Parameters
}

async function writeRun(
  client: AnyClient,
  functionName: 'endorse' | 'revoke',
  parameters: endorseRun.Parameters,
): Promise<WriteResult> {
  const { model, registry, root } = parameters
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iModelRegistryAbi,
      address: await readModelRegistry(client, registry),
      functionName,
      args: [model, root],
    },
    parameters,
  )
  return { hash, receipt }
}
