import { BaseError } from '@machinefi/core'

/** A serial line that is open, whatever it is made of. */
export type Line = {
  /** What comes in, until the line ends. */
  readonly bytes: AsyncIterable<Uint8Array>
  write(bytes: Uint8Array): Promise<void>
  close(): Promise<void>
}

/** The line cannot be opened, or is gone: it is opened again. */
export class LineError extends BaseError {
  override readonly name = 'LineError'
  constructor(shortMessage: string, options: { cause?: unknown } = {}) {
    super(shortMessage, {
      kind: 'transport',
      metaMessages: ['It is opened again as soon as it is there.'],
      ...options,
    })
  }
}
