import { type Benchmark, limitRatio } from './Benchmark.js'
import { nextMessage, startProcess } from './build.js'

/** What the process tells at its end; µs of CPU. */
export type Audited = { audited: number; batches: number; built: number; readings: number }

/** Copying a log from its node and computing all its windows again, against building them. */
export const audit: Benchmark = {
  name: 'audit',
  async run() {
    const child = startProcess('audit', [])
    try {
      const { audited, batches, built, readings } = await nextMessage<Audited>(child)
      return [
        limitRatio({
          against: `taking in its ${batches.toLocaleString('en-US')} batches and settling`,
          baseline: built / 1e6,
          budget: 1,
          name: `auditing the windows of ${readings.toLocaleString('en-US')} readings`,
          unit: 's CPU',
          value: audited / 1e6,
        }),
      ]
    } finally {
      child.kill()
    }
  },
}
