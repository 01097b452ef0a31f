import { BaseError } from '@machinefi/core'
import { type Address, getAddress, isAddress } from 'viem'

/** Parses the address of an account; a mixed-case one must have a right checksum (EIP-55). */
export function parseAccountAddress(text: string): Address {
  if (!isAddress(text)) throw new InvalidAccountAddressError(text)
  return getAddress(text)
}

export class InvalidAccountAddressError extends BaseError {
  override readonly name = 'InvalidAccountAddressError'
  constructor(text: string) {
    super(`Not an account address: ${JSON.stringify(text.slice(0, 60))}.`, {
      kind: 'input',
      metaMessages: ['0x and 40 hex digits; letters in two cases must be a right EIP-55 checksum.'],
    })
  }
}
