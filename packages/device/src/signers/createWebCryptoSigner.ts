import { BaseError, type Signer, verifySignature } from '@machinefi/core'
import { addUnusedKey } from './knownKeys.js'

/**
 * A signer whose P-256 key WebCrypto holds: the program can use it, but neither read nor export it.
 * A new key lives as long as the process; browsers keep one with `openWebCryptoKey`.
 *
 * @throws {WebCryptoKeyError} `unavailable`, or `not-a-key`: `keys` are no P-256 pair that signs.
 * @example
 * const signer = await createWebCryptoSigner() // a new key
 */
export async function createWebCryptoSigner(
  options: createWebCryptoSigner.Options = {},
): Promise<Signer> {
  const signer = await toSigner(options.keys ?? (await generateKeys()))
  if (options.keys === undefined) {
    addUnusedKey(signer.publicKey)
    return signer
  }
  // A pair put together wrongly is found here rather than by a node.
  const message = new Uint8Array(1)
  const signature = await signer.sign(message).catch(() => message)
  if (!(await verifySignature({ ...signer, message, signature })))
    throw new WebCryptoKeyError('not-a-key')
  return signer
}

export declare namespace createWebCryptoSigner {
  type Options = {
    /** A P-256 pair, the private key with the usage `sign`; generated when absent, and not extractable. */
    keys?: CryptoKeyPair | undefined
  }
  type ErrorType = WebCryptoKeyError
}

/** A pair whose private key never leaves WebCrypto. @throws {WebCryptoKeyError} `unavailable` */
export async function generateKeys(): Promise<CryptoKeyPair> {
  // Absent outside secure contexts, such as a page from a hub on the LAN.
  if (globalThis.crypto?.subtle === undefined) throw new WebCryptoKeyError('unavailable')
  return crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
}

/** @throws {WebCryptoKeyError} `not-a-key` */
export async function toSigner({ privateKey, publicKey }: CryptoKeyPair): Promise<Signer> {
  try {
    return {
      algorithm: 'ES256',
      publicKey: new Uint8Array(await crypto.subtle.exportKey('raw', publicKey)).slice(1),
      sign: async (message) =>
        new Uint8Array(
          await crypto.subtle.sign(
            { name: 'ECDSA', hash: 'SHA-256' },
            privateKey,
            message as Uint8Array<ArrayBuffer>,
          ),
        ),
    }
  } catch (cause) {
    throw new WebCryptoKeyError('not-a-key', cause)
  }
}

export class WebCryptoKeyError extends BaseError {
  override readonly name = 'WebCryptoKeyError'
  readonly reason: WebCryptoKeyError.Reason
  constructor(reason: WebCryptoKeyError.Reason, cause?: unknown) {
    super(messages[reason], { kind: 'input', cause })
    this.reason = reason
  }
}

export declare namespace WebCryptoKeyError {
  type Reason = 'missing' | 'not-a-key' | 'storage' | 'unavailable'
}

const messages: { readonly [reason in WebCryptoKeyError.Reason]: string } = {
  missing: 'No key of this name.',
  'not-a-key': 'Not a P-256 key pair that signs.',
  storage: 'IndexedDB keeps no key here.',
  unavailable: 'No WebCrypto: a page needs https or localhost.',
}
