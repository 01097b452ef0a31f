import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Context } from '../context.js'
import { FileError } from './readInput.js'

/** A file that is read as it is needed. */
export type Input = {
  /** Undefined where nobody knows, as of standard input. */
  size: number | undefined
  chunks: AsyncIterable<Uint8Array>
}

/**
 * Opens a file named on the command line, or standard input for `-`, of any size.
 *
 * @throws {FileError} here, or where its chunks are read.
 */
export async function openInput(file: string, context: Context): Promise<Input> {
  if (file === '-') return { size: undefined, chunks: context.stdin }
  const path = resolve(context.cwd, file)
  try {
    const { size } = await stat(path)
    return { size, chunks: readChunks(file, path) }
  } catch (cause) {
    throw new FileError(file, (cause as NodeJS.ErrnoException).code, cause)
  }
}

async function* readChunks(file: string, path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: 1 << 18 })
  } catch (cause) {
    throw new FileError(file, (cause as NodeJS.ErrnoException).code, cause)
  }
}
