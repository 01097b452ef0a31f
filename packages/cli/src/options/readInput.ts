import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { BaseError } from '@machinefi/core'
import type { Context } from '../context.js'

/** Reads a file named on the command line, or standard input for `-`. */
export async function readInput(file: string, context: Context): Promise<Uint8Array> {
  if (file === '-') {
    const chunks: Uint8Array[] = []
    for await (const chunk of context.stdin) chunks.push(chunk)
    return Buffer.concat(chunks)
  }
  try {
    return await readFile(resolve(context.cwd, file))
  } catch (cause) {
    throw new FileError(file, (cause as NodeJS.ErrnoException).code, cause)
  }
}

export class FileError extends BaseError {
  override readonly name = 'FileError'
  constructor(file: string, code: string | undefined, cause: unknown) {
    super(
      code === 'ENOENT'
        ? `There is no file ${file}.`
        : `${file} cannot be read (${code ?? 'error'}).`,
      { cause, kind: 'input' },
    )
  }
}
