import { BaseError } from '@machinefi/core'

/** Parses an option that is a whole number from `least` to 2^53 − 1, or to `most`. */
export function parseInteger(
  option: string,
  text: string,
  { least = 0, most = Number.MAX_SAFE_INTEGER }: { least?: number; most?: number } = {},
): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= least && value <= most)) throw new InvalidOptionError(option, text, least, most)
  return value
}

export class InvalidOptionError extends BaseError {
  override readonly name = 'InvalidOptionError'
  constructor(option: string, text: string, least: number, most: number) {
    super(`${option} is ${JSON.stringify(text)}.`, {
      kind: 'input',
      metaMessages: [`A whole number from ${least} to ${most} is needed.`],
    })
  }
}
