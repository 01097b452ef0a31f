import { BaseError } from '@machinefi/core'

/** Why SenML is refused. */
export type SenmlReason =
  | 'syntax'
  | 'version'
  | 'must-understand'
  | 'type'
  | 'name'
  | 'value'
  | 'time'
  | 'unit'
  | 'field'
  | 'duplicate'

/** The text or bytes are not SenML, or not records of the schema; `record` counts from 0. */
export class SenmlError extends BaseError {
  override readonly name = 'SenmlError'
  readonly reason: SenmlReason
  readonly record: number | undefined
  constructor(
    shortMessage: string,
    {
      reason,
      record,
      cause,
    }: { reason: SenmlReason; record?: number | undefined; cause?: unknown },
  ) {
    super(record === undefined ? shortMessage : `SenML record ${record}: ${shortMessage}`, {
      kind: 'input',
      cause,
    })
    this.reason = reason
    this.record = record
  }
}
