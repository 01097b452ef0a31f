import {
  type Address,
  decodeAbiParameters,
  encodeAbiParameters,
  getAbiItem,
  type Hex,
  hexToBytes,
  keccak256,
} from 'viem'
import { assurances } from '../Assurance.js'
import { iModelRegistryAbi } from '../abis/iModelRegistryAbi.js'
import { type BlockRange, readEvents } from '../chain/readEvents.js'
import { readModelRegistry } from '../chain/readModelRegistry.js'
import type { AnyClient } from '../chain/writeContract.js'
import { NotFoundOnChainError } from '../errors.js'
import type { Model } from '../Model.js'

/**
 * Reads the models that were created in a range of blocks, of one maker or of all, oldest first.
 * Anyone creates models, with whatever bytes as a name: U+FFFD stands for what is not UTF-8.
 *
 * @throws {NotFoundOnChainError} if an event has another maker or name than its id.
 */
export async function readModels(
  client: AnyClient,
  parameters: readModels.Parameters,
): Promise<Model[]> {
  const { fromBlock, maker, models, registry, toBlock } = parameters
  // As a filter, no id would be any id.
  if (models?.length === 0) return []
  const logs = await readEvents(client, {
    address: await readModelRegistry(client, registry),
    args: { ...(maker && { maker }), ...(models && { model: models }) },
    event: modelCreated,
    fromBlock,
    toBlock,
  })
  return logs.map(({ args, data }) => {
    const { assurance, maker, model: id } = args
    // By the bytes themselves: as text they may be others.
    const [, name] = decodeAbiParameters([{ type: 'uint8' }, { type: 'bytes' }], data)
    if (
      keccak256(encodeAbiParameters([{ type: 'address' }, { type: 'bytes' }], [maker, name])) !== id
    )
      throw new NotFoundOnChainError(`Model ${id}`, [
        'The event with this id is of another: the RPC endpoint is not honest.',
      ])
    return { id, maker, name: text.decode(hexToBytes(name)), assurance: assurances[assurance]! }
  })
}

export declare namespace readModels {
  type Parameters = BlockRange & {
    /** Of the devices. */
    registry: Address
    /** @default all */
    maker?: Address | undefined
    /** Ids. @default all */
    models?: readonly Hex[] | undefined
  }
}

/** Reads one model; null if it was not created in the range of blocks. */
export async function readModel(
  client: AnyClient,
  parameters: readModel.Parameters,
): Promise<Model | null> {
  const { model, ...rest } = parameters
  const [found] = await readModels(client, { ...rest, models: [model] })
  return found ?? null
}

export declare namespace readModel {
  type Parameters = BlockRange & { registry: Address; model: Hex }
}

const text = /* @__PURE__ */ new TextDecoder('utf-8', { ignoreBOM: true })

const modelCreated = getAbiItem({ abi: iModelRegistryAbi, name: 'ModelCreated' })
