import type { Handle } from 'pkcs11js'
import {
  PinIncorrectError,
  PinLockedError,
  TokenFailedError,
  TokenNotFoundError,
} from './errors.js'
import { isCode, type Module } from './openModule.js'

/**
 * A session of a token, logged in to.
 *
 * @throws {TokenNotFoundError} and what PKCS#11 says, to be made a name of by {@link toTokenError}.
 */
export function openSession(module: Module, options: openSession.Options): Handle {
  const { constants, library } = module
  const { pin, token } = options
  const slot = findToken(module, token)
  const session = library.C_OpenSession(
    slot,
    constants.CKF_SERIAL_SESSION | (options.write ? constants.CKF_RW_SESSION : 0),
  )
  try {
    library.C_Login(session, constants.CKU_USER, pin)
  } catch (error) {
    // By another signer of this process: a login is the whole process's.
    if (!isCode(error, 'CKR_USER_ALREADY_LOGGED_IN')) {
      closeSession(module, session)
      throw error
    }
  }
  return session
}

export declare namespace openSession {
  type Options = { pin: string; token: string; write?: boolean }
}

/** Closes a session; of a token that is gone, there is none left. */
export function closeSession(module: Module, session: Handle) {
  try {
    module.library.C_CloseSession(session)
  } catch {}
}

/** The slot of the only token of a label. @throws {TokenNotFoundError} */
export function findToken({ library }: Module, token: string): Handle {
  const slots = library.C_GetSlotList(true)
  // Padded with blanks to 32 bytes; some fill up with zeros.
  const labels = slots.map((slot) => library.C_GetTokenInfo(slot).label.replace(/[\0 ]+$/, ''))
  const first = labels.indexOf(token)
  if (first < 0 || labels.includes(token, first + 1))
    throw new TokenNotFoundError(
      token,
      labels.filter((label) => label !== ''),
    )
  return slots[first]!
}

/** An error of PKCS#11 by its name here. None of them says the PIN. */
export function toTokenError(error: unknown, token: string): unknown {
  if (!(error instanceof Error) || !error.message.startsWith('CKR_')) return error
  switch (error.message) {
    case 'CKR_PIN_INCORRECT':
    case 'CKR_PIN_INVALID':
    case 'CKR_PIN_LEN_RANGE':
      return new PinIncorrectError(token, error)
    case 'CKR_PIN_LOCKED':
      return new PinLockedError(token, error)
    default:
      return new TokenFailedError(token, error.message, error)
  }
}
