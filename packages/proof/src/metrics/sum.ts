import type { Metric, MetricRules } from './Metric.js'
import { sumField } from './sumField.js'

/** Words: [int256 sum]. A null, and a value outside the bounds, counts 0. */
export const sum: MetricRules<Extract<Metric, { type: 'sum' }>> = {
  words: 1,
  params: ({ field, max, min }) => [field, min, max],
  fold: ({ field, max, min }, [sum = 0n], { from, rows, to }) => [
    sum + sumField(rows, field, from, to, min, max).sum,
  ],
  finish: (_, [sum = 0n]) => sum,
}
