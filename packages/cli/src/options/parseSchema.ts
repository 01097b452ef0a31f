import { BaseError } from '@machinefi/core'
import { defineSchema, type Schema } from '@machinefi/telemetry'
import { degreeScale } from './parseMetric.js'

/** SenML units (RFC 8428 §12.1) of columns whose name says enough. */
const knownUnits: Readonly<Record<string, string>> = {
  altitude: 'm',
  humidity: '%RH',
  latitude: 'lat',
  longitude: 'lon',
  pressure: 'Pa',
  speed: 'm/s',
  steps: 'count',
  temperature: 'Cel',
}

/** Schema of recorded columns: the unit given or by the name, the scale by the decimals that occur. */
export function toSchema(
  columns: readonly { name: string; scale: number }[],
  tickMs: number,
  units: Readonly<Record<string, string>> = {},
): Schema {
  return defineSchema({
    fields: Object.fromEntries(
      columns.map(({ name, scale }) => [
        name,
        { scale, unit: units[name] ?? knownUnits[name] ?? (scale === 0 ? 'count' : '/') },
      ]),
    ),
    id: 1,
    tickMs,
  })
}

/**
 * Parses `steps:count` or `temperature:Cel:2,humidity:%RH:1`: name, SenML unit,
 * decimal places (0 by default; 7 of `lat` and `lon`).
 *
 * @throws {InvalidSchemaTextError}
 */
export function parseSchema(text: string, tickMs: number): Schema {
  const fields: Record<string, { scale: number; unit: string }> = {}
  for (const part of text.split(',')) {
    const match = /^([A-Za-z_]\w*):([^:,\s]+)(?::(\d{1,2}))?$/.exec(part.trim())
    if (!match || fields[match[1] as string]) throw new InvalidSchemaTextError(part)
    const unit = match[2] as string
    const scale = Number(match[3] ?? (unit === 'lat' || unit === 'lon' ? degreeScale : 0))
    fields[match[1] as string] = { scale, unit }
  }
  return defineSchema({ fields, id: 1, tickMs })
}

export class InvalidSchemaTextError extends BaseError {
  override readonly name = 'InvalidSchemaTextError'
  constructor(part: string) {
    super(`Not a field: ${JSON.stringify(part)}.`, {
      kind: 'input',
      metaMessages: [
        'Write name:unit or name:unit:decimals, each name once, such as temperature:Cel:2.',
      ],
    })
  }
}
