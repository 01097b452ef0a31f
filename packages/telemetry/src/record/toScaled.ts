import { BaseError } from '@machinefi/core'

/**
 * Scales a decimal to the integer value × 10^scale, exactly.
 *
 * A string is exact decimal text (`-12.50`, `1.2e-3`; at most 64 characters) and never touches
 * floating point. A number may be off by at most 4 units in the last place, the noise a sum like
 * 0.1 + 0.2 carries; where that much noise could hide a digit (scaled values above 2^48) its
 * shortest decimal text must fit exactly, and from 10^15 on only integers at scale 0 go without
 * text. Anything that does not fit is refused, never rounded. The result is an integer with
 * |v| < 2^53, never −0.
 *
 * @param field Named in the error.
 * @throws {InvalidValueError}
 */
export function toScaled(value: number | string, scale: number, field = 'value'): number {
  const power = powersOfTen[scale]
  const scaled =
    power === undefined
      ? 'cannot be scaled'
      : typeof value === 'string'
        ? scaleText(value, scale)
        : scaleNumber(value, scale, power)
  if (typeof scaled === 'string') throw new InvalidValueError(scaled, field, value, scale)
  return scaled
}

/**
 * The decimal text of a scaled integer: the exact inverse of {@link toScaled}, where a double
 * would round scaled values of more than 15 digits.
 */
export function formatScaled(scaled: number, scale: number): string {
  const digits = String(Math.abs(scaled)).padStart(scale + 1, '0')
  const sign = scaled < 0 ? '-' : ''
  if (scale === 0) return sign + digits
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

/** A value is not a decimal, has more digits than its field's scale, or is too large. */
export class InvalidValueError extends BaseError {
  override readonly name = 'InvalidValueError'
  readonly field: string
  readonly scale: number
  constructor(problem: string, field: string, value: unknown, scale: number) {
    super(`Field "${field}": ${show(value)} ${problem} at scale ${scale}.`, {
      kind: 'input',
      metaMessages: [
        `value × 10^${scale} must be an integer between −(2^53 − 1) and 2^53 − 1.`,
        'Round the value, or pass exact decimal text.',
      ],
    })
    this.field = field
    this.scale = scale
  }
}

/** 10^0 … 10^15: doubles hold them exactly. */
export const powersOfTen: readonly number[] = [
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
]

/** What is wrong with a value that has no scaled integer. */
type Problem = string

const notDecimal = 'is not a finite decimal'
const misfit = 'has more decimals than fit'
const decimalPattern = /^([+-]?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/

function scaleNumber(value: number, scale: number, power: number): number | Problem {
  if (!Number.isFinite(value)) return notDecimal
  const product = value * power
  const size = Math.abs(product)
  if (size > 2 ** 48) {
    // Neighbours of 16 digits can share one double: it no longer tells which one was meant.
    if (scale > 0 && size >= 1e15 && size < 2 ** 53) return 'needs exact decimal text'
    return scaleText(String(value), scale)
  }
  const scaled = Math.round(product)
  return Math.abs(product - scaled) > size * (4 * Number.EPSILON) ? misfit : scaled + 0
}

function scaleText(text: string, scale: number): number | Problem {
  const match = text.length <= 64 ? decimalPattern.exec(text) : null
  if (!match) return notDecimal
  const [, sign, whole, fraction = '', exponent = '0'] = match
  const digits = (whole + fraction).replace(/^0+/, '')
  if (digits === '') return 0
  const significant = digits.replace(/0+$/, '')
  // value × 10^scale = significant × 10^zeros
  const zeros = digits.length - significant.length - fraction.length + Number(exponent) + scale
  if (zeros < 0) return misfit
  const scaled =
    significant.length + zeros > 16 ? Number.NaN : Number(significant + '0'.repeat(zeros))
  if (!Number.isSafeInteger(scaled)) return 'is too large'
  return sign === '-' ? -scaled : scaled
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > 70 ? `${text.slice(0, 67)}…` : text
}
