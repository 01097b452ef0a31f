import { type Reader, readArrayHead, readIntOrNull, readUint } from '../cbor/reader.js'
import {
  createWriter,
  isUint,
  maxHeadBytes,
  writeHead,
  writeIntOrNull,
  writtenBytes,
} from '../cbor/writer.js'
import type { Row } from '../record/toRow.js'
import { maxFields } from '../schema/defineSchema.js'
import { failRows, InvalidBatchError, MalformedRowsError } from './errors.js'

/** The rows of a batch, flat: row i has `times[i]` in ms and `values[i * fields …]`, NaN for null. */
export type Rows = {
  readonly count: number
  readonly fields: number
  readonly times: Float64Array
  readonly values: Float64Array
}

/**
 * Encodes rows as the canonical records of a batch:
 * `[[dt, v1 … vn] …]`, dt in ticks since the row before (the first: since `start`).
 *
 * @throws {InvalidBatchError} unless there is a row, all rows have the same number (1 … 22) of
 * values, values are integers with |v| < 2^53 or null, times are a whole number of ticks after
 * `start`, strictly rising and below 2^53.
 */
export function encodeRows(rows: readonly Row[], options: encodeRows.Options): Uint8Array {
  const { tickMs, start } = options
  const fields = rows[0]?.values.length ?? 0
  if (!isUint(tickMs) || tickMs === 0)
    throw new InvalidBatchError(`Tick ${tickMs} ms is not a positive integer.`)
  if (!isUint(start))
    throw new InvalidBatchError(`Start ${start} is not an integer in 0 … 2^53 − 1.`)
  if (fields < 1 || fields > maxFields)
    throw new InvalidBatchError(
      `Rows have 1 to ${maxFields} values, and a batch has at least one row.`,
    )
  const writer = createWriter(maxHeadBytes + rows.length * (1 + (fields + 1) * maxHeadBytes))
  writeHead(writer, 4, rows.length)
  let before = start
  for (let i = 0; i < rows.length; i++) {
    const { time, values } = rows[i]!
    const dt = (time - before) / tickMs
    if (!isUint(time) || !isUint(dt) || (i > 0 && dt === 0))
      throw new InvalidBatchError(
        `Row ${i}: time ${time} is not a whole number of ticks (${tickMs} ms) after ${before}.`,
      )
    if (values.length !== fields)
      throw new InvalidBatchError(`Row ${i} has ${values.length} values, the first row ${fields}.`)
    writeHead(writer, 4, fields + 1)
    writeHead(writer, 0, dt)
    for (let j = 0; j < fields; j++) {
      const value = values[j]!
      if (value !== null && !Number.isSafeInteger(value))
        throw new InvalidBatchError(
          `Row ${i}: value ${j} is neither null nor an integer below 2^53.`,
        )
      writeIntOrNull(writer, value)
    }
    before = time
  }
  return writtenBytes(writer)
}

export declare namespace encodeRows {
  type Options = { tickMs: number; start: number }
  type ErrorType = InvalidBatchError
}

/**
 * Decodes the records of a batch, strictly: the bytes are exactly the canonical encoding of
 * `count` rows of `fields` values whose ticks add up to `span`, or they are refused.
 *
 * Total work and memory are bounded by the length of the bytes, whatever `count` says.
 *
 * @throws {MalformedRowsError}
 * @throws {InvalidBatchError} unless `fields` is in 1 … 22.
 */
export function decodeRows(bytes: Uint8Array, options: decodeRows.Options): Rows {
  const { fields, tickMs, start, count, span } = options
  if (!(fields >= 1 && fields <= maxFields))
    throw new InvalidBatchError(`Rows have 1 to ${maxFields} values, not ${fields}.`)
  const reader: Reader = { bytes, at: 0, end: bytes.length, fail: failRows }
  const ticks = span / tickMs
  if (!Number.isInteger(ticks))
    throw new MalformedRowsError(`a span of whole ticks (${tickMs} ms)`, 0)
  if (start + span > Number.MAX_SAFE_INTEGER) throw new MalformedRowsError('times below 2^53', 0)
  if (readArrayHead(reader) !== count || count < 1) throw new MalformedRowsError(`${count} rows`, 0)
  const head = 0x80 | (fields + 1)
  if (bytes[reader.at] !== head) failRow(reader, reader.at, fields)
  // A row takes at least one byte for its head and one per item.
  if (count > bytes.length / (fields + 2))
    throw new MalformedRowsError(`${count} rows of ${fields} values`, bytes.length)
  // One allocation for both: it costs as much as reading the rows.
  const buffer = new ArrayBuffer(count * (fields + 1) * Float64Array.BYTES_PER_ELEMENT)
  const times = new Float64Array(buffer, 0, count)
  const values = new Float64Array(buffer, times.byteLength)
  const { end } = reader
  let { at } = reader
  let elapsed = 0
  let next = 0
  for (let i = 0; i < count; i++) {
    const row = at
    if (at >= end || bytes[at] !== head) failRow(reader, at, fields)
    at++
    for (let j = 0; j <= fields; j++) {
      // Nearly all items are integers of one or two bytes: these are read here, which halves the
      // time of the whole walk, and anything else by the reader.
      let item: number
      const first = at < end ? bytes[at]! : 0xff
      const second = at + 1 < end ? bytes[at + 1]! : 0
      if (first < 24) {
        item = first
        at++
      } else if (first === 0x18 && second >= 24) {
        item = second
        at += 2
      } else {
        reader.at = at
        item = j === 0 ? readUint(reader) : readIntOrNull(reader)
        at = reader.at
      }
      if (j > 0) values[next++] = item
      else {
        if (item === 0 && i > 0) throw new MalformedRowsError('a time after the row before', row)
        elapsed += item
        if (elapsed > ticks) throw new MalformedRowsError(`a span of ${span} ms`, row)
        times[i] = start + elapsed * tickMs
      }
    }
  }
  if (elapsed !== ticks) throw new MalformedRowsError(`a span of ${span} ms`, at)
  if (at !== end) throw new MalformedRowsError('the end', at)
  return { count, fields, times, values }
}

export declare namespace decodeRows {
  type Options = {
    /** Values per row, as the schema has fields: 1 … 22. */
    fields: number
    tickMs: number
    start: number
    count: number
    span: number
  }
  type ErrorType = InvalidBatchError | MalformedRowsError
}

/** The row at an index, in the form that {@link encodeRows} takes. */
export function rowAt(rows: Rows, index: number): Row {
  const { fields, times, values } = rows
  const row = values.subarray(index * fields, (index + 1) * fields)
  return {
    time: times[index]!,
    values: Array.from(row, (value) => (Number.isNaN(value) ? null : value)),
  }
}

function failRow(reader: Reader, at: number, fields: number): never {
  reader.at = at
  const items = readArrayHead(reader)
  throw new MalformedRowsError(`${fields + 1} items in a row, not ${items},`, at, 'fields')
}
