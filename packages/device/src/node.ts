export { type KeyReference, readKeyReference, writeKeyReference } from './keys/keyReference.js'
export { createKeyFile, KeyFileError, openKeyFile } from './keys/openKeyFile.js'
export { type OpenedSigner, openSigner, readPinFile } from './keys/openSigner.js'
export {
  StoreDamagedError,
  StoreFailedError,
  StoreLockedError,
  StoreMismatchError,
  StoreMissingError,
} from './stores/fileStoreErrors.js'
export { openFileStore } from './stores/openFileStore.js'
export { readFileStore } from './stores/readFileStore.js'
export { createTlsFetch } from './transports/createTlsFetch.js'
