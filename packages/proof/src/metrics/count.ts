import type { Metric, MetricRules } from './Metric.js'
import { hasValue } from './sumField.js'

/** Words: [uint256 n]. A row with any value counts 1. */
export const count: MetricRules<Extract<Metric, { type: 'count' }>> = {
  words: 1,
  params: () => [],
  fold(_, [n = 0n], { from, rows, to }) {
    let more = 0
    for (let row = from; row < to; row++) if (hasValue(rows, row)) more++
    return [n + BigInt(more)]
  },
  finish: (_, [n = 0n]) => n,
}
