import { BaseError } from '@machinefi/core'
import type { Metric } from '@machinefi/proof'
import { formatScaled, type Schema, toScaled } from '@machinefi/telemetry'
import { formatExactly, parseDuration } from './parseDuration.js'

const usage = [
  'sum(FIELD), sum(FIELD,MIN,MAX): rows outside the bounds count 0',
  'count(): rows with any value',
  'average(FIELD)',
  'coverage(INTERVAL): share of intervals with a reading, such as coverage(10m)',
  'distance(LATITUDE,LONGITUDE,SPEED): metres between positions in degrees; faster than SPEED, in metres a second, counts 0',
]

/** Decimals of a degree that the metric `distance` counts in: about a centimetre. */
export const degreeScale = 7

/**
 * Parses a metric over the fields of a schema: `sum(steps)`, `sum(steps,0,900)`,
 * `count()`, `average(temperature)`, `coverage(10m)`,
 * `distance(latitude,longitude,2.5)`. Bounds are decimals in the field's own
 * unit, a speed is in metres a second.
 *
 * @throws {InvalidMetricError}
 */
export function parseMetric(text: string, schema: Schema): Metric {
  const { args, name } = parseCall(text)
  const field = (at = 0) => {
    const index = schema.fields.findIndex((field) => field.name === args[at])
    if (index < 0)
      throw new InvalidMetricError(
        text,
        `there is no field ${args[at] ?? ''}, only ${schema.fields.map((field) => field.name).join(', ')}`,
      )
    return index
  }
  const need = (...counts: number[]) => {
    if (!counts.includes(args.length))
      throw new InvalidMetricError(text, `${name} takes ${counts.join(' or ')} arguments`)
  }
  if (name === 'sum') {
    need(1, 3)
    const index = field()
    const scale = 10 ** (schema.fields[index] as { scale: number }).scale
    const bound = (value: string | undefined, otherwise: number) => {
      if (value === undefined) return otherwise
      const scaled = Math.round(Number(value) * scale)
      if (!Number.isSafeInteger(scaled)) throw new InvalidMetricError(text, `${value} is no bound`)
      return scaled
    }
    const min = bound(args[1], 0)
    const max = bound(args[2], Number.MAX_SAFE_INTEGER)
    if (min > max) throw new InvalidMetricError(text, 'the lower bound is above the upper one')
    return { field: index, max, min, type: 'sum' }
  }
  if (name === 'count') {
    need(0)
    return { type: 'count' }
  }
  if (name === 'average') {
    need(1)
    return { field: field(), type: 'average' }
  }
  if (name === 'coverage') {
    need(1)
    return { intervalMs: parseDuration(args[0] as string), type: 'coverage' }
  }
  if (name === 'distance') {
    need(3)
    const position = (at: number) => {
      const index = field(at)
      const { scale } = schema.fields[index] as { scale: number }
      if (scale !== degreeScale)
        throw new InvalidMetricError(
          text,
          `${args[at]} has ${scale} decimals where distance counts in ${degreeScale} (write ${args[at]}:${at === 0 ? 'lat' : 'lon'}:${degreeScale})`,
        )
      return index
    }
    const latitude = position(0)
    const longitude = position(1)
    if (latitude === longitude)
      throw new InvalidMetricError(text, 'latitude and longitude are one field')
    return { latitude, longitude, maxSpeed: toMaxSpeed(text, args[2] as string), type: 'distance' }
  }
  throw new InvalidMetricError(text, `there is no metric ${name}`)
}

/** Formats a metric as {@link parseMetric} takes it; fields by number where there is no schema. */
export function formatMetric(metric: Metric, schema?: Schema): string {
  const name = (field: number) => schema?.fields[field]?.name ?? `#${field}`
  const scaled = (value: number, field: number) =>
    formatScaled(value, schema?.fields[field]?.scale ?? 0)
  switch (metric.type) {
    case 'average':
      return `average(${name(metric.field)})`
    case 'count':
      return 'count()'
    case 'coverage':
      return `coverage(${formatExactly(metric.intervalMs)})`
    case 'distance':
      return `distance(${name(metric.latitude)},${name(metric.longitude)},${metric.maxSpeed / 1000})`
    case 'sum': {
      const { field, max, min } = metric
      if (min === 0 && max === Number.MAX_SAFE_INTEGER) return `sum(${name(field)})`
      return `sum(${name(field)},${scaled(min, field)},${scaled(max, field)})`
    }
  }
}

/** Names of the fields that a metric takes for latitude and longitude, before there is a schema; none of other metrics. */
export function findPositions(text: string): string[] {
  const { args, name } = parseCall(text)
  return name === 'distance' ? args.slice(0, 2) : []
}

function parseCall(text: string): { args: string[]; name: string } {
  const match = /^([a-z]+)\(([^()]*)\)$/.exec(text.replaceAll(' ', ''))
  if (!match) throw new InvalidMetricError(text, 'it is no call')
  return {
    args: match[2] === '' ? [] : (match[2] as string).split(','),
    name: match[1] as string,
  }
}

/** Metres a second as text, into millimetres a second, exactly. */
function toMaxSpeed(text: string, speed: string): number {
  let maxSpeed: number
  try {
    maxSpeed = toScaled(speed, 3)
  } catch {
    maxSpeed = 0
  }
  if (maxSpeed <= 0)
    throw new InvalidMetricError(text, `${speed} is no speed in metres a second, such as 10 or 2.5`)
  return maxSpeed
}

export class InvalidMetricError extends BaseError {
  override readonly name = 'InvalidMetricError'
  constructor(text: string, reason: string) {
    super(`Not a metric: ${JSON.stringify(text)}: ${reason}.`, {
      kind: 'input',
      metaMessages: ['Known metrics:', ...usage.map((line) => `  ${line}`)],
    })
  }
}
