import { BaseError } from '@machinefi/core'
import type { Rows, Schema } from '@machinefi/telemetry'
import { average } from './average.js'
import { count } from './count.js'
import { coverage } from './coverage.js'
import { distance } from './distance.js'
import { sum } from './sum.js'

/**
 * How the readings of one device in one window become one integer. Plain
 * data; every metric has a twin in Solidity that folds the same bytes to the
 * same state (docs/protocol/claims.md).
 *
 * - `sum` of a field; values outside [min, max] count 0
 * - `count` of readings
 * - `average` of a field, toward zero; void where a batch is missing in between
 * - `coverage`: share of the window's intervals with a reading, in millionths
 * - `distance`: whole metres along the places in two fields, degrees × 10^7;
 *   segments faster than `maxSpeed` mm/s count 0
 */
export type Metric =
  | { readonly type: 'average'; readonly field: number }
  | { readonly type: 'count' }
  | { readonly type: 'coverage'; readonly intervalMs: number }
  | {
      readonly type: 'distance'
      /** Field of the latitude. */
      readonly latitude: number
      /** Field of the longitude. */
      readonly longitude: number
      /** mm/s. */
      readonly maxSpeed: number
    }
  | { readonly type: 'sum'; readonly field: number; readonly min: number; readonly max: number }

/** A half-open time span, milliseconds since the epoch. */
export type Window = { readonly start: number; readonly end: number }

/** What a metric brings besides the rules common to all: its words of state and how rows change them. */
export type MetricRules<metric extends Metric> = {
  /** How many words of state; all are 0 at the start. */
  words: number
  /** Parameters as words of `abi.encode`. */
  params(metric: metric): readonly number[]
  fold(metric: metric, words: readonly bigint[], batch: FoldedBatch): readonly bigint[]
  finish(metric: metric, words: readonly bigint[], window: Window): bigint
}

/** A batch that is folded: its rows, those in the window being [from, to), and whether seq skipped before it. */
export type FoldedBatch = {
  rows: Rows
  from: number
  to: number
  gap: boolean
  window: Window
}

const rules: { readonly [type in Metric['type']]: MetricRules<Extract<Metric, { type: type }>> } = {
  average,
  count,
  coverage,
  distance,
  sum,
}

export function rulesOf(metric: Metric): MetricRules<Metric> {
  // The table is keyed by the type, which TypeScript cannot follow.
  return rules[metric.type] as unknown as MetricRules<Metric>
}

/** Asserts that a value, for example one parsed from JSON, is a metric that fits a schema. @throws {InvalidMetricError} */
export function assertMetric(metric: Metric, schema?: Pick<Schema, 'fields'>): void {
  if (!Object.hasOwn(rules, metric.type))
    throw new InvalidMetricError(`there is no metric ${JSON.stringify(metric.type)}`)
  if (metric.type === 'average' || metric.type === 'sum') assertField(metric.field, schema)
  if (metric.type === 'sum') {
    const { max, min } = metric
    if (!Number.isSafeInteger(min) || !Number.isSafeInteger(max) || min > max)
      throw new InvalidMetricError(`the bounds ${min} and ${max} are not integers in order`)
  }
  if (
    metric.type === 'coverage' &&
    (!Number.isSafeInteger(metric.intervalMs) || metric.intervalMs <= 0)
  )
    throw new InvalidMetricError(
      `the interval of ${metric.intervalMs} ms is not a positive integer`,
    )
  if (metric.type === 'distance') {
    const { latitude, longitude, maxSpeed } = metric
    for (const field of [latitude, longitude]) {
      assertField(field, schema)
      const scale = schema?.fields[field]?.scale ?? 7
      if (scale !== 7)
        throw new InvalidMetricError(`field ${field} has scale ${scale}, and degrees need 7`)
    }
    if (latitude === longitude)
      throw new InvalidMetricError(`field ${latitude} cannot be both latitude and longitude`)
    if (!Number.isSafeInteger(maxSpeed) || maxSpeed <= 0)
      throw new InvalidMetricError(`the speed of ${maxSpeed} mm/s is not a positive integer`)
  }
}

function assertField(field: number, schema: Pick<Schema, 'fields'> | undefined) {
  if (!Number.isSafeInteger(field) || field < 0)
    throw new InvalidMetricError(`field ${field} is not an index`)
  if (schema !== undefined && field >= schema.fields.length)
    throw new InvalidMetricError(`field ${field} of a schema with ${schema.fields.length} fields`)
}

export class InvalidMetricError extends BaseError {
  override readonly name = 'InvalidMetricError'
  constructor(reason: string) {
    super(`Not a metric: ${reason}.`, { docsPath: 'protocol/claims.md', kind: 'input' })
  }
}
