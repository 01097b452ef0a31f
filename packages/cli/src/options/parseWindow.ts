import { BaseError } from '@machinefi/core'

/**
 * Parses a window: its number, `today` or `now`, a date (`2026-11-21`, where windows are
 * days), or the ISO time it starts at.
 *
 * @param windowMs length of a window.
 */
export function parseWindow(text: string, windowMs: number, now: number = Date.now()): number {
  if (/^\d{1,10}$/.test(text)) return Number(text)
  if (text === 'today' || text === 'now') return Math.floor(now / windowMs)
  const time = /^\d{4}-\d{2}-\d{2}(T[\d:.]+Z)?$/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isFinite(time) || time % windowMs !== 0) throw new InvalidWindowError(text, windowMs)
  return time / windowMs
}

/** Formats a window for people: its date where windows are days, else its ISO start. */
export function formatWindow(window: number, windowMs: number): string {
  const start = new Date(window * windowMs).toISOString()
  return windowMs === 86_400_000 ? start.slice(0, 10) : start.replace('.000Z', 'Z')
}

export class InvalidWindowError extends BaseError {
  override readonly name = 'InvalidWindowError'
  constructor(text: string, windowMs: number) {
    super(`Not the start of a window: ${JSON.stringify(text)}.`, {
      kind: 'input',
      metaMessages: [
        `Windows are ${windowMs / 1000} s long. Write a number, today or now, 2026-11-21, or 2026-11-21T10:05:00Z.`,
      ],
    })
  }
}
