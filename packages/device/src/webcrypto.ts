export { openWebCryptoKey } from './keys/openWebCryptoKey.js'
export { createWebCryptoSigner, WebCryptoKeyError } from './signers/createWebCryptoSigner.js'
