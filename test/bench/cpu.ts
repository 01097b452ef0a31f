/** CPU of this process and all its threads so far, in µs: not the wall, so that other jobs count little. */
export function cpuMicros(): number {
  const { system, user } = process.cpuUsage()
  return user + system
}

/** CPU of some work, in µs. */
export async function measureCpu(work: () => unknown): Promise<number> {
  const before = cpuMicros()
  await work()
  return cpuMicros() - before
}

/**
 * Measures alternatives in turns, so that a slow minute of the machine hits all
 * of them; returns the median of each in µs of CPU. One turn more comes first, to warm up.
 */
export async function compare<name extends string>(
  alternatives: Readonly<Record<name, () => unknown>>,
  options: { rounds?: number } = {},
): Promise<Record<name, number>> {
  const { rounds = 5 } = options
  const names = Object.keys(alternatives) as name[]
  const times = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<
    name,
    number[]
  >
  for (let round = 0; round <= rounds; round++)
    for (const name of names) {
      const micros = await measureCpu(alternatives[name])
      if (round > 0) times[name].push(micros)
    }
  return Object.fromEntries(names.map((name) => [name, median(times[name])])) as Record<
    name,
    number
  >
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return (sorted[sorted.length >> 1]! + sorted[(sorted.length - 1) >> 1]!) / 2
}
