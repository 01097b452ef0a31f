import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeEntries, type Entry, identityBytes, segmentEntryBytes } from './entries.js'
import { StoreDamagedError, StoreMismatchError } from './fileStoreErrors.js'
import { decodeFrame, frameHeadBytes, hasFrame } from './frames.js'

/** A segment whose entries count, up to `end`. */
export type Segment = { readonly number: number; end: number }

/**
 * Reads the segments of a directory, oldest first, and gives every entry to
 * `replay` with its segment and offset. Nothing is changed.
 *
 * The newest segment counts to its last whole frame: what a power cut tore, or
 * had only begun, is behind it. Every other counts as far as the one after it
 * says, and must be whole that far. A segment that none names is what a failed
 * write, or an unlink that a power cut undid, left behind.
 *
 * @returns the segments that count, oldest first; and the numbers of all files.
 * @throws {StoreDamagedError} a frame that is broken, with whole ones behind it.
 * @throws {StoreMismatchError} field `format`: written by another version.
 */
export async function readSegments(
  directory: string,
  replay: (entry: Entry, segment: number, offset: number) => boolean,
): Promise<{ segments: Segment[]; files: number[] }> {
  const files = (await readdir(directory))
    .filter((name) => segmentName.test(name))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => a - b)
  const segments: Segment[] = []
  for (const newest of files.toReversed()) {
    if (!(await isBegun(directory, newest))) continue
    // Its own end is not known before it is read.
    segments.push({ number: newest, end: Number.POSITIVE_INFINITY })
    for (let number = newest; ; ) {
      const head = await readHead(directory, number)
      if (!files.includes(head.previous)) break
      number = head.previous
      segments.unshift({ number, end: head.previousEnd })
    }
    break
  }
  for (const segment of segments) segment.end = await replaySegment(directory, segment, replay)
  return { segments, files }
}

export function segmentPath(directory: string, number: number): string {
  return join(directory, `${String(number).padStart(8, '0')}.segment`)
}

const segmentName = /^\d{8,16}\.segment$/

/** Of the first frame. */
const headBytes = frameHeadBytes + segmentEntryBytes + identityBytes

/** Whether a segment got so far as to have its head. */
async function isBegun(directory: string, number: number): Promise<boolean> {
  const path = segmentPath(directory, number)
  const bytes = await readFile(path)
  if (decodeFrame(bytes, 0) !== undefined) return true
  if (hasFrame(bytes, 1)) throw new StoreDamagedError(path, 0)
  return false
}

async function readHead(directory: string, number: number) {
  const path = segmentPath(directory, number)
  const file = await open(path, 'r')
  try {
    const { buffer } = await file.read(Buffer.alloc(headBytes), 0, headBytes, 0)
    const frame = decodeFrame(buffer, 0)
    if (frame === undefined) throw new StoreDamagedError(path, 0)
    const head = decodeEntries(frame)?.[0]?.entry
    if (head?.type !== 'segment') throw new StoreMismatchError(directory, 'format')
    return head
  } finally {
    await file.close()
  }
}

/** Returns the end of what counts. */
async function replaySegment(
  directory: string,
  { number, end }: Segment,
  replay: (entry: Entry, segment: number, offset: number) => boolean,
): Promise<number> {
  const path = segmentPath(directory, number)
  const bytes = await readFile(path)
  const isNewest = end === Number.POSITIVE_INFINITY
  let at = 0
  while (at < Math.min(end, bytes.length)) {
    const frame = decodeFrame(bytes, at)
    if (frame === undefined) {
      if (!isNewest || hasFrame(bytes, at + 1)) throw new StoreDamagedError(path, at)
      return at
    }
    const start = at + frameHeadBytes
    const entries = decodeEntries(frame)
    if (entries === undefined) throw new StoreMismatchError(directory, 'format')
    for (const { entry, offset } of entries)
      if (!replay(entry, number, start + offset)) throw new StoreDamagedError(path, start + offset)
    at = start + frame.length
  }
  if (!isNewest && at !== end) throw new StoreDamagedError(path, at)
  return at
}
