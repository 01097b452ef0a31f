import { BaseError, fromHex, InvalidHexError } from '@machinefi/core'

/** Parses a public key: X‖Y, 64 bytes as hex, or the same after the `04` of SEC 1. */
export function parsePublicKey(text: string): Uint8Array {
  try {
    const bytes = fromHex(text)
    if (bytes.length === 64) return bytes
    if (bytes.length === 65 && bytes[0] === 4) return bytes.subarray(1)
  } catch (error) {
    if (!(error instanceof InvalidHexError)) throw error
  }
  throw new PublicKeyError()
}

export class PublicKeyError extends BaseError {
  override readonly name = 'PublicKeyError'
  constructor() {
    super('Not a public key: X then Y, 64 bytes as hex, with or without a leading 04.', {
      kind: 'input',
    })
  }
}
