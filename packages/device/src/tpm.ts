export { createTpmKey, openTpmKey } from './pkcs11/openTpmKey.js'
