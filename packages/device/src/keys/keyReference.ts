import { readFile } from 'node:fs/promises'
import { type Algorithm, fromHex, type Hex } from '@machinefi/core'
import { KeyFileError, writeNewFile } from './openKeyFile.js'

/** Where a key is that cannot be in a file: what `machinefi device create --signer` writes. No secret is in it. */
export type KeyReference = {
  readonly signer: 'pkcs11' | 'tpm'
  /** Path of the PKCS#11 module; a TPM's is found by itself. */
  readonly module?: string | undefined
  /** Label of the token. */
  readonly token: string
  /** Label of the key pair. */
  readonly key: string
  readonly algorithm: Algorithm
  /** X‖Y as hex: the token is refused if it has another key under the label. */
  readonly publicKey: Hex
  /** File of mode 0600 with the PIN, from the folder of the reference on. */
  readonly pinFile?: string | undefined
}

/**
 * Writes a new file with a reference, as JSON.
 *
 * @throws {KeyFileError} `exists`, or `unwritable`.
 */
export async function writeKeyReference(path: string, reference: KeyReference): Promise<void> {
  await writeNewFile(path, `${JSON.stringify(reference, null, 2)}\n`, 0o644)
}

/**
 * Reads a reference. `undefined` is a file of another kind, or none: a private key, perhaps.
 *
 * @throws {KeyFileError} `not-a-reference`: JSON, but with something missing or wrong.
 */
export async function readKeyReference(path: string): Promise<KeyReference | undefined> {
  const content = await readFile(path, 'utf8').catch(() => '')
  if (!content.trimStart().startsWith('{')) return undefined
  try {
    const reference: KeyReference = JSON.parse(content)
    const { algorithm, key, module, pinFile, publicKey, signer, token } = reference
    if (
      ![module, pinFile].every((text) => text === undefined || typeof text === 'string') ||
      ![token, key].every((text) => typeof text === 'string') ||
      !['ES256', 'ES256K'].includes(algorithm) ||
      fromHex(publicKey).length !== 64 ||
      !(signer === 'tpm' || (signer === 'pkcs11' && module !== undefined))
    )
      throw new TypeError('Not a reference.')
    return { algorithm, key, module, pinFile, publicKey, signer, token }
  } catch (cause) {
    throw new KeyFileError(path, 'not-a-reference', { cause })
  }
}
