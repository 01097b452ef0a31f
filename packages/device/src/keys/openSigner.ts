import { dirname, resolve } from 'node:path'
import { fromHex, type Signer } from '@machinefi/core'
import { readKeyReference } from './keyReference.js'
import { KeyFileError, openKeyFile, readPrivateFile } from './openKeyFile.js'

/**
 * Opens what a device signs with, by a file: a private key (PEM, as `openKeyFile` takes it), or a
 * reference to a key in a token, as `machinefi device create --signer` writes it.
 *
 * The PIN of a token is `options.pin`, else the content of the file that the reference names, but
 * for a line end. Nobody is asked for it: a service starts by itself.
 *
 * @throws {KeyFileError} with a `reason`: `pin` where a token's is missing.
 * @throws whatever `openPkcs11Key` throws, of a token.
 * @example
 * const signer = await openSigner('walker.json')
 */
export async function openSigner(
  path: string,
  options: openSigner.Options = {},
): Promise<OpenedSigner> {
  const reference = await readKeyReference(path)
  if (reference === undefined) return { ...(await openKeyFile(path)), close: async () => {} }
  const { key, module, pinFile, token } = reference
  const publicKey = fromHex(reference.publicKey)
  const pin =
    options.pin ??
    (pinFile === undefined ? undefined : await readPinFile(resolve(dirname(path), pinFile)))
  if (pin === undefined) throw new KeyFileError(path, 'pin')
  // Loaded here, since most devices have neither.
  if (reference.signer === 'tpm') {
    const { openTpmKey } = await import('../pkcs11/openTpmKey.js')
    return openTpmKey({ key, module, pin, publicKey, token })
  }
  const { openPkcs11Key } = await import('../pkcs11/openPkcs11Key.js')
  return openPkcs11Key({ key, module: module!, pin, publicKey, token })
}

export declare namespace openSigner {
  type Options = {
    /** Of the token. @default the content of the reference's `pinFile` */
    pin?: string | undefined
  }
}

/** A signer, to be closed when done. */
export type OpenedSigner = Signer & { close(): Promise<void> }

/** A PIN from a file of mode 0600, without the line end. @throws {KeyFileError} */
export async function readPinFile(path: string): Promise<string> {
  return (await readPrivateFile(path)).replace(/\r?\n$/, '')
}
