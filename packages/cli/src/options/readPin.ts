import { resolve } from 'node:path'
import { BaseError } from '@machinefi/core'
import { readPinFile } from '@machinefi/device/node'
import type { Context } from '../context.js'
import { readInput } from './readInput.js'

/**
 * The PIN of a token: from a file of mode 0600, from standard input for `-`, else from
 * MACHINEFI_PIN. Never an option's value, which every process of the machine could read.
 *
 * @throws {PinMissingError}
 */
export async function readPin(file: string | undefined, context: Context): Promise<string> {
  const pin =
    file === undefined
      ? context.env.MACHINEFI_PIN
      : file === '-'
        ? Buffer.from(await readInput('-', context))
            .toString('latin1')
            .replace(/\r?\n$/, '')
        : await readPinFile(resolve(context.cwd, file))
  if (!pin) throw new PinMissingError()
  return pin
}

export class PinMissingError extends BaseError {
  override readonly name = 'PinMissingError'
  constructor() {
    super('The token needs a PIN.', {
      kind: 'input',
      metaMessages: [
        'Name a file with --pin-file (mode 0600, - for standard input), or set MACHINEFI_PIN.',
      ],
    })
  }
}
