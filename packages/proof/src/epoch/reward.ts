/**
 * Reward of a device for its value in a window, as ThresholdPolicy computes
 * it: nothing below the threshold, else value × rate, at most the cap.
 */
export function reward(parameters: reward.Parameters): bigint {
  const { cap, rate, threshold, value } = parameters
  if (value < threshold || value <= 0n) return 0n
  const uncapped = value * rate
  if (uncapped > cap) return cap
  return uncapped
}

export declare namespace reward {
  type Parameters = {
    /** Largest reward for one window, in units of the token. */
    cap: bigint
    /** Units of the token for each unit of the value. */
    rate: bigint
    threshold: bigint
    value: bigint
  }
}
