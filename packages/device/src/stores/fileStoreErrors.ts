import { BaseError } from '@machinefi/core'
import { isDiskFull } from './isDiskFull.js'

/** There is nothing to read. */
export class StoreMissingError extends BaseError {
  override readonly name = 'StoreMissingError'
  constructor(path: string) {
    super(`There is no store: ${path}`, { kind: 'input' })
  }
}

/** A segment is broken in its middle: what follows cannot be trusted, nor the seqs in it. */
export class StoreDamagedError extends BaseError {
  override readonly name = 'StoreDamagedError'
  constructor(path: string, at: number) {
    super(`The store is damaged at byte ${at}: ${path}`, {
      kind: 'integrity',
      metaMessages: [
        'A power cut does not do this: the medium is failing, or something else wrote to the file.',
        'Move the directory away to start anew: the device then resumes above the seq its node knows.',
      ],
    })
  }
}

/** The store belongs to another key or network, holds unsigned readings of another schema, or is of another version. */
export class StoreMismatchError extends BaseError {
  override readonly name = 'StoreMismatchError'
  readonly field: StoreMismatchError.Field
  constructor(path: string, field: StoreMismatchError.Field) {
    super(`The store is of another ${field}: ${path}`, {
      kind: 'input',
      metaMessages:
        field === 'format'
          ? [
              'Another version of this package wrote it, which alone can read it: deliver with that what waits.',
              'Then move the directory away to start anew: the device resumes above the seq its node knows.',
            ]
          : [
              field === 'schema'
                ? 'It holds readings that are not signed yet: flush them with their schema first.'
                : 'Every device in every network needs a directory of its own.',
            ],
    })
    this.field = field
  }
}

export declare namespace StoreMismatchError {
  type Field = 'device' | 'format' | 'network' | 'schema'
}

/** Another process has the store open: two would use one seq twice. */
export class StoreLockedError extends BaseError {
  override readonly name = 'StoreLockedError'
  constructor(path: string, pid: number) {
    super(`The store is in use by process ${pid}: ${path}`, {
      kind: 'input',
      metaMessages: [
        'In a container, the number is the one that process has there.',
        'If it surely is no device, remove the folder "lock" in the directory.',
      ],
    })
  }
}

/** The disk refused: it is full, or fails. */
export class StoreFailedError extends BaseError {
  override readonly name = 'StoreFailedError'
  constructor(path: string, cause: unknown) {
    super(`${isDiskFull(cause) ? 'The disk is full' : 'The store failed'}: ${path}`, {
      kind: 'internal',
      cause,
      metaMessages: [
        'Nothing of this call was taken; what was acknowledged is safe.',
        'The next call tries again, so that it goes on when the disk does.',
      ],
    })
  }
}
