import type { Metric, MetricRules } from './Metric.js'
import { sumField } from './sumField.js'

/**
 * Words: [int256 sum, uint256 n, uint256 gap]. Leaving data out could raise an
 * average, so a seq that is missing between the window's batches voids it.
 */
export const average: MetricRules<Extract<Metric, { type: 'average' }>> = {
  words: 3,
  params: ({ field }) => [field],
  fold({ field }, [sum = 0n, n = 0n, gap = 0n], batch) {
    const more = sumField(batch.rows, field, batch.from, batch.to)
    return [sum + more.sum, n + BigInt(more.n), batch.gap ? 1n : gap]
  },
  // Division of bigints is toward zero, as Solidity's.
  finish: (_, [sum = 0n, n = 0n, gap = 0n]) => (n === 0n || gap !== 0n ? 0n : sum / n),
}
