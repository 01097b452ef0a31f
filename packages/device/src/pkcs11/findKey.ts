import { type Algorithm, fromHex, toHex } from '@machinefi/core'
import type { Handle } from 'pkcs11js'
import { KeyMismatchError, KeyNotFoundError } from './errors.js'
import type { Module } from './openModule.js'

export type TokenKey = {
  readonly algorithm: Algorithm
  readonly privateKey: Handle
  /** X‖Y, 64 bytes. */
  readonly publicKey: Uint8Array
}

/** Object identifiers of the curves, in DER: what CKA_EC_PARAMS holds. */
export const curves = {
  ES256: '0x06082a8648ce3d030107',
  ES256K: '0x06052b8104000a',
} as const satisfies Record<Algorithm, string>

/**
 * The key pair of a label.
 *
 * @throws {KeyNotFoundError}
 * @throws {KeyMismatchError} neither P-256 nor secp256k1.
 */
export function findKey(
  module: Module,
  session: Handle,
  options: { key: string; token: string },
): TokenKey {
  const { constants, library } = module
  const { key, token } = options
  const privateKeys = findObjects(module, session, constants.CKO_PRIVATE_KEY, key)
  const publicKeys = findObjects(module, session, constants.CKO_PUBLIC_KEY, key)
  const [privateKey] = privateKeys
  const [publicKey] = publicKeys
  if (privateKeys.length !== 1 || publicKeys.length !== 1)
    throw new KeyNotFoundError(token, key, Math.min(privateKeys.length, publicKeys.length))
  const [params, point] = library
    .C_GetAttributeValue(session, publicKey!, [
      { type: constants.CKA_EC_PARAMS },
      { type: constants.CKA_EC_POINT },
    ])
    .map(({ value }) => value as Buffer)
  const curve = toHex(params!)
  const algorithm = (Object.keys(curves) as Algorithm[]).find((name) => curves[name] === curve)
  // A DER octet string around 04‖X‖Y; some leave it out.
  if (algorithm === undefined || point!.length < 65 || point!.at(-65) !== 4)
    throw new KeyMismatchError(token, key, 'is neither of P-256 nor of secp256k1')
  return { algorithm, privateKey: privateKey!, publicKey: Uint8Array.from(point!.subarray(-64)) }
}

/** Up to three objects of a class and label. */
export function findObjects(
  { constants, library }: Module,
  session: Handle,
  objectClass: number,
  label: string,
): Handle[] {
  library.C_FindObjectsInit(session, [
    { type: constants.CKA_CLASS, value: objectClass },
    { type: constants.CKA_LABEL, value: label },
  ])
  try {
    return library.C_FindObjects(session, 3)
  } finally {
    library.C_FindObjectsFinal(session)
  }
}

/** A curve's identifier as PKCS#11 takes it. */
export function toParams(algorithm: Algorithm): Buffer {
  return Buffer.from(fromHex(curves[algorithm]))
}
