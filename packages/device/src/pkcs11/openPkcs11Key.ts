import { BaseError, equalBytes, type Signer, sha256 } from '@machinefi/core'
import type { Handle } from 'pkcs11js'
import { findTestKey } from '../signers/knownKeys.js'
import { KeyMismatchError, TokenRemovedError } from './errors.js'
import { findKey, type TokenKey } from './findKey.js'
import { openModule } from './openModule.js'
import { closeSession, openSession, toTokenError } from './openSession.js'

/**
 * Opens a key in a secure element or HSM over PKCS#11 (v2.40): the private key never leaves it.
 * P-256 or secp256k1, as the key is.
 *
 * Signatures are made off the event loop, one at a time. A token that was gone is looked for and
 * logged in to again with the next signature. A PIN that was refused is not tried again.
 *
 * Close the signer when done: a TPM keeps what a process leaves loaded.
 *
 * @throws {Pkcs11MissingError} the package pkcs11js is not there.
 * @throws {ModuleError} the module cannot be loaded.
 * @throws {TokenNotFoundError} no token of this label, or several.
 * @throws {PinIncorrectError}
 * @throws {PinLockedError}
 * @throws {KeyNotFoundError} no pair of this label, or several.
 * @throws {KeyMismatchError} of another curve, or not the one expected.
 * @throws {TokenFailedError} whatever else the token says.
 * @example
 * const signer = await openPkcs11Key({
 *   module: '/usr/lib/softhsm/libsofthsm2.so',
 *   token: 'station',
 *   key: 'walker',
 *   pin: (await readFile('/etc/walker.pin', 'utf8')).trim(),
 * })
 */
export async function openPkcs11Key(options: openPkcs11Key.Options): Promise<Pkcs11Signer> {
  const { key, pin, token } = options
  const module = await openModule(options.module)
  const { constants, library } = module
  let opened: Opened
  /** The session failed, and so did what was tried since. */
  let broken = false
  let refusal: unknown
  let closing: Promise<void> | undefined

  function open(expected: Uint8Array | undefined): Opened {
    let session: Handle | undefined
    try {
      session = openSession(module, { pin, token })
      const found = findKey(module, session, { key, token })
      if (expected !== undefined && !equalBytes(found.publicKey, expected))
        throw new KeyMismatchError(token, key, 'is not the one expected')
      return { ...found, session, start: module.starts }
    } catch (error) {
      if (session !== undefined) closeSession(module, session)
      const failure = toTokenError(error, token)
      if ((failure as Error).name === 'PinIncorrectError') refusal = failure
      throw failure
    }
  }

  /** Everything anew, as for a token that was pulled out and put back. */
  function reopen() {
    try {
      // When another signer restarted the module, a session is all that is missing.
      if (broken || opened.start === module.starts) module.restart()
      opened = open(opened.publicKey)
      broken = false
    } catch (error) {
      broken = true
      if (isAbsence(error)) throw new TokenRemovedError(token, error)
      throw error
    }
  }

  async function signOnce(digest: Buffer): Promise<Uint8Array> {
    const { privateKey, session } = opened
    library.C_SignInit(session, { mechanism: constants.CKM_ECDSA }, privateKey)
    return new Uint8Array(await library.C_SignAsync(session, digest, Buffer.alloc(64)))
  }

  async function sign(digest: Buffer): Promise<Uint8Array> {
    if (refusal !== undefined) throw refusal
    if (!broken && opened.start === module.starts)
      try {
        return await signOnce(digest)
      } catch {
        // What is wrong shows when it is opened again, or with the second try.
      }
    reopen()
    try {
      return await signOnce(digest)
    } catch (error) {
      broken = true
      throw toTokenError(error, token)
    }
  }

  try {
    opened = await module.run(() => open(options.publicKey))
  } catch (error) {
    await module.close()
    throw error
  }
  findTestKey(opened.publicKey)
  return {
    algorithm: opened.algorithm,
    publicKey: opened.publicKey,
    async sign(message) {
      if (closing !== undefined) throw new SignerClosedError()
      // Hashed now: the caller may use its bytes again before it is this one's turn.
      const digest = Buffer.from(sha256(message))
      return module.run(() => sign(digest))
    },
    close() {
      closing ??= module
        .run(() => {
          if (opened.start === module.starts) closeSession(module, opened.session)
        })
        .then(() => module.close())
      return closing
    },
  }
}

export declare namespace openPkcs11Key {
  type Options = {
    /** Path of the PKCS#11 module: a shared library of the maker of the token. */
    module: string
    /** Label of the token. */
    token: string
    /** Label of the key pair. */
    key: string
    /** Of the user. Kept in memory, to log in again. */
    pin: string
    /** X‖Y, 64 bytes: refuse any other. */
    publicKey?: Uint8Array | undefined
  }
}

/** A signer that holds a session of a token. */
export type Pkcs11Signer = Signer & {
  /** Ends the session, and with the last one the module. What is being signed is waited for. */
  close(): Promise<void>
}

export class SignerClosedError extends BaseError {
  override readonly name = 'SignerClosedError'
  constructor() {
    super('The signer is closed.', { kind: 'input' })
  }
}

type Opened = TokenKey & { readonly session: Handle; readonly start: number }

/** What a token that is not there looks like. */
function isAbsence(error: unknown): boolean {
  return ['ModuleError', 'TokenFailedError', 'TokenNotFoundError'].includes((error as Error).name)
}
