import { type Algorithm, BaseError, type Signer } from '@machinefi/core'
import { generatePrivateKey, openPrivateKey } from '#signer'
import { addUnusedKey, findTestKey } from './knownKeys.js'

/**
 * A signer whose key is in memory. Node signs with OpenSSL, browsers with
 * @noble/curves; hardware and WebCrypto keys are other {@link Signer}s.
 *
 * The private key is readable as `signer.privateKey`, to be stored, but is not
 * enumerable: printing or serialising the signer does not show it.
 *
 * @throws {InvalidPrivateKeyError} not 32 bytes, or not in 1 … n − 1.
 * @example
 * const signer = createSoftwareSigner() // a new P-256 key
 * const signature = await signer.sign(new Uint8Array([1, 2, 3]))
 */
export function createSoftwareSigner(options: createSoftwareSigner.Options = {}): SoftwareSigner {
  const { algorithm = 'ES256' } = options
  if (algorithm !== 'ES256' && algorithm !== 'ES256K') throw new UnknownAlgorithmError()
  // A copy: `slice` of a Buffer would not be one.
  const privateKey = Uint8Array.from(options.privateKey ?? generatePrivateKey(algorithm))
  const key = privateKey.length === 32 ? openPrivateKey(algorithm, privateKey) : undefined
  if (key === undefined) throw new InvalidPrivateKeyError(algorithm)
  if (options.privateKey === undefined) addUnusedKey(key.publicKey)
  else findTestKey(key.publicKey)
  const signer: Signer = {
    algorithm,
    publicKey: key.publicKey,
    sign: async (message) => key.sign(message),
  }
  return Object.defineProperty(signer, 'privateKey', { value: privateKey }) as SoftwareSigner
}

export declare namespace createSoftwareSigner {
  type Options = {
    /** `ES256` (P-256) by default, or `ES256K` (secp256k1). */
    algorithm?: Algorithm | undefined
    /** 32 bytes; generated when absent. */
    privateKey?: Uint8Array | undefined
  }
  type ErrorType = InvalidPrivateKeyError | UnknownAlgorithmError
}

export type SoftwareSigner = Signer & { readonly privateKey: Uint8Array }

export class InvalidPrivateKeyError extends BaseError {
  override readonly name = 'InvalidPrivateKeyError'
  constructor(algorithm: Algorithm) {
    super(`Not a private key for ${algorithm}: 32 bytes, above zero and below the group order.`, {
      kind: 'input',
    })
  }
}

export class UnknownAlgorithmError extends BaseError {
  override readonly name = 'UnknownAlgorithmError'
  constructor() {
    super('Unknown algorithm: ES256 (P-256) or ES256K (secp256k1).', { kind: 'input' })
  }
}
