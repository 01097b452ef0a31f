import { BaseError } from '@machinefi/core'

/**
 * Parses a time as data sets write it: ISO 8601 with a zone (`2016-04-13T00:01Z`,
 * also with seconds and fractions), Unix seconds, or Unix milliseconds. Numbers
 * from 10^11 on are milliseconds: as seconds they would lie beyond the year 5000.
 *
 * @returns whole milliseconds since the Unix epoch.
 * @throws {InvalidTimeError}
 */
export function parseTime(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) {
    const value = Number(text)
    return check(Math.round(value >= 1e11 ? value : value * 1000), text)
  }
  // Without a zone, Date.parse would take the zone of whoever runs it.
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}([.,]\d+)?)?(Z|[+-]\d{2}:?\d{2})$/.test(text))
    throw new InvalidTimeError(text)
  return check(Date.parse(text.replace(',', '.')), text)
}

function check(time: number, text: string): number {
  if (!Number.isSafeInteger(time) || time < 0) throw new InvalidTimeError(text)
  return time
}

export class InvalidTimeError extends BaseError {
  override readonly name = 'InvalidTimeError'
  constructor(text: string) {
    super(`Not a time: ${JSON.stringify(text.slice(0, 40))}.`, {
      kind: 'input',
      metaMessages: [
        'Write 2016-04-13T00:01Z (a zone is needed), Unix seconds, or Unix milliseconds.',
      ],
    })
  }
}
