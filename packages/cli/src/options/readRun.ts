import { buildRun, parseRun, type Run } from '@machinefi/contracts'
import type { Context } from '../context.js'
import { readInput } from './readInput.js'

/** A production run from its file, or from standard input for `-`: a DID or an address a line. */
export async function readRun(file: string, context: Context): Promise<Run> {
  return buildRun(parseRun(Buffer.from(await readInput(file, context)).toString('utf8')))
}
