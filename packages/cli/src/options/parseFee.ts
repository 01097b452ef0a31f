import { parseCoins } from './parseCoins.js'

/** The most that a command pays for a device that joins, in wei: nothing, unless it was agreed to. */
export function parseFee(text: string | undefined): bigint {
  return text === undefined ? 0n : parseCoins('--fee', text)
}
