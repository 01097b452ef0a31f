import { registerIoid } from '@machinefi/contracts/ioid'
import type { Context } from '../../context.js'
import { parseAccountAddress } from '../../options/parseAccountAddress.js'
import { parseCoins } from '../../options/parseCoins.js'
import { parseInteger } from '../../options/parseInteger.js'
import { parseDocumentHash } from './parseDocumentHash.js'
import { type PermitOptions, permitOwner } from './permitOwner.js'
import { printSent } from './printSent.js'

type Options = PermitOptions & {
  contract: string
  hash: string
  token: string
  uri: string
  value?: string
}

/** `machinefi ioid register`: the device permits, the account sends and becomes the owner. */
export async function registerInIoid(
  file: string,
  options: Options,
  context: Context,
): Promise<void> {
  const parameters = {
    deviceContract: parseAccountAddress(options.contract),
    hash: parseDocumentHash(options.hash),
    tokenId: BigInt(parseInteger('--token', options.token)),
    uri: options.uri,
    value: options.value === undefined ? 0n : parseCoins('--value', options.value),
  }
  const { client, permit, registry } = await permitOwner(file, options, context)
  const { hash } = await registerIoid(client, { ...parameters, permit, registry })
  printSent({ done: 'Registered', permit, transaction: hash }, options, context)
}
