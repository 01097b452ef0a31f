import { createReadStream, existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'
import { root } from './build.js'

export type Reading = { time: number; steps: number }

/** Recorded minute steps of 21 people, which lie beside the checkout where there is a copy. */
export const recorded = join(root, '../shared/data/fitbit/minute-steps.csv.gz')

/** Hours of minute steps: recorded ones, or where there is no copy, plausible ones. */
export async function readHours(count: number): Promise<Reading[][]> {
  return existsSync(recorded) ? readRecorded(count) : inventHours(count)
}

async function readRecorded(count: number): Promise<Reading[][]> {
  const hours: Reading[][] = []
  const source = createReadStream(recorded)
  let hour: Reading[] = []
  let line = 0
  for await (const text of createInterface({ input: source.pipe(createGunzip()) })) {
    if (line++ === 0) continue
    const [, time, steps] = text.split(',') as [string, string, string]
    hour.push({ steps: Number(steps), time: Date.parse(time) })
    if (hour.length < 60) continue
    // The next device's readings begin earlier than this one's end.
    if (hour.every(({ time }, i) => i === 0 || time > hour[i - 1]!.time)) hours.push(hour)
    hour = []
    if (hours.length === count) break
  }
  source.destroy()
  return hours
}

function inventHours(count: number): Reading[][] {
  let seed = 1
  const random = () => {
    seed = (seed * 48_271) % 0x7fffffff
    return seed / 0x7fffffff
  }
  const start = Date.UTC(2026, 0, 1)
  return Array.from({ length: count }, (_, hour) =>
    Array.from({ length: 60 }, (_, minute) => ({
      // Awake for 16 hours, on the feet for a sixth of them.
      steps: hour % 24 < 8 || random() > 1 / 6 ? 0 : Math.floor(random() * 120),
      time: start + (60 * hour + minute) * 60_000,
    })),
  )
}
