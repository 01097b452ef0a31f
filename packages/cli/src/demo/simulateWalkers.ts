import type { Reading, Readings } from '../readings/openReadings.js'

const minuteMs = 60_000
const dayMinutes = 1_440

/** Share of a waking minute that is spent walking, by hour of the day. */
const activity = [
  0, 0, 0, 0, 0, 0.02, 0.1, 0.35, 0.55, 0.3, 0.2, 0.25, 0.5, 0.35, 0.2, 0.2, 0.25, 0.45, 0.6, 0.45,
  0.3, 0.2, 0.08, 0.02,
] as const
const expectedShare = activity.reduce<number>((sum, share) => sum + share * 60, 0)
/** Steps in a minute of walking, on the average (Tudor-Locke et al. 2018: 100 is moderate). */
const cadence = 95

/**
 * A fleet of people with step counters, one reading a minute. Their days differ:
 * goals are spread from 4,000 to 16,000 steps, and no day meets its goal exactly.
 * The same seed gives the same fleet.
 */
export function simulateWalkers(options: simulateWalkers.Options): Readings {
  const { days, devices, firstTime, seed = 1 } = options
  const names = Array.from({ length: devices }, (_, i) => `walker-${i + 1}`)
  const minutes = days * dayMinutes
  return {
    close: () => {},
    count: devices * minutes,
    devices: names,
    fields: [{ name: 'steps', scale: 0 }],
    firstTime,
    lastTime: firstTime + (minutes - 1) * minuteMs,
    *merge(): Generator<Reading> {
      const random = createRandom(seed)
      const goal = names.map((_, i) => 4_000 + (12_000 * (i + 0.5)) / devices)
      const walking = names.map(() => false)
      const share = names.map(() => 1)
      for (let minute = 0; minute < minutes; minute++) {
        const hour = Math.floor(minute / 60) % 24
        for (let device = 0; device < devices; device++) {
          if (minute % dayMinutes === 0)
            share[device] =
              ((goal[device] as number) * (0.8 + 0.4 * random())) / (expectedShare * cadence)
          const wanted = Math.min(0.9, (activity[hour] as number) * (share[device] as number))
          // Walks last some minutes: half of all minutes go on as the one before.
          if (random() < 0.5) walking[device] = random() < wanted
          const steps = walking[device] ? Math.round(cadence + 40 * (random() - 0.5)) : 0
          yield {
            device,
            time: firstTime + minute * minuteMs,
            values: [steps],
          }
        }
      }
    },
    tickMs: minuteMs,
  }
}

export declare namespace simulateWalkers {
  type Options = {
    days: number
    devices: number
    /** Start of the first day, ms. */
    firstTime: number
    seed?: number
  }
}

/** mulberry32: small, seeded, good enough for a crowd; never for keys. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
