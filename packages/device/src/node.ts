export { createKeyFile, KeyFileError, openKeyFile } from './keys/openKeyFile.js'
export {
  StoreDamagedError,
  StoreFailedError,
  StoreLockedError,
  StoreMismatchError,
  StoreMissingError,
} from './stores/fileStoreErrors.js'
export { openFileStore } from './stores/openFileStore.js'
export { readFileStore } from './stores/readFileStore.js'
