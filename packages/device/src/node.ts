export { createKeyFile, KeyFileError, openKeyFile } from './keys/openKeyFile.js'
