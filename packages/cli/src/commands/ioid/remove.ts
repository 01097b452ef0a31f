import { removeIoid } from '@machinefi/contracts/ioid'
import type { Context } from '../../context.js'
import { type PermitOptions, permitOwner } from './permitOwner.js'
import { printSent } from './printSent.js'

/** `machinefi ioid remove`: takes a device out of the registry. */
export async function removeFromIoid(
  file: string,
  options: PermitOptions,
  context: Context,
): Promise<void> {
  const { client, permit, registry } = await permitOwner(file, options, context)
  const { hash } = await removeIoid(client, { permit, registry })
  printSent({ done: 'Removed', permit, transaction: hash }, options, context)
}
