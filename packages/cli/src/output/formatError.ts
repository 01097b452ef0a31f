import { BaseError, type ErrorKind } from '@machinefi/core'
import { revertHints } from './revertHints.js'

const exitCodes = {
  contract: 5,
  input: 2,
  integrity: 3,
  internal: 70,
  transport: 4,
} as const satisfies Record<ErrorKind, number>

/** Exit code by what the caller can do about the error; 70 for a bug. */
export function toExitCode(error: unknown): number {
  return error instanceof BaseError ? exitCodes[error.kind] : 70
}

/** What went wrong, why, and what to do, for a person (or as JSON for a program). */
export function formatError(error: unknown, options: formatError.Options = {}): string {
  const { json = false } = options
  if (error instanceof BaseError) {
    const details = [...error.metaMessages, ...toHints(error)]
    if (json)
      return JSON.stringify({
        error: {
          kind: error.kind,
          message: error.shortMessage,
          name: error.name,
          ...(details.length > 0 ? { details } : {}),
        },
      })
    return [
      `machinefi: ${error.shortMessage}`,
      ...details.map((line) => `  ${line}`),
      ...(error.docsPath ? [`  Docs: docs/${error.docsPath}`] : []),
    ].join('\n')
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  if (json) return JSON.stringify({ error: { kind: 'internal', message: text } })
  return `machinefi: this is a bug, please report it.\n${text}`
}

export declare namespace formatError {
  type Options = { json?: boolean }
}

/** Told by its field: a ContractError is of a package that is loaded only by commands that need it. */
function toHints({ revert }: BaseError & { revert?: { name: string } | undefined }): string[] {
  const hint = revertHints[revert?.name ?? '']
  return hint === undefined ? [] : [hint]
}
