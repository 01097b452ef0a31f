import { updateIoid } from '@machinefi/contracts/ioid'
import type { Context } from '../../context.js'
import { parseDocumentHash } from './parseDocumentHash.js'
import { type PermitOptions, permitOwner } from './permitOwner.js'
import { printSent } from './printSent.js'

/** `machinefi ioid update`: another DID document for a registered device. */
export async function updateInIoid(
  file: string,
  options: PermitOptions & { hash: string; uri: string },
  context: Context,
): Promise<void> {
  const { uri } = options
  const document = parseDocumentHash(options.hash)
  const { client, permit, registry } = await permitOwner(file, options, context)
  const { hash } = await updateIoid(client, { hash: document, permit, registry, uri })
  printSent({ done: 'Updated', permit, transaction: hash }, options, context)
}
