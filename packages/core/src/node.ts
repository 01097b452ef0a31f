export { verifySignatureSync } from './crypto/crypto.node.js'
