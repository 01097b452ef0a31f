import { type TelemetryRecord, toRow } from '../record/toRow.js'
import { powersOfTen } from '../record/toScaled.js'
import type { Schema } from '../schema/defineSchema.js'
import { SenmlError } from './errors.js'
import type { SenmlRecord } from './resolve.js'

/**
 * Turns resolved SenML into records of a schema, one per time, in order of time: a name is the
 * base name followed by the name of a field.
 *
 * A unit, where there is one, must be the field's. Numbers are taken as they are, booleans as 0
 * and 1; sums, texts and data have no place in a schema and are refused. Times are rounded to the
 * nearest ms; two values for one field and time are refused.
 *
 * @throws {SenmlError} whose `reason` says why.
 * @example
 * toRecords(parseSenml(text), { schema: walker, baseName: 'urn:dev:mac:0024befffe804ff1:' })
 */
export function toRecords<schema extends Schema>(
  senml: readonly SenmlRecord[],
  options: { schema: schema; baseName?: string },
): TelemetryRecord<schema>[] {
  const { schema, baseName = '' } = options
  const records = new Map<number, { [field: string]: number }>()
  for (let index = 0; index < senml.length; index++) {
    const { name, unit, time: seconds, value, sum } = senml[index]!
    const field = schema.fields.find((field) => name === baseName + field.name)
    if (!field)
      throw new SenmlError(
        `${JSON.stringify(name.slice(0, 80))} is not ${JSON.stringify(baseName)} and a field of schema ${schema.id}`,
        { reason: 'field', record: index },
      )
    if (unit !== undefined && unit !== field.unit)
      throw new SenmlError(
        `field "${field.name}" is in ${field.unit}, not ${JSON.stringify(unit.slice(0, 40))}`,
        { reason: 'unit', record: index },
      )
    if (sum !== undefined || (typeof value !== 'number' && typeof value !== 'boolean'))
      throw new SenmlError(`field "${field.name}" takes a number, not a sum, text or data`, {
        reason: 'value',
        record: index,
      })
    const time = Math.round(seconds * 1000)
    if (!Number.isSafeInteger(time) || time < 0)
      throw new SenmlError(`time ${seconds} s is out of bounds`, { reason: 'time', record: index })
    const record = records.get(time) ?? { time }
    if (Object.hasOwn(record, field.name))
      throw new SenmlError(`a second value of field "${field.name}" for one time`, {
        reason: 'duplicate',
        record: index,
      })
    record[field.name] = Number(value)
    records.set(time, record)
  }
  return [...records.values()].sort((a, b) => a.time! - b.time!) as TelemetryRecord<schema>[]
}

/**
 * Turns records of a schema into SenML, one SenML record per value, with the units of the schema.
 * Exact decimal text becomes the nearest double: SenML numbers are doubles.
 *
 * @throws {InvalidValueError} if a value does not fit its field, as {@link toRow} does.
 */
export function fromRecords<schema extends Schema>(
  records: readonly TelemetryRecord<schema>[],
  options: { schema: schema; baseName?: string },
): SenmlRecord[] {
  const { schema, baseName = '' } = options
  const senml: SenmlRecord[] = []
  for (const record of records) {
    const { time, values } = toRow(schema, record)
    schema.fields.forEach(({ name, unit, scale }, index) => {
      const value = values[index]
      if (value !== null && value !== undefined)
        senml.push({
          name: baseName + name,
          unit,
          time: time / 1000,
          value: value / powersOfTen[scale]!,
        })
    })
  }
  return senml
}
