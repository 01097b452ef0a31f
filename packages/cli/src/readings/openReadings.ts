import {
  closeSync,
  createReadStream,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { BaseError } from '@machinefi/core'
import papaparse from 'papaparse'
import { parseTime } from './parseTime.js'

/** One line of the file: times in ms, `NaN` where a cell is empty. */
export type Reading = { device: number; time: number; values: readonly number[] }

/**
 * Readings of many devices, merged by time, whatever order the file has them
 * in, as long as each device's own are in order.
 */
export type Readings = {
  /** Names in the file's order; `Reading.device` is an index into it. */
  devices: readonly string[]
  /** Value columns, with the decimal places that occur, or that were asked for. */
  fields: readonly { name: string; scale: number }[]
  count: number
  firstTime: number
  lastTime: number
  /** Largest of 1 ms, 1 s, 1 min and 1 h that divides every time. */
  tickMs: number
  merge(): Generator<Reading>
  close(): void
}

/** Readings of one device that are written to the spool at once. */
const blockRows = 512
const ticks = [3_600_000, 60_000, 1_000, 1] as const

/**
 * Opens a `.csv` or `.csv.gz` file with a header line, a `time` column, an
 * optional `device` column (without it the whole file is one device) and one
 * column per field. It is read once, into a temporary file of blocks, so that
 * memory grows with the number of devices and not of readings.
 *
 * @throws {CsvError} with the line that is wrong.
 */
export async function openReadings(
  path: string,
  options: openReadings.Options = {},
): Promise<Readings> {
  const { onProgress, scales } = options
  const bytes = statFile(path)
  const folder = mkdtempSync(join(tmpdir(), 'machinefi-readings-'))
  const spool = openSync(join(folder, 'spool'), 'w+')
  const close = () => {
    closeSync(spool)
    rmSync(folder, { force: true, recursive: true })
  }
  try {
    return await fill({ bytes, close, fixed: scales, onProgress, path, spool })
  } catch (error) {
    close()
    throw error
  }
}

export declare namespace openReadings {
  type Options = {
    /** Called now and then with the share of the file that was read, 0 to 1. */
    onProgress?: ((share: number) => void) | undefined
    /** Decimal places of some columns; a value with more is an error. */
    scales?: Readonly<Record<string, number>> | undefined
  }
}

type Device = {
  blocks: { offset: number; rows: number }[]
  buffer: Float64Array
  last: number
  rows: number
}

async function fill(parameters: {
  bytes: number
  close: () => void
  fixed: Readonly<Record<string, number>> | undefined
  onProgress: ((share: number) => void) | undefined
  path: string
  spool: number
}): Promise<Readings> {
  const { bytes, close, fixed = {}, onProgress, path, spool } = parameters
  const index = new Map<string, number>()
  const devices: Device[] = []
  let columns: string[] | undefined
  let deviceColumn = -1
  let timeColumn = -1
  let valueColumns: number[] = []
  let limits: (number | undefined)[] = []
  let scales: number[] = []
  let width = 0
  let line = 1
  let end = 0
  let count = 0
  let firstTime = Number.POSITIVE_INFINITY
  let lastTime = 0
  let tick = 0

  const readHeader = (cells: string[]) => {
    columns = cells.map((cell) => cell.trim())
    timeColumn = columns.indexOf('time')
    deviceColumn = columns.indexOf('device')
    if (timeColumn < 0) throw new CsvError(path, line, 'there is no column `time`')
    if (new Set(columns).size !== columns.length)
      throw new CsvError(path, line, 'a column occurs twice')
    valueColumns = columns.flatMap((_, i) => (i === timeColumn || i === deviceColumn ? [] : [i]))
    if (valueColumns.length === 0) throw new CsvError(path, line, 'there is no column with values')
    limits = valueColumns.map((column) => fixed[(columns as string[])[column] as string])
    scales = limits.map((limit) => limit ?? 0)
    width = valueColumns.length + 1
  }

  const spill = (device: Device) => {
    const rows = device.rows
    if (rows === 0) return
    const block = new Uint8Array(device.buffer.buffer, 0, rows * width * 8)
    writeSync(spool, block, 0, block.length, end)
    device.blocks.push({ offset: end, rows })
    end += block.length
    device.rows = 0
  }

  const readRow = (cells: string[]) => {
    line++
    if (columns === undefined) {
      line = 1
      return readHeader(cells)
    }
    if (cells.length === 1 && cells[0] === '') return
    if (cells.length !== columns.length)
      throw new CsvError(
        path,
        line,
        `${columns.length} cells are needed, there are ${cells.length}`,
      )
    const name = deviceColumn < 0 ? 'device' : (cells[deviceColumn] as string)
    if (name === '') throw new CsvError(path, line, 'the device has no name')
    let at = index.get(name)
    if (at === undefined) {
      at = devices.length
      index.set(name, at)
      devices.push({ blocks: [], buffer: new Float64Array(blockRows * width), last: -1, rows: 0 })
    }
    const device = devices[at] as Device
    let time: number
    try {
      time = parseTime(cells[timeColumn] as string)
    } catch (error) {
      throw new CsvError(path, line, (error as BaseError).shortMessage, error)
    }
    if (time <= device.last)
      throw new CsvError(path, line, `not after the reading before it of the same device`)
    device.last = time
    while (tick < ticks.length - 1 && time % (ticks[tick] as number) !== 0) tick++
    if (time < firstTime) firstTime = time
    if (time > lastTime) lastTime = time
    const base = device.rows * width
    device.buffer[base] = time
    for (let i = 0; i < valueColumns.length; i++) {
      const text = (cells[valueColumns[i] as number] as string).trim()
      const dot = text.indexOf('.')
      const limit = limits[i]
      // Zeros at the end are no digits where the scale is given.
      if (limit !== undefined && dot >= 0 && text.replace(/0+$/, '').length - dot - 1 > limit)
        throw new CsvError(
          path,
          line,
          `${columns[valueColumns[i] as number]} has more than the ${limit} decimals that its use allows`,
        )
      if (limit === undefined && dot >= 0)
        scales[i] = Math.max(scales[i] as number, text.length - dot - 1)
      if (text !== '' && !/^-?\d+(\.\d+)?$/.test(text))
        throw new CsvError(
          path,
          line,
          `${columns[valueColumns[i] as number]} is not a decimal number`,
        )
      device.buffer[base + 1 + i] = text === '' ? Number.NaN : Number(text)
    }
    count++
    if (++device.rows === blockRows) spill(device)
  }

  const source = createReadStream(path, { highWaterMark: 1 << 20 })
  const text = path.endsWith('.gz') ? source.pipe(createGunzip({ chunkSize: 1 << 18 })) : source
  await new Promise<void>((resolve, reject) => {
    const fail = (error: unknown) => {
      source.destroy()
      reject(
        error instanceof BaseError ? error : new CsvError(path, line, 'it cannot be read', error),
      )
    }
    source.on('error', fail)
    text.on('error', fail)
    papaparse.parse<string[]>(text, {
      chunk: ({ data, errors }, parser) => {
        try {
          const quote = errors.find((error) => error.type === 'Quotes')
          if (quote) throw new CsvError(path, line + (quote.row ?? 0), quote.message)
          for (const cells of data) readRow(cells)
          onProgress?.(source.bytesRead / bytes)
        } catch (error) {
          // First: aborting completes the parse.
          fail(error)
          parser.abort()
        }
      },
      complete: () => resolve(),
      error: fail,
    })
  })
  if (count === 0) throw new CsvError(path, line, 'there is no reading in it')
  for (const device of devices) spill(device)

  return {
    close,
    count,
    devices: [...index.keys()],
    fields: valueColumns.map((column, i) => ({
      name: (columns as string[])[column] as string,
      scale: scales[i] as number,
    })),
    firstTime,
    lastTime,
    merge: () => merge(devices, width, spool),
    tickMs: ticks[tick] as number,
  }
}

/** K-way merge over the devices' blocks, by time, then by the file's order of devices. */
function* merge(devices: readonly Device[], width: number, spool: number): Generator<Reading> {
  const cursors = devices.map((device, index) => ({ block: 0, device, index, row: 0, rows: 0 }))
  type Cursor = (typeof cursors)[number]
  const time = (cursor: Cursor) => cursor.device.buffer[cursor.row * width] as number
  const load = (cursor: Cursor): boolean => {
    const block = cursor.device.blocks[cursor.block++]
    if (block === undefined) return false
    readSync(
      spool,
      new Uint8Array(cursor.device.buffer.buffer),
      0,
      block.rows * width * 8,
      block.offset,
    )
    cursor.row = 0
    cursor.rows = block.rows
    return true
  }
  const before = (a: Cursor, b: Cursor) => time(a) - time(b) || a.index - b.index
  const heap = cursors.filter(load)
  const sink = (from: number) => {
    const cursor = heap[from] as Cursor
    let at = from
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Cursor, heap[child] as Cursor) < 0)
        child++
      if (before(heap[child] as Cursor, cursor) > 0) break
      heap[at] = heap[child] as Cursor
      at = child
    }
    heap[at] = cursor
  }
  for (let i = heap.length >> 1; i-- > 0; ) sink(i)
  while (heap.length > 0) {
    const cursor = heap[0] as Cursor
    const base = cursor.row * width
    const { buffer } = cursor.device
    // Not a typed array: a short one costs several times as much to make.
    const values: number[] = new Array(width - 1)
    for (let i = 1; i < width; i++) values[i - 1] = buffer[base + i] as number
    yield { device: cursor.index, time: buffer[base] as number, values }
    if (++cursor.row === cursor.rows && !load(cursor)) {
      const last = heap.pop() as Cursor
      if (heap.length > 0) heap[0] = last
    }
    if (heap.length > 1) sink(0)
  }
}

function statFile(path: string): number {
  try {
    return statSync(path).size
  } catch (cause) {
    throw new CsvError(path, 0, 'there is no such file', cause)
  }
}

export class CsvError extends BaseError {
  override readonly name = 'CsvError'
  constructor(path: string, line: number, reason: string, cause?: unknown) {
    super(`${path}${line > 0 ? `, line ${line}` : ''}: ${reason}.`, {
      kind: 'input',
      ...(cause === undefined ? {} : { cause }),
    })
  }
}
