import { concatBytes } from '@machinefi/core'
import { decodeRows, MalformedRowsError, rowAt } from '@machinefi/telemetry'

/** A reading that a board sent unsigned. */
export type Reading = {
  /** How long ago it was taken when it was sent, ms. */
  readonly ageMs: number
  /** One integer per field, scaled as the schema says, or null. */
  readonly values: readonly (number | null)[]
}

/**
 * Decodes the body of a reading: a row as batches have them, with its age in place of dt.
 *
 * @throws {MalformedRowsError} unless it is the canonical row of that many values.
 */
export function decodeReading(body: Uint8Array, fields: number): Reading {
  const ageMs = readAge(body)
  const records = concatBytes(oneRow, body)
  const rows = decodeRows(records, { count: 1, fields, span: ageMs, start: 0, tickMs: 1 })
  return { ageMs, values: rowAt(rows, 0).values }
}

const oneRow = /* @__PURE__ */ Uint8Array.of(0x81)

/** The unsigned integer after the row's head; its form is checked with the rest of the row. */
function readAge(body: Uint8Array): number {
  const head = body[1] ?? 0xff
  if (head < 24) return head
  const size = head <= 26 ? 1 << (head - 24) : 0
  if (size === 0 || body.length < 2 + size) throw new MalformedRowsError('an age', 1)
  return body.subarray(2, 2 + size).reduce((age, byte) => 256 * age + byte, 0)
}
