import { type FileHandle, open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { StoreDamagedError } from './fileStoreErrors.js'

/**
 * An append-only file of frames: magic byte, length (u32), CRC-32 (u32), then
 * the bytes. A frame is written and synced as a whole before the next one is
 * begun, so a power cut tears the last frame and no other: a torn tail is cut
 * off, damage anywhere else is an error.
 */
export type Journal = {
  /** Bytes in the file. */
  readonly length: number
  /**
   * Queues bytes for the next frame and returns where in the file they will
   * be. Bytes queued while a frame is being written share the next one.
   */
  append(bytes: Uint8Array): number
  /** Resolves when everything appended so far is on disk. */
  sync(): Promise<void>
  read(offset: number, length: number): Promise<Uint8Array>
  close(): Promise<void>
}

const magic = 0xd7
const headBytes = 9

/**
 * Opens a journal, gives every frame to `replay`, and cuts off a torn tail.
 *
 * @throws {StoreDamagedError} a frame that is broken, with whole ones behind it.
 */
export async function openJournal(
  path: string,
  replay: (frame: Uint8Array, offset: number) => void,
): Promise<Journal> {
  const file = await open(path, 'a+', 0o600)
  try {
    const bytes = await file.readFile()
    const end = replayAll(path, bytes, replay)
    if (end < bytes.length) {
      await file.truncate(end)
      await file.sync()
    }
    return createJournal(file, end)
  } catch (error) {
    await file.close()
    throw error
  }
}

function replayAll(
  path: string,
  bytes: Buffer,
  replay: (frame: Uint8Array, offset: number) => void,
): number {
  let at = 0
  while (at < bytes.length) {
    const frame = frameAt(bytes, at)
    if (frame === undefined) {
      for (let next = at + 1; next < bytes.length; next++)
        if (bytes[next] === magic && frameAt(bytes, next) !== undefined)
          throw new StoreDamagedError(path, `byte ${at} of the journal`)
      return at
    }
    replay(frame, at + headBytes)
    at += headBytes + frame.length
  }
  return at
}

/** The whole frame that begins here, or `undefined`. */
function frameAt(bytes: Buffer, at: number): Buffer | undefined {
  if (bytes[at] !== magic || at + headBytes > bytes.length) return undefined
  const start = at + headBytes
  const end = start + bytes.readUInt32BE(at + 1)
  if (end > bytes.length) return undefined
  const frame = bytes.subarray(start, end)
  return crc32(frame) === bytes.readUInt32BE(at + 5) ? frame : undefined
}

function createJournal(file: FileHandle, size: number): Journal {
  /** End of the last frame that is on disk, or on its way. */
  let length = size
  let parts: Uint8Array[] = []
  let partsLength = 0
  let writing: Promise<void> | undefined
  let next: Promise<void> | undefined
  let failure: { error: unknown } | undefined

  async function write() {
    const frame = Buffer.concat([new Uint8Array(headBytes), ...parts])
    const start = length
    frame[0] = magic
    frame.writeUInt32BE(partsLength, 1)
    frame.writeUInt32BE(crc32(frame.subarray(headBytes)), 5)
    parts = []
    length += frame.length
    partsLength = 0
    try {
      for (let done = 0; done < frame.length; )
        done += (await file.write(frame, done, frame.length - done, null)).bytesWritten
      await file.datasync()
    } catch (error) {
      // What the disk holds now is unknown (and a second fsync may lie): nothing more is taken.
      failure = { error }
      await file.truncate(start).catch(() => {})
      throw error
    }
  }

  function sync(): Promise<void> {
    if (failure !== undefined) return Promise.reject(failure.error)
    if (partsLength === 0) return writing ?? Promise.resolve()
    if (writing !== undefined) {
      // One frame at a time: whoever comes while one is written shares the next.
      next ??= writing.then(syncNext, syncNext)
      return next
    }
    // A moment later, so that what is appended in one go is one frame.
    writing = Promise.resolve()
      .then(write)
      .finally(() => {
        writing = undefined
      })
    return writing
  }

  function syncNext(): Promise<void> {
    next = undefined
    return sync()
  }

  return {
    get length() {
      return length + (partsLength > 0 ? headBytes + partsLength : 0)
    },
    append(bytes) {
      if (failure !== undefined) throw failure.error
      const offset = length + headBytes + partsLength
      parts.push(bytes)
      partsLength += bytes.length
      return offset
    },
    sync,
    async read(offset, wanted) {
      const bytes = Buffer.alloc(wanted)
      for (let done = 0; done < wanted; ) {
        const { bytesRead } = await file.read(bytes, done, wanted - done, offset + done)
        if (bytesRead === 0) throw new Error('The journal ends early.')
        done += bytesRead
      }
      return new Uint8Array(bytes.buffer, bytes.byteOffset, wanted)
    },
    async close() {
      try {
        if (failure === undefined) await sync()
      } finally {
        await file.close()
      }
    },
  }
}
