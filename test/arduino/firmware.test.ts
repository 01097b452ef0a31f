import { expect, test } from 'vitest'
import { buildSketch, findMissing, sketches } from '../../examples/arduino-tracker/build.mjs'
import { readFirmware } from './startBench.js'

const missing = findMissing()

// Whoever reads the sources runs what they say: `npm run build -w examples/arduino-tracker`.
test.skipIf(missing)(
  `behavior: what is committed is what avr-gcc builds${missing ? `: ${missing}` : ''}`,
  () => {
    for (const name of Object.keys(sketches) as (keyof typeof sketches)[])
      expect(buildSketch(name).hex, name).toBe(readFirmware(name))
  },
)
