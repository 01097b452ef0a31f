import { randomBytes } from 'node:crypto'
import type { Algorithm } from '@machinefi/core'
import { addUnusedKey } from '../signers/knownKeys.js'
import { KeyExistsError, KeyMismatchError } from './errors.js'
import { findObjects, toParams } from './findKey.js'
import { type Module, openModule } from './openModule.js'
import { openPkcs11Key, type Pkcs11Signer } from './openPkcs11Key.js'
import { closeSession, openSession, toTokenError } from './openSession.js'

/**
 * Makes a key pair in a token and opens it. The private key is sensitive and not extractable: no
 * one can read it, and it cannot be copied. A key of the same label is never replaced.
 *
 * @throws {KeyExistsError}
 * @throws {KeyMismatchError} the token made a key that can be read: it is removed again.
 * @throws whatever `openPkcs11Key` throws.
 */
export async function createPkcs11Key(options: createPkcs11Key.Options): Promise<Pkcs11Signer> {
  const module = await openModule(options.module)
  try {
    await module.run(() => generate(module, options))
    const signer = await openPkcs11Key(options)
    addUnusedKey(signer.publicKey)
    return signer
  } catch (error) {
    throw toTokenError(error, options.token)
  } finally {
    await module.close()
  }
}

export declare namespace createPkcs11Key {
  type Options = Omit<openPkcs11Key.Options, 'publicKey'> & {
    /** @default ES256 */
    algorithm?: Algorithm | undefined
  }
}

async function generate(module: Module, options: createPkcs11Key.Options): Promise<void> {
  const { constants, library } = module
  const { algorithm = 'ES256', key, pin, token } = options
  const session = openSession(module, { pin, token, write: true })
  try {
    for (const objectClass of [constants.CKO_PRIVATE_KEY, constants.CKO_PUBLIC_KEY])
      if (findObjects(module, session, objectClass, key).length > 0)
        throw new KeyExistsError(token, key)
    const common = [
      { type: constants.CKA_TOKEN, value: true },
      { type: constants.CKA_LABEL, value: key },
      { type: constants.CKA_ID, value: randomBytes(8) },
    ]
    // Neither class nor key type: the mechanism says both, and TPM modules take no template that does.
    const pair = await library.C_GenerateKeyPairAsync(
      session,
      { mechanism: constants.CKM_EC_KEY_PAIR_GEN },
      [
        ...common,
        { type: constants.CKA_EC_PARAMS, value: toParams(algorithm) },
        { type: constants.CKA_VERIFY, value: true },
      ],
      [
        ...common,
        { type: constants.CKA_PRIVATE, value: true },
        { type: constants.CKA_SENSITIVE, value: true },
        { type: constants.CKA_EXTRACTABLE, value: false },
        { type: constants.CKA_SIGN, value: true },
      ],
    )
    const [sensitive, extractable] = library
      .C_GetAttributeValue(session, pair.privateKey, [
        { type: constants.CKA_SENSITIVE },
        { type: constants.CKA_EXTRACTABLE },
      ])
      .map(({ value }) => (value as Buffer)[0])
    if (sensitive === 1 && extractable === 0) return
    for (const object of [pair.privateKey, pair.publicKey]) library.C_DestroyObject(session, object)
    throw new KeyMismatchError(token, key, 'can be read by who has the PIN')
  } finally {
    closeSession(module, session)
  }
}
