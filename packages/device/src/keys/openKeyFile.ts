import { createPrivateKey } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Algorithm, BaseError } from '@machinefi/core'
import { createSoftwareSigner, type SoftwareSigner } from '../signers/createSoftwareSigner.js'
import { toKeyObject } from '../signers/ecdsa.node.js'
import { syncDirectory } from '../stores/syncDirectory.js'

/**
 * Opens a private key file: PEM, PKCS#8 (RFC 5958) as `openssl genpkey` writes
 * it, or SEC 1; P-256 or secp256k1, which decides the algorithm.
 *
 * A file that group or others may read, write or execute is refused, as ssh
 * does (not checked on Windows, which has no such modes).
 *
 * @throws {KeyFileError} with the path and a `reason`, never the content.
 * @example
 * const signer = await openKeyFile('device.key', { create: true })
 */
export async function openKeyFile(
  path: string,
  options: openKeyFile.Options = {},
): Promise<SoftwareSigner> {
  const { create = false, algorithm } = options
  let pem: string
  try {
    pem = await readPrivateFile(path)
  } catch (error) {
    if (create && (error as KeyFileError).reason === 'missing')
      return createKeyFile(path, { algorithm })
    throw error
  }
  const signer = parsePem(pem)
  if (signer === undefined) throw new KeyFileError(path, 'not-a-key')
  if (algorithm !== undefined && algorithm !== signer.algorithm)
    throw new KeyFileError(path, 'algorithm')
  return signer
}

export declare namespace openKeyFile {
  type Options = {
    /** Generate the key and the file when there is none. */
    create?: boolean | undefined
    /** Of a key to create; of an existing one, refuse any other. */
    algorithm?: Algorithm | undefined
  }
  type ErrorType = KeyFileError
}

/**
 * Writes a new private key file: PEM, PKCS#8, mode 0600, on disk when the
 * promise resolves. An existing file is never overwritten.
 *
 * @throws {KeyFileError} `exists`, or `unwritable`.
 */
export async function createKeyFile(
  path: string,
  options: createKeyFile.Options = {},
): Promise<SoftwareSigner> {
  const signer = createSoftwareSigner(options)
  const { algorithm, privateKey, publicKey } = signer
  const pem = toKeyObject(algorithm, privateKey, publicKey).export({ format: 'pem', type: 'pkcs8' })
  await writeNewFile(path, pem, 0o600)
  return signer
}

export declare namespace createKeyFile {
  type Options = createSoftwareSigner.Options
  type ErrorType = KeyFileError | createSoftwareSigner.ErrorType
}

/** A file that nobody else can get at. @throws {KeyFileError} `missing`, `exposed`, or `unreadable` */
export async function readPrivateFile(path: string): Promise<string> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (cause) {
    throw new KeyFileError(path, isCode(cause, 'ENOENT') ? 'missing' : 'unreadable', { cause })
  }
  try {
    // The open file is asked, not the path: it cannot be swapped in between.
    const { mode } = await file.stat()
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
      throw new KeyFileError(path, 'exposed')
    return await file.readFile('latin1')
  } catch (cause) {
    if (cause instanceof KeyFileError) throw cause
    throw new KeyFileError(path, 'unreadable', { cause })
  } finally {
    await file.close()
  }
}

/** A file that was not there, on disk when the promise resolves. @throws {KeyFileError} `exists`, or `unwritable` */
export async function writeNewFile(
  path: string,
  content: string | Buffer,
  mode: number,
): Promise<void> {
  let file: FileHandle
  try {
    file = await open(path, 'wx', mode)
  } catch (cause) {
    throw new KeyFileError(path, isCode(cause, 'EEXIST') ? 'exists' : 'unwritable', { cause })
  }
  try {
    await file.writeFile(content)
    await file.sync()
    await syncDirectory(dirname(path))
  } catch (cause) {
    await unlink(path).catch(() => {})
    throw new KeyFileError(path, 'unwritable', { cause })
  } finally {
    await file.close()
  }
}

export class KeyFileError extends BaseError {
  override readonly name = 'KeyFileError'
  readonly reason: KeyFileError.Reason
  readonly path: string
  constructor(path: string, reason: KeyFileError.Reason, options: { cause?: unknown } = {}) {
    const [shortMessage, ...metaMessages] = messages[reason]
    super(`${shortMessage}: ${path}`, { kind: 'input', metaMessages, ...options })
    this.reason = reason
    this.path = path
  }
}

export declare namespace KeyFileError {
  type Reason =
    | 'algorithm'
    | 'exists'
    | 'exposed'
    | 'missing'
    | 'not-a-key'
    | 'not-a-reference'
    | 'pin'
    | 'unreadable'
    | 'unwritable'
}

const messages: { [reason in KeyFileError.Reason]: readonly [string, ...string[]] } = {
  algorithm: ['The key is of another algorithm'],
  exists: ['There is a file already, and keys are never overwritten'],
  exposed: [
    'The key file can be read by others',
    'Anyone who read it can sign as this device.',
    'Close it with: chmod 600 FILE',
  ],
  missing: ['No key file'],
  'not-a-key': [
    'Not an unencrypted PEM private key of P-256 or secp256k1',
    'Make one with: machinefi device create FILE, or openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out FILE',
  ],
  'not-a-reference': [
    'Not a reference to a key in a token',
    'Make one with: machinefi device create FILE --signer pkcs11, or --signer tpm',
  ],
  pin: [
    'The token needs a PIN',
    'Pass it as `pin` (the command line: MACHINEFI_PIN), or name a file of mode 0600 as "pinFile" in the reference.',
  ],
  unreadable: ['The key file cannot be read'],
  unwritable: ['The key file cannot be written'],
}

const algorithms: { readonly [curve: string]: Algorithm | undefined } = {
  prime256v1: 'ES256',
  secp256k1: 'ES256K',
}

/** OpenSSL's own message is dropped: it may quote its input. */
function parsePem(pem: string): SoftwareSigner | undefined {
  try {
    const key = createPrivateKey(pem)
    const algorithm = algorithms[key.asymmetricKeyDetails?.namedCurve ?? '']
    if (algorithm === undefined) return undefined
    const { d = '' } = key.export({ format: 'jwk' })
    return createSoftwareSigner({ algorithm, privateKey: Buffer.from(d, 'base64url') })
  } catch {
    return undefined
  }
}

function isCode(error: unknown, code: string): boolean {
  return (error as { code?: unknown } | null)?.code === code
}
