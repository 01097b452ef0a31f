export {
  decodeBatch,
  encodeBatch,
  encodeProtected,
  maxRecordsBytes,
  readBatch,
  type SignedBatch,
} from './batch/encodeBatch.js'
export { decodeHeader, encodeHeader, type Header } from './batch/encodeHeader.js'
export { decodeRows, encodeRows, type Rows, rowAt } from './batch/encodeRows.js'
export {
  BatchError,
  type BatchReason,
  BatchTooLargeError,
  InvalidBatchError,
  MalformedHeaderError,
  MalformedRowsError,
  NotCanonicalBatchError,
  TruncatedBatchError,
  UnsupportedAlgorithmError,
  UnsupportedVersionError,
} from './batch/errors.js'
export { signBatch } from './batch/signBatch.js'
export { batchId, encodeSigStructure, sigStructure } from './batch/sigStructure.js'
export { type BatchVerdict, checkRecords, verifyBatch } from './batch/verifyBatch.js'
export {
  FieldCountError,
  fromRow,
  InvalidTimeError,
  type Row,
  type TelemetryRecord,
  toRow,
  UnknownFieldError,
  type Values,
} from './record/toRow.js'
export { formatScaled, InvalidValueError, toScaled } from './record/toScaled.js'
export {
  assertSchema,
  defineSchema,
  type Field,
  InvalidSchemaError,
  maxFields,
  type Schema,
} from './schema/defineSchema.js'
export {
  decodeSchema,
  encodeSchema,
  MalformedSchemaError,
  schemaHash,
} from './schema/encodeSchema.js'
