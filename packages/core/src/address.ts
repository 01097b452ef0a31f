import { fromHex, type Hex, toHex } from './bytes.js'
import { BaseError } from './errors.js'
import { keccak256 } from './hash.js'

const didPrefix = 'did:io:'

/**
 * Address of a public key: the last 20 bytes of keccak256(X‖Y), for P-256 and
 * secp256k1 alike (IoTeX ioID).
 *
 * @param publicKey 64 bytes X‖Y, without the leading 04.
 * @throws {InvalidPublicKeyError} not 64 bytes. The point itself is not checked.
 */
export function publicKeyToAddress(publicKey: Uint8Array): Uint8Array {
  if (publicKey.length !== 64) throw new InvalidPublicKeyError(publicKey.length)
  return keccak256(publicKey).slice(12)
}

/** Formats 20 bytes as `0x` and lower-case hex. */
export function formatAddress(address: Uint8Array): Hex {
  if (address.length !== 20) throw new InvalidAddressError()
  return toHex(address)
}

/**
 * Parses `0x` and 40 hex digits, either case; an EIP-55 checksum is not verified.
 *
 * @throws {InvalidAddressError}
 */
export function parseAddress(text: string): Uint8Array {
  if (!/^0x[0-9a-fA-F]{40}$/.test(text)) throw new InvalidAddressError()
  return fromHex(text)
}

/** Formats an address as a DID of IoTeX's method: `did:io:0x…`, lower case. */
export function formatDid(address: Uint8Array): string {
  return didPrefix + formatAddress(address)
}

/**
 * Parses `did:io:0x…`, or a bare address.
 *
 * @throws {InvalidAddressError}
 */
export function parseDid(text: string): Uint8Array {
  return parseAddress(text.startsWith(didPrefix) ? text.slice(didPrefix.length) : text)
}

export class InvalidAddressError extends BaseError {
  override readonly name = 'InvalidAddressError'
  constructor() {
    super('Not an address: 0x or did:io:0x, then 40 hex digits.', { kind: 'input' })
  }
}

export class InvalidPublicKeyError extends BaseError {
  override readonly name = 'InvalidPublicKeyError'
  constructor(length: number) {
    super(`A public key has 64 bytes, X then Y; this one has ${length}.`, {
      kind: 'input',
    })
  }
}
