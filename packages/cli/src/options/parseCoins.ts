import { BaseError } from '@machinefi/core'
import { parseEther } from 'viem'

/** Parses an amount of the chain's coin, such as `0.1`, into wei. More than 0, or from `least` on; at most 18 decimals. */
export function parseCoins(
  option: string,
  text: string,
  { least = 1n }: { least?: bigint } = {},
): bigint {
  if (!/^\d{1,12}(\.\d{1,18})?$/.test(text)) throw new InvalidCoinsError(option, text, least)
  const wei = parseEther(text)
  if (wei < least) throw new InvalidCoinsError(option, text, least)
  return wei
}

export class InvalidCoinsError extends BaseError {
  override readonly name = 'InvalidCoinsError'
  constructor(option: string, text: string, least: bigint) {
    const bound = least === 0n ? '0 or more' : 'above 0'
    super(`${option} is ${JSON.stringify(text)}.`, {
      kind: 'input',
      metaMessages: [`An amount of the chain’s coin is needed, ${bound}: 1, 0.25.`],
    })
  }
}
