import { BaseError } from '@machinefi/core'

/** The numbered list of fields a device reports, and the tick of its clock in milliseconds. */
export type Schema<name extends string = string> = {
  readonly id: number
  readonly tickMs: number
  readonly fields: readonly Field<name>[]
}

/** One field: value × 10^scale is an integer in the given SenML unit. */
export type Field<name extends string = string> = {
  readonly name: name
  readonly unit: string
  readonly scale: number
}

/** The most fields a schema may have: with 22, the head of a row is always one byte. */
export const maxFields = 22

/**
 * Defines a schema; records are typed by its fields.
 *
 * Bounds: `id` 0 … 2^32 − 1, `tickMs` 1 … 2^32 − 1 (1 by default), 1 … 22 fields, `scale` 0 … 15
 * (0 by default). A field's name starts with a letter (so that JavaScript keeps the order of the
 * fields), goes on with the characters of a SenML name (letters, digits and `- : . / _`), has at
 * most 64 of them and is not `time`. A unit is a symbol of the SenML units registry (RFC 8428
 * §12.1, RFC 8798), or one of your own: 1 … 32 printable ASCII characters without spaces.
 *
 * @throws {InvalidSchemaError} naming what is out of bounds.
 * @example
 * const walker = defineSchema({ id: 1, tickMs: 1000, fields: { steps: { unit: 'count' } } })
 */
export function defineSchema<const fields extends defineSchema.Fields>(
  options: defineSchema.Options<fields>,
): Schema<Extract<keyof fields, string>> {
  const { id, tickMs = 1, fields } = options
  const schema: Schema = {
    id,
    tickMs,
    fields: Object.entries(fields).map(([name, { unit, scale = 0 }]) => ({ name, unit, scale })),
  }
  assertSchema(schema)
  return schema as Schema<Extract<keyof fields, string>>
}

export declare namespace defineSchema {
  type Fields = { readonly [name: string]: { readonly unit: string; readonly scale?: number } }
  type Options<fields extends Fields> = { id: number; tickMs?: number; fields: fields }
  type ErrorType = InvalidSchemaError
}

/**
 * Asserts that a value, for example one parsed from JSON, is a schema within the bounds that
 * {@link defineSchema} states.
 *
 * @throws {InvalidSchemaError}
 */
export function assertSchema(value: unknown): asserts value is Schema {
  const schema = value as Partial<Schema> | null
  if (typeof schema !== 'object' || schema === null)
    throw new InvalidSchemaError('A schema is an object.')
  const { id, tickMs, fields } = schema
  if (!isIntegerIn(id, 0, maxUint32))
    throw new InvalidSchemaError(`Schema id ${id} is not an integer in 0 … 2^32 − 1.`)
  if (!isIntegerIn(tickMs, 1, maxUint32))
    throw new InvalidSchemaError(`Tick ${tickMs} ms is not an integer in 1 … 2^32 − 1.`)
  if (!Array.isArray(fields) || fields.length < 1 || fields.length > maxFields)
    throw new InvalidSchemaError(`A schema has 1 to ${maxFields} fields.`)
  const names = new Set<string>()
  for (const field of fields as readonly (Partial<Field> | null)[]) {
    const { name, unit, scale } = field ?? {}
    if (typeof name !== 'string' || !namePattern.test(name) || name === 'time')
      throw new InvalidSchemaError(`Field name ${JSON.stringify(name)} is not allowed.`, [
        'A name starts with a letter, has at most 64 characters (letters, digits, - : . / _) and is not "time".',
      ])
    if (names.has(name)) throw new InvalidSchemaError(`Field name "${name}" is used twice.`)
    names.add(name)
    if (typeof unit !== 'string' || !unitPattern.test(unit))
      throw new InvalidSchemaError(
        `Unit ${JSON.stringify(unit)} of field "${name}" is not allowed.`,
        [
          'A unit is a SenML unit symbol: 1 to 32 printable ASCII characters without spaces, such as "count" or "%RH".',
        ],
      )
    if (!isIntegerIn(scale, 0, 15))
      throw new InvalidSchemaError(`Scale ${scale} of field "${name}" is not an integer in 0 … 15.`)
  }
}

/** The schema, or one of its fields, is out of bounds. */
export class InvalidSchemaError extends BaseError {
  override readonly name = 'InvalidSchemaError'
  constructor(shortMessage: string, metaMessages: readonly string[] = []) {
    super(shortMessage, { kind: 'input', metaMessages })
  }
}

const namePattern = /^[A-Za-z][A-Za-z0-9\-:./_]{0,63}$/
const unitPattern = /^[\x21-\x7e]{1,32}$/

const maxUint32 = 0xffffffff

function isIntegerIn(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most
}
