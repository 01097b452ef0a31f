import { fromHex, publicKeyToAddress, toHex } from '@machinefi/core'
import type { Schema } from '@machinefi/telemetry'
import type { Context } from '../context.js'
import { parsePublicKey } from '../options/parsePublicKey.js'

/**
 * What a command believes of a network whatever its node says: with a network file the chain's
 * word, and the keys of `--log-key` follow the operator's of now; else these keys alone. Without
 * either nothing is known, and the node is asked.
 *
 * @throws {PublicKeyError} not a key.
 * @throws {DeliveryError} an operator that has not bonded.
 * @throws {NetworkMismatchError} the file is of another chain.
 */
export async function readLogKeys(
  options: readLogKeys.Options,
  context: Context,
): Promise<readLogKeys.ReturnType> {
  const { network: named, rpc } = options
  const given = options.logKey?.map(parsePublicKey)
  if (named === undefined || isNetworkId(named)) return { keys: given && { logKey: given } }
  // Loaded here: without a network file no chain is needed.
  const { readNetworkFile } = await import('../network/networkFile.js')
  const { readChainNetwork } = await import('./readChainNetwork.js')
  const file = await readNetworkFile(named, context)
  const { network, operator } = await readChainNetwork({ file, rpc })
  const past = new Set<string>(operator.formerLogKeys.map(({ address }) => address))
  past.add(operator.logKeyAddress)
  // A key that was changed is nobody's next one, wherever it stands in the list.
  const next = given?.filter((key) => !past.has(toHex(publicKeyToAddress(key)))) ?? []
  return {
    keys: { logKey: [operator.logKey, ...next], operator: fromHex(operator.address) },
    network: { ...network, schema: file.schema },
  }
}

export declare namespace readLogKeys {
  type Options = {
    /** In the order of the operator: of now, then the next ones. Hex. */
    logKey?: readonly string[] | undefined
    /** Id or network file. */
    network?: string | undefined
    rpc: string
  }
  type ReturnType = {
    /** For `http`: the key of now, X‖Y, then those that may follow it. */
    keys?: { logKey: readonly Uint8Array[]; operator?: Uint8Array } | undefined
    /** With a network file alone. */
    network?: {
      chainId: number
      id: Uint8Array
      windowMs: number
      finalAfterMs: number
      schema: Schema
    }
  }
}

/** Whether a network was named by its id, and not by a file. */
export function isNetworkId(text: string): boolean {
  return /^0x[0-9a-f]*$/i.test(text)
}
