import type { Endorsement } from '@machinefi/contracts'
import { BaseError } from '@machinefi/core'
import type { Context } from '../context.js'
import { parseModelId } from './parseModelId.js'
import { readRun } from './readRun.js'

/**
 * What `--run` and `--model` name together; undefined where neither was given.
 *
 * @throws {EndorsementOptionError} one without the other.
 */
export async function readEndorsement(
  options: readEndorsement.Options,
  context: Context,
): Promise<Endorsement | undefined> {
  const { model, run } = options
  if (run === undefined && model === undefined) return undefined
  if (run === undefined || model === undefined) throw new EndorsementOptionError()
  return { model: parseModelId(model), run: await readRun(run, context) }
}

export declare namespace readEndorsement {
  type Options = { model?: string; run?: string }
}

export class EndorsementOptionError extends BaseError {
  override readonly name = 'EndorsementOptionError'
  constructor() {
    super('--run and --model go together.', {
      kind: 'input',
      metaMessages: ['The maker of the devices publishes both: a list of devices, and an id.'],
    })
  }
}
