export { createKeyFile, KeyFileError, openKeyFile } from './keys/openKeyFile.js'
export {
  StoreDamagedError,
  StoreFailedError,
  StoreLockedError,
  StoreMismatchError,
} from './stores/fileStoreErrors.js'
export { openFileStore } from './stores/openFileStore.js'
export { createTlsFetch } from './transports/createTlsFetch.js'
