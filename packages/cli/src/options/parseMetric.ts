import { BaseError } from '@machinefi/core'
import type { Metric } from '@machinefi/proof'
import type { Schema } from '@machinefi/telemetry'
import { parseDuration } from './parseDuration.js'

const usage = [
  'sum(FIELD), sum(FIELD,MIN,MAX): rows outside the bounds count 0',
  'count(): rows with any value',
  'average(FIELD)',
  'coverage(INTERVAL): share of intervals with a reading, such as coverage(10m)',
]

/**
 * Parses a metric over the fields of a schema: `sum(steps)`, `sum(steps,0,900)`,
 * `count()`, `average(temperature)`, `coverage(10m)`. Bounds are decimals in the
 * field's own unit.
 *
 * @throws {InvalidMetricError}
 */
export function parseMetric(text: string, schema: Schema): Metric {
  const match = /^([a-z]+)\(([^()]*)\)$/.exec(text.replaceAll(' ', ''))
  if (!match) throw new InvalidMetricError(text, 'it is no call')
  const name = match[1] as string
  const args = match[2] === '' ? [] : (match[2] as string).split(',')
  const field = () => {
    const index = schema.fields.findIndex((field) => field.name === args[0])
    if (index < 0)
      throw new InvalidMetricError(
        text,
        `there is no field ${args[0] ?? ''}, only ${schema.fields.map((field) => field.name).join(', ')}`,
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
  throw new InvalidMetricError(text, `there is no metric ${name}`)
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
