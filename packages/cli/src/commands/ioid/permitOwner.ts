import { resolve } from 'node:path'
import { type IoidPermit, readIoidNonce, signIoidPermit } from '@machinefi/contracts/ioid'
import { toHex } from '@machinefi/core'
import { openKeyFile } from '@machinefi/device/node'
import type { Address } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { type ChainClient, openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { findRegistry } from './findRegistry.js'

export type PermitOptions = { account?: string; json?: boolean; registry?: string; rpc: string }

/**
 * Has the device of a key file (secp256k1: ioID knows no other) permit the paying account one call.
 * No reference to a token: its signer would hash the permit's digest once more.
 */
export async function permitOwner(
  file: string,
  options: PermitOptions,
  context: Context,
): Promise<{ client: ChainClient; permit: IoidPermit; registry: Address }> {
  const key = await openKeyFile(resolve(context.cwd, file), { algorithm: 'ES256K' })
  const client = await openChain(options, context)
  const registry = findRegistry(options.registry, client.chain.id)
  const signer = privateKeyToAccount(toHex(key.privateKey))
  const permit = await signIoidPermit({
    chainId: client.chain.id,
    nonce: await readIoidNonce(client, { device: signer.address, registry }),
    owner: client.account.address,
    registry,
    signer,
  })
  return { client, permit, registry }
}
