import { BaseError } from '@machinefi/core'
import { encodeWords } from '../abi/encodeWords.js'
import { readInt, readUint } from '../abi/readWord.js'

/** Pays by the unit, from a threshold up to a cap. */
export type ThresholdPolicy = {
  /** Largest reward for one window, in units of the token, below 2^128. */
  readonly cap: bigint
  /** Units of the token for each unit of the value. */
  readonly rate: bigint
  /** Least value that is paid. */
  readonly threshold: bigint
}

/**
 * Reward of a device for its value in a window, as ThresholdPolicy computes
 * it: nothing below the threshold nor for a value that is not positive, else
 * value × rate, at most the cap.
 */
export function reward(parameters: reward.Parameters): bigint {
  const { cap, rate, threshold, value } = parameters
  if (value < threshold || value <= 0n) return 0n
  const uncapped = value * rate
  if (uncapped > cap) return cap
  return uncapped
}

export declare namespace reward {
  type Parameters = ThresholdPolicy & { value: bigint }
}

/** Encodes a policy's parameters as its contract takes them: `(int256 threshold, uint256 rate, uint256 cap)`. */
export function encodePolicyParams(policy: ThresholdPolicy): Uint8Array {
  const { cap, rate, threshold } = policy
  if (BigInt.asIntN(256, threshold) !== threshold) throw new InvalidPolicyError('the threshold')
  if (BigInt.asUintN(256, rate) !== rate) throw new InvalidPolicyError('the rate')
  if (BigInt.asUintN(128, cap) !== cap) throw new InvalidPolicyError('the cap')
  return encodeWords(threshold, rate, cap)
}

/** Decodes what {@link encodePolicyParams} writes. @throws {InvalidPolicyError} */
export function decodePolicyParams(params: Uint8Array): ThresholdPolicy {
  if (params.length !== 96) throw new InvalidPolicyError('their length')
  const threshold = readInt(params.subarray(0, 32))
  const rate = readUint(params.subarray(32, 64))
  const cap = readUint(params.subarray(64))
  if (BigInt.asUintN(128, cap) !== cap) throw new InvalidPolicyError('the cap')
  return { cap, rate, threshold }
}

export class InvalidPolicyError extends BaseError {
  override readonly name = 'InvalidPolicyError'
  constructor(what: string) {
    super(`Not the parameters of a threshold policy: ${what} is out of bounds.`, { kind: 'input' })
  }
}
