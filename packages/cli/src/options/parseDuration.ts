import { BaseError } from '@machinefi/core'

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Parses `500ms`, `30s`, `10m`, `1h`, `30d` into milliseconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+)(ms|s|m|h|d)$/.exec(text)
  const duration = match ? Number(match[1]) * units[match[2] as keyof typeof units] : Number.NaN
  if (!Number.isSafeInteger(duration) || duration <= 0) throw new InvalidDurationError(text)
  return duration
}

/** Parses a duration of whole seconds, which is what contracts count in, into seconds. */
export function parseSeconds(text: string): number {
  const seconds = parseDuration(text) / 1000
  if (!Number.isInteger(seconds))
    throw new InvalidDurationError(text, 'Contracts count in seconds.')
  return seconds
}

/** Formats a duration as {@link parseDuration} takes it: `90s`, `36h`, `7d`. */
export function formatExactly(ms: number): string {
  const unit = (['d', 'h', 'm', 's'] as const).find((unit) => ms % units[unit] === 0) ?? 'ms'
  return `${ms / units[unit]}${unit}`
}

/** Formats milliseconds for a person: `850 ms`, `12.4 s`, `3 min 5 s`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

export class InvalidDurationError extends BaseError {
  override readonly name = 'InvalidDurationError'
  constructor(text: string, ...metaMessages: readonly string[]) {
    super(`Not a duration: ${JSON.stringify(text)}.`, {
      kind: 'input',
      metaMessages: [...metaMessages, 'Write a whole number and a unit: 500ms, 30s, 10m, 1h, 30d.'],
    })
  }
}
