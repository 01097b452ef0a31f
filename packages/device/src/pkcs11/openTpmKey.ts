import { createPkcs11Key } from './createPkcs11Key.js'
import { type Module, openModule } from './openModule.js'
import { openPkcs11Key, type Pkcs11Signer } from './openPkcs11Key.js'
import { closeSession, findToken, toTokenError } from './openSession.js'

/**
 * Opens a P-256 key in a TPM 2.0, through the PKCS#11 module of the tpm2-software project (in
 * Debian libtpm2-pkcs11-1). Where the TPM is and where the module keeps its sealed objects is said
 * by its own variables, TPM2_PKCS11_TCTI and TPM2_PKCS11_STORE.
 *
 * All of {@link openPkcs11Key} holds.
 */
export function openTpmKey(options: openTpmKey.Options): Promise<Pkcs11Signer> {
  return openPkcs11Key({ ...options, ...toToken(options) })
}

export declare namespace openTpmKey {
  type Options = Omit<openPkcs11Key.Options, 'module' | 'token'> & {
    /** Path of the module. @default libtpm2_pkcs11.so.1, where the system keeps its libraries */
    module?: string | undefined
    /** Label of the token. @default machinefi */
    token?: string | undefined
  }
}

/**
 * Makes a P-256 key pair in a TPM, and the token for it when there is none of this label: the PIN
 * is then the security officer's as well.
 *
 * All of {@link createPkcs11Key} holds.
 */
export async function createTpmKey(options: createTpmKey.Options): Promise<Pkcs11Signer> {
  const { key, pin } = options
  const { module: path, token } = toToken(options)
  const module = await openModule(path)
  try {
    await module.run(() => initializeToken(module, token, pin))
    return await createPkcs11Key({ key, module: path, pin, token })
  } catch (error) {
    throw toTokenError(error, token)
  } finally {
    await module.close()
  }
}

export declare namespace createTpmKey {
  type Options = Omit<openTpmKey.Options, 'publicKey'>
}

function toToken({
  module = 'libtpm2_pkcs11.so.1',
  token = 'machinefi',
}: Pick<openTpmKey.Options, 'module' | 'token'>) {
  return { module, token }
}

/** The module always has one empty token more. */
function initializeToken(module: Module, token: string, pin: string) {
  const { constants, library } = module
  const tokens = library
    .C_GetSlotList(true)
    .map((slot) => ({ slot, ...library.C_GetTokenInfo(slot) }))
  if (tokens.some(({ label }) => label.trimEnd() === token)) return
  const empty = tokens.find(({ flags }) => (flags & constants.CKF_TOKEN_INITIALIZED) === 0)
  if (empty === undefined) return
  // Not padded by pkcs11js: a label with zeros at its end is not found again.
  library.C_InitToken(empty.slot, pin, token.padEnd(32))
  const session = library.C_OpenSession(
    findToken(module, token),
    constants.CKF_SERIAL_SESSION | constants.CKF_RW_SESSION,
  )
  try {
    library.C_Login(session, constants.CKU_SO, pin)
    library.C_InitPIN(session, pin)
    library.C_Logout(session)
  } finally {
    closeSession(module, session)
  }
}
