import { BaseError } from '@machinefi/core'
import { isUint } from '../cbor/writer.js'
import type { Schema } from '../schema/defineSchema.js'
import { powersOfTen, toScaled } from './toScaled.js'

/** The values of one reading by field name: decimals as numbers or exact text; absent is null. */
export type Values<schema extends Schema = Schema> = {
  readonly [name in schema['fields'][number]['name']]?: number | string | null | undefined
}

/** One reading: a time in ms since the Unix epoch, and a value or nothing per field. */
export type TelemetryRecord<schema extends Schema = Schema> = {
  readonly time: number
} & Values<schema>

/** One reading as it is encoded: scaled integers in the order of the schema's fields. */
export type Row = { readonly time: number; readonly values: readonly (number | null)[] }

/**
 * Turns a record into a row of scaled integers, exactly: see {@link toScaled} for the rule. The
 * time is the record's, unless it is given apart.
 *
 * @throws {InvalidTimeError} unless the time is an integer in 0 … 2^53 − 1 ms.
 * @throws {UnknownFieldError} if the record has a field that the schema lacks.
 * @throws {InvalidValueError} if a value does not fit its field.
 */
export function toRow<schema extends Schema>(
  schema: schema,
  record: Values<schema>,
  time: number,
): Row
export function toRow<schema extends Schema>(schema: schema, record: TelemetryRecord<schema>): Row
export function toRow<schema extends Schema>(
  schema: schema,
  record: Values<schema> & { readonly time?: number },
  time: number = record.time!,
): Row {
  if (!isUint(time)) throw new InvalidTimeError(time)
  const given = record as { readonly [name: string]: number | string | null | undefined }
  const { fields } = schema
  for (const name of Object.keys(given))
    if (name !== 'time' && !fields.some((field) => field.name === name))
      throw new UnknownFieldError(name, schema)
  // Of this length at once: an array that grows takes room for 17.
  const values: (number | null)[] = new Array(fields.length)
  for (let i = 0; i < fields.length; i++) {
    const { name, scale } = fields[i]!
    const value = Object.hasOwn(given, name) ? given[name] : null
    values[i] = value === null || value === undefined ? null : toScaled(value, scale, name)
  }
  return { time: time + 0, values }
}

/**
 * Turns a row back into a record of numbers, null where there is no value. A number is the double
 * nearest to the decimal, so scaled integers of up to 15 digits come back exactly through
 * {@link toRow}; for longer ones take {@link formatScaled}.
 *
 * @throws {FieldCountError} unless the row has one value per field.
 */
export function fromRow<schema extends Schema>(
  schema: schema,
  row: Row,
): fromRow.ReturnType<schema> {
  const { fields } = schema
  if (row.values.length !== fields.length)
    throw new FieldCountError({ expected: fields.length, found: row.values.length })
  const record: { [name: string]: number | null } = { time: row.time }
  for (let i = 0; i < fields.length; i++) {
    const value = row.values[i]!
    record[fields[i]!.name] = value === null ? null : value / powersOfTen[fields[i]!.scale]!
  }
  return record as fromRow.ReturnType<schema>
}

export declare namespace fromRow {
  type ReturnType<schema extends Schema> = { time: number } & {
    [name in schema['fields'][number]['name']]: number | null
  }
}

/** The record names a field that the schema does not have. */
export class UnknownFieldError extends BaseError {
  override readonly name = 'UnknownFieldError'
  readonly field: string
  constructor(field: string, schema: Schema) {
    super(`Schema ${schema.id} has no field ${JSON.stringify(field.slice(0, 64))}.`, {
      kind: 'input',
      metaMessages: [`It has: ${schema.fields.map(({ name }) => name).join(', ')}.`],
    })
    this.field = field
  }
}

/** A time is not an integer number of milliseconds since the Unix epoch, below 2^53. */
export class InvalidTimeError extends BaseError {
  override readonly name = 'InvalidTimeError'
  constructor(time: unknown) {
    super(`Time ${String(time).slice(0, 64)} is not an integer in 0 … 2^53 − 1 (ms since 1970).`, {
      kind: 'input',
    })
  }
}

/** A row does not have one value per field. */
export class FieldCountError extends BaseError {
  override readonly name = 'FieldCountError'
  constructor({ expected, found }: { expected: number; found: number }) {
    super(`A row has ${found} values where the schema has ${expected} fields.`, { kind: 'input' })
  }
}
