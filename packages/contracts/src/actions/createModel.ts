import { type Address, type Hex, parseEventLogs } from 'viem'
import { type Assurance, assurances } from '../Assurance.js'
import { iModelRegistryAbi } from '../abis/iModelRegistryAbi.js'
import { readModelRegistry } from '../chain/readModelRegistry.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'

/**
 * Creates a model of the account's, for good. Anyone may: it counts where a network accepts it.
 *
 * @throws {ContractError} e.g. `ModelExists`, `InvalidName`.
 */
export async function createModel(
  client: AnyClient,
  parameters: createModel.Parameters,
): Promise<createModel.ReturnType> {
  const { assurance, name, registry } = parameters
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iModelRegistryAbi,
      address: await readModelRegistry(client, registry),
      functionName: 'create',
      args: [name, assurances.indexOf(assurance)],
    },
    parameters,
  )
  const [created] = parseEventLogs({
    abi: iModelRegistryAbi,
    eventName: 'ModelCreated',
    logs: receipt.logs,
  })
  return { hash, model: created!.args.model, receipt }
}

export declare namespace createModel {
  type Parameters = WriteOptions & {
    /** Of the devices. */
    registry: Address
    /** 1 … 64 bytes of UTF-8; one of its kind among the account's. */
    name: string
    /** How all devices of the model keep their keys. */
    assurance: Exclude<Assurance, 'none'>
  }
  type ReturnType = WriteResult & {
    /** Its id: see `toModelId`. */
    model: Hex
  }
}
