import { BaseError } from '@machinefi/core'
import { type Hex, isHex, size } from 'viem'

/** Parses the id of a model: 32 bytes as hex. */
export function parseModelId(text: string): Hex {
  if (!isHex(text) || size(text) !== 32) throw new ModelIdError(text)
  return text.toLowerCase() as Hex
}

export class ModelIdError extends BaseError {
  override readonly name = 'ModelIdError'
  constructor(text: string) {
    super(`Not the id of a model: ${JSON.stringify(text.slice(0, 80))}.`, {
      kind: 'input',
      metaMessages: ['0x and 64 hex digits, as `machinefi model create` printed it.'],
    })
  }
}
