import type { Rows } from '@machinefi/telemetry'

/**
 * Exact sum of one field over rows [from, to), and how many values it has.
 * Nulls and values outside [min, max] are passed over.
 */
export function sumField(
  rows: Rows,
  field: number,
  from: number,
  to: number,
  min = Number.NEGATIVE_INFINITY,
  max = Number.POSITIVE_INFINITY,
): { sum: bigint; n: number } {
  const { fields, values } = rows
  let sum = 0n
  let n = 0
  // Doubles are exact below 2^53; what would pass that goes over into the bigint.
  let part = 0
  for (let i = from * fields + field; i < to * fields; i += fields) {
    const value = values[i] as number
    // NaN, which stands for null, is in no bounds.
    if (!(value >= min && value <= max)) continue
    n++
    const next = part + value
    if (Number.isSafeInteger(next)) part = next
    else {
      sum += BigInt(part)
      part = value
    }
  }
  return { sum: sum + BigInt(part), n }
}

/** Whether a row has any value. */
export function hasValue(rows: Rows, row: number): boolean {
  const { fields, values } = rows
  for (let i = row * fields; i < (row + 1) * fields; i++)
    if (!Number.isNaN(values[i] as number)) return true
  return false
}
