import { BaseError } from '@machinefi/core'
import { type Row, type Schema, toRow, type Values } from '@machinefi/telemetry'
import { decodeSenml, parseSenml, type SenmlRecord, toRecords } from '@machinefi/telemetry/senml'
import { ProblemError } from '../http/openServer.js'

/**
 * The readings of a SenML pack, in order of time, aligned to the ticks of the
 * schema. A name is that of a field, or ends in `:` or `/` and one; what stands
 * before it is the same in the whole pack.
 *
 * All of them can be taken, or none is.
 *
 * @throws {ProblemError} `senml` or `time`.
 */
export function toReadings(body: Uint8Array, options: toReadings.Options): Reading[] {
  const { lastTime, maxAheadMs, maxJumpMs, maxReadings, now, schema } = options
  const rows = parse(body, now, schema)
  if (rows.length > maxReadings)
    throw new ProblemError('senml', `${rows.length} readings, and at most ${maxReadings}.`)
  const { tickMs } = schema
  let before = lastTime
  return rows.map(({ row, values }) => {
    const time = Math.floor(row.time / tickMs) * tickMs
    const fail = (reason: string) => new ProblemError('time', `${formatTime(row.time)} ${reason}.`)
    if (time < earliest) throw fail('is before 2001')
    if (row.time > now + maxAheadMs) throw fail(`is ahead: the gateway has ${formatTime(now)}`)
    if (before !== undefined) {
      if (time <= before)
        throw fail(`is not in a tick after the reading before, ${formatTime(before)}`)
      if (time > before + maxJumpMs)
        throw fail(`is too long after the reading before, ${formatTime(before)}`)
    }
    before = time
    return { time, values }
  })
}

export declare namespace toReadings {
  type Options = {
    /** Of the newest reading of the device; undefined before the first. */
    lastTime: number | undefined
    maxAheadMs: number
    maxJumpMs: number
    maxReadings: number
    /** What relative times are relative to, ms since the Unix epoch. */
    now: number
    schema: Schema
  }
}

export type Reading = { time: number; values: Values }

function parse(body: Uint8Array, now: number, schema: Schema): { row: Row; values: Values }[] {
  try {
    // A pack is an array, which no text in JSON and no CBOR share a first byte for.
    const isCbor = (body[0] ?? 0) >> 5 === 4
    const senml = isCbor ? decodeSenml(body, { now }) : parseSenml(decodeText(body), { now })
    if (senml.length === 0) throw new ProblemError('senml', 'There is nothing in it.')
    return toRecords(senml, { baseName: baseNameOf(senml, schema), schema }).map((record) => {
      const { time, ...values } = record
      return { row: toRow(schema, values, time), values }
    })
  } catch (error) {
    if (error instanceof BaseError && error.kind === 'input' && !(error instanceof ProblemError))
      throw new ProblemError('senml', error.shortMessage)
    throw error
  }
}

/** What the first name has before the field’s: the rest is held against it. */
function baseNameOf([first]: readonly SenmlRecord[], { fields }: Schema): string {
  const end = Math.max(first!.name.lastIndexOf(':'), first!.name.lastIndexOf('/')) + 1
  return fields.some(({ name }) => name === first!.name) ? '' : first!.name.slice(0, end)
}

function decodeText(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    throw new ProblemError('senml', 'It is neither UTF-8 nor a CBOR array.')
  }
}

function formatTime(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : `${time} ms`
}

/** What clocks without a battery say is before it; the device that signs would refuse it too. */
const earliest = Date.UTC(2001)
