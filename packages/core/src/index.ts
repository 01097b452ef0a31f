export {
  formatAddress,
  formatDid,
  formatIoAddress,
  InvalidAddressError,
  InvalidPublicKeyError,
  parseAddress,
  parseDid,
  parseIoAddress,
  publicKeyToAddress,
} from './address.js'
export {
  compareBytes,
  concatBytes,
  equalBytes,
  fromHex,
  type Hex,
  InvalidHexError,
  toHex,
} from './bytes.js'
export { BaseError, type ErrorKind } from './errors.js'
export { keccak256, sha256 } from './hash.js'
export { isDevelopmentChain, isPublishedTestKey, PublishedKeyError } from './publishedKeys.js'
export {
  type Algorithm,
  InvalidSignatureError,
  normalizeSignature,
  type Signer,
  verifySignature,
} from './signature.js'
