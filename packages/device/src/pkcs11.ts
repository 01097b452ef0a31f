export { createPkcs11Key } from './pkcs11/createPkcs11Key.js'
export {
  KeyExistsError,
  KeyMismatchError,
  KeyNotFoundError,
  ModuleError,
  PinIncorrectError,
  PinLockedError,
  Pkcs11MissingError,
  TokenFailedError,
  TokenNotFoundError,
  TokenRemovedError,
} from './pkcs11/errors.js'
export {
  openPkcs11Key,
  type Pkcs11Signer,
  SignerClosedError,
} from './pkcs11/openPkcs11Key.js'
