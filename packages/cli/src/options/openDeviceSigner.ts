import { resolve } from 'node:path'
import { isPublishedTestKey } from '@machinefi/core'
import { type OpenedSigner, openSigner } from '@machinefi/device/node'
import type { Context } from '../context.js'

/**
 * What a key file names, to sign with: a private key, or a key in a token whose PIN is in
 * MACHINEFI_PIN or in the file that the reference names. Warns of a published test key; where one
 * is refused, the SDK does so.
 */
export async function openDeviceSigner(file: string, context: Context): Promise<OpenedSigner> {
  const { MACHINEFI_PIN: pin } = context.env
  const signer = await openSigner(resolve(context.cwd, file), { pin: pin || undefined })
  if (isPublishedTestKey(signer.publicKey))
    context.stderr.write(`${file}: a published test key. Anyone can sign as this device.\n`)
  return signer
}
