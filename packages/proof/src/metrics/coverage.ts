import type { Metric, MetricRules } from './Metric.js'
import { hasValue } from './sumField.js'

/**
 * Words: [uint256 index of the last interval with a reading, plus 1; uint256
 * intervals with a reading]. Intervals count from the window's start; the last
 * one may be cut short by its end.
 */
export const coverage: MetricRules<Extract<Metric, { type: 'coverage' }>> = {
  words: 2,
  params: ({ intervalMs }) => [intervalMs],
  fold({ intervalMs }, [last = 0n, filled = 0n], { from, rows, to, window }) {
    let next = Number(last)
    let more = 0
    for (let row = from; row < to; row++) {
      const interval = Math.floor(((rows.times[row] as number) - window.start) / intervalMs)
      if (interval < next || !hasValue(rows, row)) continue
      next = interval + 1
      more++
    }
    return [BigInt(next), filled + BigInt(more)]
  },
  finish({ intervalMs }, [, filled = 0n], { end, start }) {
    const intervals = BigInt(Math.ceil((end - start) / intervalMs))
    return intervals === 0n ? 0n : (filled * 1_000_000n) / intervals
  },
}
