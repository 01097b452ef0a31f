import { BaseError } from '@machinefi/core'

/** A serial line that is open, whatever it is made of. */
export type Line = {
  /** What comes in, until the line ends. */
  readonly bytes: AsyncIterable<Uint8Array>
  write(bytes: Uint8Array): Promise<void>
  close(): Promise<void>
}

/** The line cannot be opened, or is gone. A bridge opens it again. */
export class LineError extends BaseError {
  override readonly name = 'LineError'
  constructor(shortMessage: string, options: { cause?: unknown } = {}) {
    const { cause } = options
    const metaMessages = cause instanceof Error ? [cause.message] : []
    super(shortMessage, { cause, kind: 'transport', metaMessages })
  }
}
