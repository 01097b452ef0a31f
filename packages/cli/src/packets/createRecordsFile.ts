import { type FileHandle, open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { BaseError } from '@machinefi/core'
import { defineSchema, formatScaled, toRow } from '@machinefi/telemetry'
import {
  PebbleError,
  type PebblePacket,
  pebbleFields,
  toPebbleRecord,
} from '@machinefi/telemetry/pebble'
import type { Context } from '../context.js'

/**
 * Creates a file of the records of packets, as `openReadings` takes it: CSV with a header, times in
 * seconds, an empty cell where a packet has no value. A file that exists is never overwritten.
 *
 * Readings of a device are in order, and packets may come in any, and again: what is not later than
 * the record before it is left out, and counted.
 *
 * @throws {RecordsFileError} here, where there is such a file; later, where the disk is full.
 */
export async function createRecordsFile(file: string, context: Context): Promise<RecordsFile> {
  const fail = (cause: unknown): never => {
    throw new RecordsFileError(file, cause)
  }
  const handle: FileHandle = await open(resolve(context.cwd, file), 'ax').catch(fail)
  const counts = { written: 0, noRecord: 0, notLater: 0 }
  let pending = `${['time', ...schema.fields.map(({ name }) => name)].join(',')}\n`
  let newest = -1
  const flush = async () => {
    const text = pending
    pending = ''
    await handle.appendFile(text).catch(fail)
  }
  return {
    counts,
    async add(packet) {
      let record: ReturnType<typeof toPebbleRecord>
      try {
        record = toPebbleRecord(packet)
      } catch (error) {
        if (!(error instanceof PebbleError)) throw error
        counts.noRecord++
        return
      }
      const { time, values } = toRow(schema, record)
      if (time <= newest) {
        counts.notLater++
        return
      }
      newest = time
      counts.written++
      const cells = values.map((value, i) =>
        value === null ? '' : formatScaled(value, schema.fields[i]!.scale),
      )
      // Seconds: few milliseconds after 1970 would be read as seconds.
      pending += `${[time / 1000, ...cells].join(',')}\n`
      if (pending.length >= maxPending) await flush()
    },
    async close() {
      try {
        await flush()
      } finally {
        await handle.close()
      }
    },
  }
}

export type RecordsFile = {
  /** Records written; packets that have none, such as configurations; those not later than the one before. */
  readonly counts: {
    readonly written: number
    readonly noRecord: number
    readonly notLater: number
  }
  /** Adds the record of a packet that was verified. */
  add(packet: PebblePacket): Promise<void>
  close(): Promise<void>
}

export class RecordsFileError extends BaseError {
  override readonly name = 'RecordsFileError'
  constructor(file: string, cause: unknown) {
    super(`${file} exists already, or cannot be written.`, { cause, kind: 'input' })
  }
}

const schema = defineSchema({ id: 1, tickMs: 1000, fields: pebbleFields })

/** Characters that are written at once. */
const maxPending = 1 << 16
