import {
  BaseError,
  InvalidAddressError,
  parseAddress,
  parseIoAddress,
  toHex,
} from '@machinefi/core'
import { type Address, getAddress } from 'viem'

/**
 * Parses the address of an account, `0x…` or IoTeX's `io1…`; in hex, letters of two cases must be a
 * right checksum (EIP-55).
 */
export function parseAccountAddress(text: string): Address {
  try {
    return getAddress(toHex(/^io1/i.test(text) ? parseIoAddress(text) : parseAddress(text)))
  } catch (error) {
    if (error instanceof InvalidAddressError) throw new InvalidAccountAddressError(text)
    throw error
  }
}

export class InvalidAccountAddressError extends BaseError {
  override readonly name = 'InvalidAccountAddressError'
  constructor(text: string) {
    super(`Not an account address: ${JSON.stringify(text.slice(0, 60))}.`, {
      kind: 'input',
      metaMessages: [
        '0x and 40 hex digits (letters in two cases must be a right EIP-55 checksum), or io1 and 38 characters.',
      ],
    })
  }
}
