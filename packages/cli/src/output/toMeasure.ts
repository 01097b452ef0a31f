import type { Metric } from '@machinefi/proof'
import type { Schema } from '@machinefi/telemetry'

/** What the values of a metric count, in a word for the head of a column. */
export function toMeasure(metric: Metric, schema: Schema): string {
  if (metric.type === 'distance') return 'metres'
  return 'field' in metric ? (schema.fields[metric.field]?.name ?? '') : metric.type
}
