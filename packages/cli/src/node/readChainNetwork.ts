import {
  type Network,
  type Operator,
  readConfig,
  readNetwork,
  readOperator,
} from '@machinefi/contracts'
import { BaseError, fromHex } from '@machinefi/core'
import { type ChainReader, openReader } from '../chain/createChainClient.js'
import type { NetworkFile } from '../network/networkFile.js'
import { NetworkMismatchError } from '../network/openNetwork.js'

/**
 * What the chain says of the network of a file: all that a device needs to believe no node, under
 * the rules of the current window.
 *
 * @throws {DeliveryError} an operator that has not bonded.
 * @throws {NetworkMismatchError} the file is of another chain.
 */
export async function readChainNetwork(
  options: readChainNetwork.Options,
): Promise<readChainNetwork.ReturnType> {
  const { file } = options
  const client = await openReader(options)
  const { fromBlock } = file
  const { factory, serial } = file.network
  const contracts = await readNetwork(client, { factory, serial })
  if (contracts.id !== file.network.id)
    throw new NetworkMismatchError(file.network.id, contracts.id)
  const window = Math.floor(Date.now() / 1000 / contracts.windowSeconds)
  const config = await readConfig(client, { fromBlock, network: contracts, window })
  const operator = await readOperator(client, {
    fromBlock,
    network: contracts,
    operator: config.operator,
  })
  if (operator.logKey === undefined)
    throw new DeliveryError('The operator of the network has not bonded: it has no log key.', [
      `Operator: ${config.operator}`,
    ])
  // A challenge of the last moment is answered by then, too.
  const finalAfter = config.grace + config.challengeWindow + config.responseTime
  return {
    client,
    contracts,
    network: {
      chainId: contracts.chainId,
      id: fromHex(contracts.id),
      windowMs: contracts.windowSeconds * 1000,
      finalAfterMs: finalAfter * 1000,
    },
    operator: { ...operator, logKey: fromHex(operator.logKey) },
  }
}

export declare namespace readChainNetwork {
  type Options = { file: NetworkFile; rpc: string }
  type ReturnType = {
    client: ChainReader
    contracts: Network
    /** For `createDevice`. */
    network: { chainId: number; id: Uint8Array; windowMs: number; finalAfterMs: number }
    /** Bonded, with the key of now: X‖Y, 64 bytes. */
    operator: Omit<Operator, 'logKey'> & { logKey: Uint8Array }
  }
}

export class DeliveryError extends BaseError {
  override readonly name = 'DeliveryError'
  constructor(shortMessage: string, metaMessages: readonly string[]) {
    super(shortMessage, { kind: 'input', metaMessages })
  }
}
