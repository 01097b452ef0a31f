/** A number and what it counts, in the singular where it is one: `1 claim`, `1,204 claims`. */
export function formatCount(count: number | bigint, noun: string, plural = `${noun}s`): string {
  return `${count.toLocaleString('en-US')} ${Number(count) === 1 ? noun : plural}`
}
