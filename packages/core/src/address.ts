import { decodeBech32, encodeBech32, toBytes } from './bech32.js'
import { fromHex, type Hex, toHex } from './bytes.js'
import { BaseError } from './errors.js'
import { keccak256 } from './hash.js'

const didPrefix = 'did:io:'
const ioPrefix = 'io'

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
 * Parses `0x` and 40 hex digits. Letters of one case are taken as they are; in two cases they must
 * be a right checksum (EIP-55), so that a mistyped one is found.
 *
 * @throws {InvalidAddressError}
 */
export function parseAddress(text: string): Uint8Array {
  if (!/^0x[0-9a-fA-F]{40}$/.test(text)) throw new InvalidAddressError()
  const lower = text.toLowerCase()
  const digits = text.slice(2)
  if (text !== lower && digits !== digits.toUpperCase() && digits !== toChecksum(lower.slice(2)))
    throw new InvalidAddressError(['Letters in two cases must be a right checksum (EIP-55).'])
  return fromHex(lower)
}

/**
 * Formats 20 bytes as IoTeX's own form of an address: `io1…`, bech32 (BIP-173) of the same bytes
 * that `0x…` shows.
 *
 * @throws {InvalidAddressError} not 20 bytes.
 */
export function formatIoAddress(address: Uint8Array): string {
  if (address.length !== 20) throw new InvalidAddressError()
  return encodeBech32(ioPrefix, address)
}

/**
 * Parses `io1` and 38 characters, in lower or in upper case, with a right checksum.
 *
 * @throws {InvalidAddressError}
 */
export function parseIoAddress(text: string): Uint8Array {
  const decoded = decodeBech32(text)
  const bytes = decoded?.prefix === ioPrefix ? toBytes(decoded.groups) : undefined
  if (bytes?.length !== 20) throw new InvalidAddressError()
  return bytes
}

/** Formats an address as a DID of IoTeX's method: `did:io:0x…`, lower case. */
export function formatDid(address: Uint8Array): string {
  return didPrefix + formatAddress(address)
}

/**
 * Parses `did:io:0x…`, or a bare address in either form, `0x…` or `io1…`. The prefix is in lower
 * case, as names of DID methods are; what follows may have the cases that {@link parseAddress}
 * takes, since IoTeX's own tools print several.
 *
 * @throws {InvalidAddressError}
 */
export function parseDid(text: string): Uint8Array {
  if (text.startsWith(didPrefix)) return parseAddress(text.slice(didPrefix.length))
  return text.startsWith('0x') ? parseAddress(text) : parseIoAddress(text)
}

export class InvalidAddressError extends BaseError {
  override readonly name = 'InvalidAddressError'
  constructor(metaMessages: readonly string[] = []) {
    super('Not an address: 0x or did:io:0x and 40 hex digits, or io1 and 38 characters.', {
      kind: 'input',
      metaMessages,
    })
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

/** 40 hex digits in the cases of EIP-55: upper where the digit of the hash is 8 or more. */
function toChecksum(digits: string): string {
  const hash = toHex(keccak256(new TextEncoder().encode(digits)))
  return Array.from(digits, (digit, i) =>
    (hash[i + 2] as string) >= '8' ? digit.toUpperCase() : digit,
  ).join('')
}
