import { BaseError } from '@machinefi/core'
import { type Hex, isHex, size } from 'viem'

/** Parses the hash of a DID document: 32 bytes as hex. */
export function parseDocumentHash(text: string): Hex {
  if (!isHex(text) || size(text) !== 32) throw new DocumentHashError()
  return text
}

export class DocumentHashError extends BaseError {
  override readonly name = 'DocumentHashError'
  constructor() {
    super('Not the hash of a document: 0x and 64 hex digits are needed.', { kind: 'input' })
  }
}
