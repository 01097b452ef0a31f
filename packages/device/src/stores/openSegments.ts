import { type FileHandle, open, truncate, unlink } from 'node:fs/promises'
import { type Entry, encodeEntry } from './entries.js'
import { encodeFrame } from './frames.js'
import { readSegments, type Segment, segmentPath } from './readSegments.js'
import { syncDirectory } from './syncDirectory.js'

/**
 * Append-only files of frames, one after the other. A frame is written and
 * synced as a whole before the next one is begun, so a power cut tears the
 * last frame and no other.
 *
 * After a write or a sync that failed, nobody knows what the disk holds, and
 * a second sync may lie. So nothing more is written to that segment: the next
 * frame begins a new one, whose head says how much of the old one counts. If
 * that works, the disk is well again, and what failed never happened.
 */
export type Segments = {
  /** Oldest first; the last one is written to. */
  readonly list: readonly Segment[]
  /**
   * Queues bytes for the next frame; bytes queued while a frame is written
   * share the next one. `settle` is called when they are on disk, with their
   * place, or with the error; in the order of the calls, before the next
   * frame is begun.
   */
  append(bytes: Uint8Array, settle: Settle): void
  /** Resolves when nothing is queued any more, whatever became of it. */
  idle(): Promise<void>
  read(number: number, from: number, to: number): Promise<Buffer>
  /** Deletes the oldest segments, this many: nothing in them is of use. */
  dropOldest(count: number): Promise<void>
  close(): Promise<void>
}

type Settle = (place: { segment: number; offset: number } | { error: unknown }) => void

/**
 * Reads the segments of a directory into `replay`, then cuts off a torn tail
 * and deletes files that do not count.
 *
 * @throws what {@link readSegments} throws.
 */
export async function openSegments(
  directory: string,
  options: {
    segmentBytes: number
    replay: (entry: Entry, segment: number, offset: number) => boolean
    /** What every segment begins with, so that those before it can go. */
    head: () => Entry
  },
): Promise<Segments> {
  const { head, replay, segmentBytes } = options
  const { segments: list, files } = await readSegments(directory, replay)
  const strays = files.filter((number) => !list.some((segment) => segment.number === number))
  for (const number of strays) await unlink(segmentPath(directory, number))
  if (strays.length > 0) await syncDirectory(directory)
  let last = files.at(-1) ?? 0
  let file: FileHandle | undefined
  const current = list.at(-1)
  if (current !== undefined && current.end < segmentBytes) {
    const path = segmentPath(directory, current.number)
    await truncate(path, current.end)
    file = await open(path, 'a', 0o600)
    // Also what the run before wrote and did not live to sync: it is acted on from here.
    await file.sync()
  }
  let queue: { bytes: Uint8Array; settle: Settle }[] = []
  let writing: Promise<void> | undefined

  async function write() {
    // A moment later, so that what is appended in one go is one frame.
    await null
    while (queue.length > 0) {
      const parts = queue
      queue = []
      try {
        const segment = await writeFrame(parts.map(({ bytes }) => bytes))
        let offset = segment.end
        for (const { bytes } of parts) offset -= bytes.length
        for (const { bytes, settle } of parts) {
          settle({ segment: segment.number, offset })
          offset += bytes.length
        }
      } catch (error) {
        for (const { settle } of parts) settle({ error })
      }
    }
    writing = undefined
  }

  async function writeFrame(parts: readonly Uint8Array[]): Promise<Segment> {
    let segment = list.at(-1)
    if (file === undefined || segment === undefined || segment.end >= segmentBytes)
      segment = await begin()
    const frame = encodeFrame(parts)
    try {
      await writeAll(file!, frame)
      await file!.datasync()
      segment.end += frame.length
      return segment
    } catch (error) {
      const failed = file
      file = undefined
      // Gives the room back; whether it does, nothing depends on.
      await failed?.truncate(segment.end).catch(() => {})
      await failed?.close().catch(() => {})
      throw error
    }
  }

  /**
   * Begins a segment. Its head is synced alone: of two frames on their way, a power cut could leave
   * the second.
   */
  async function begin(): Promise<Segment> {
    const { number: previous, end: previousEnd } = list.at(-1) ?? { number: 0, end: 0 }
    // Never a number twice: the file of an attempt that failed may come back.
    const number = ++last
    const entries: Entry[] = [{ type: 'segment', previous, previousEnd }, head()]
    const frame = encodeFrame(entries.map(encodeEntry))
    const path = segmentPath(directory, number)
    const fresh = await open(path, 'ax', 0o600)
    try {
      await writeAll(fresh, frame)
      await fresh.datasync()
      await syncDirectory(directory)
    } catch (error) {
      await fresh.close().catch(() => {})
      await unlink(path).catch(() => {})
      throw error
    }
    await file?.close().catch(() => {})
    file = fresh
    const segment = { number, end: frame.length }
    list.push(segment)
    return segment
  }

  return {
    list,
    append(bytes, settle) {
      queue.push({ bytes, settle })
      writing ??= write()
    },
    idle: async () => writing,
    async read(number, from, to) {
      const reader = await open(segmentPath(directory, number), 'r')
      try {
        const bytes = Buffer.alloc(to - from)
        for (let done = 0; done < bytes.length; ) {
          const { bytesRead } = await reader.read(bytes, done, bytes.length - done, from + done)
          if (bytesRead === 0) throw new Error('The segment ends early.')
          done += bytesRead
        }
        return bytes
      } finally {
        await reader.close()
      }
    },
    async dropOldest(count) {
      for (const { number } of list.splice(0, count)) await unlink(segmentPath(directory, number))
      // One that comes back by a power cut while those before it do not is what nothing follows on.
      await syncDirectory(directory)
    },
    async close() {
      await writing
      await file?.close()
      file = undefined
    },
  }
}

async function writeAll(file: FileHandle, bytes: Buffer) {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, null)).bytesWritten
}
