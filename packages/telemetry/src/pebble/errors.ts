import { BaseError } from '@machinefi/core'

/** Why a Pebble packet is refused. The codes are stable: the command line prints them. */
export type PebbleReason =
  | 'too-long'
  | 'malformed'
  | 'signature-length'
  | 'other-key'
  | 'signature'
  | 'no-record'

/** The bytes are not a packet of the profile, or hold no record; `reason` says why in one word. */
export class PebbleError extends BaseError {
  override readonly name = 'PebbleError'
  readonly reason: PebbleReason
  constructor(reason: PebbleReason, shortMessage: string) {
    super(shortMessage, { kind: 'integrity' })
    this.reason = reason
  }
}
