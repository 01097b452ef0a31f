/**
 * What the caller can do about an error. It decides retries, and the command
 * line's exit code.
 *
 * - `input`: fix the call (2)
 * - `integrity`: distrust the data (3)
 * - `transport`: try again (4)
 * - `contract`: look at the chain (5)
 * - `internal`: report a bug (70)
 */
export type ErrorKind = 'contract' | 'input' | 'integrity' | 'internal' | 'transport'

/**
 * Base of every error of the SDK: one short line, optional detail lines, a
 * place in the docs. No secret, credential or payload ever enters a message.
 */
export class BaseError extends Error {
  override readonly name: string = 'BaseError'
  readonly kind: ErrorKind
  readonly shortMessage: string
  readonly metaMessages: readonly string[]
  readonly docsPath: string | undefined

  constructor(shortMessage: string, options: BaseError.Options) {
    const { cause, docsPath, kind, metaMessages = [] } = options
    super(
      [
        shortMessage,
        ...(metaMessages.length > 0 ? ['', ...metaMessages] : []),
        ...(docsPath ? ['', `Docs: ${docsPath}`] : []),
      ].join('\n'),
      cause === undefined ? undefined : { cause },
    )
    this.kind = kind
    this.shortMessage = shortMessage
    this.metaMessages = metaMessages
    this.docsPath = docsPath
  }

  /** The first error in the chain of causes that satisfies `test`, or `undefined`. */
  walk(test: (error: unknown) => boolean): unknown {
    let error: unknown = this
    while (error !== undefined && error !== null) {
      if (test(error)) return error
      error = (error as { cause?: unknown }).cause
    }
    return undefined
  }
}

export declare namespace BaseError {
  type Options = {
    kind: ErrorKind
    /** The foreign error that was wrapped. */
    cause?: unknown
    /** Path below `docs/`. */
    docsPath?: string | undefined
    /** Detail lines: values, bounds, how to fix. */
    metaMessages?: readonly string[] | undefined
  }
}
