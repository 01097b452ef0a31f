import { BaseError } from '@machinefi/core'

/** The tick has a reading already. The schema's tick is the finest time a device can tell. */
export class TickTakenError extends BaseError {
  override readonly name = 'TickTakenError'
  /** Start of the tick, ms. */
  readonly time: number
  constructor(time: number, tickMs: number) {
    super(`There is a reading for the tick at ${formatTime(time)} already.`, {
      kind: 'input',
      metaMessages: [`A tick of this schema is ${tickMs} ms, and holds one reading.`],
    })
    this.time = time
  }
}

/** The clock says something that cannot be signed: it went back, leapt ahead, or cannot be right. */
export class ClockError extends BaseError {
  override readonly name = 'ClockError'
  readonly reason: ClockError.Reason
  /** What it said, ms. */
  readonly time: number
  constructor(reason: ClockError.Reason, time: number, metaMessages: readonly string[]) {
    super(`${messages[reason]}: ${formatTime(time)}.`, { kind: 'input', metaMessages })
    this.reason = reason
    this.time = time
  }
}

export declare namespace ClockError {
  type Reason = 'ahead' | 'backwards' | 'implausible'
}

/** A reading that no batch has room for. */
export class RowTooLargeError extends BaseError {
  override readonly name = 'RowTooLargeError'
  constructor(bytes: number, maxBytes: number) {
    super(`The reading takes ${bytes} bytes, a batch at most ${maxBytes}.`, { kind: 'input' })
  }
}

export class DeviceClosedError extends BaseError {
  override readonly name = 'DeviceClosedError'
  constructor() {
    super('The device is closed.', { kind: 'input' })
  }
}

export class InvalidDeviceError extends BaseError {
  override readonly name = 'InvalidDeviceError'
  constructor(problem: string) {
    super(`The device cannot be created: ${problem}.`, { kind: 'input' })
  }
}

/** `flush` waited as long as it was told to. */
export class FlushTimeoutError extends BaseError {
  override readonly name = 'FlushTimeoutError'
  constructor(timeoutMs: number, cause: unknown) {
    super(`Not everything was delivered within ${timeoutMs} ms.`, {
      kind: 'transport',
      cause,
      metaMessages: ['What is recorded is kept and will be sent again.'],
    })
  }
}

/** Nobody can say which seqs this key has used. */
export class SequenceUnknownError extends BaseError {
  override readonly name = 'SequenceUnknownError'
  constructor() {
    super('It is not known which sequence numbers this key has used.', {
      kind: 'input',
      metaMessages: [
        'The store is new, and the transport cannot ask the node.',
        'Pass nextSeq: 0 for a new key, else a number above every one used.',
      ],
    })
  }
}

const messages = {
  ahead: 'The clock is too far ahead of the last reading',
  backwards: 'The clock went back',
  implausible: 'The clock cannot be right',
} as const

export function formatTime(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time)
}
