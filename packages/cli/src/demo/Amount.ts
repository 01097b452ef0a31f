/** A number as long as it is exact, else decimal text. */
export type Amount = number | string

/** The amount as JSON can say it. */
export function toAmount(value: bigint): Amount {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value.toString()
}
