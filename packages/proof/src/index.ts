export {
  type ClaimEvidence,
  decodeBundle,
  type EpochBundle,
  encodeBundle,
  MalformedBundleError,
} from './bundle/encodeBundle.js'
export {
  type ClaimVerdict,
  extractClaim,
  verifyBundle,
  verifyClaim,
} from './bundle/verifyBundle.js'
export { IntegerRangeError } from './cbor/encode.js'
export {
  type DecodedReceipt,
  decodeReceipt,
  encodeReceipt,
  InvalidReceiptError,
} from './checkpoint/encodeReceipt.js'
export {
  type Checkpoint,
  type DecodedCheckpoint,
  decodeCheckpoint,
  InvalidCheckpointError,
  MalformedCheckpointError,
  signCheckpoint,
  verifyCheckpoint,
} from './checkpoint/signCheckpoint.js'
export {
  type CheckpointCache,
  createCheckpointCache,
  verifyReceipt,
} from './checkpoint/verifyReceipt.js'
export {
  type Config,
  configHash,
  decodeConfig,
  encodeConfig,
  MalformedConfigError,
} from './epoch/encodeConfig.js'
export { epochHash, type LogHead, logsHash, networkId } from './epoch/epochHash.js'
export {
  decodePolicyParams,
  encodePolicyParams,
  InvalidPolicyError,
  reward,
  type ThresholdPolicy,
} from './epoch/reward.js'
export {
  buildLedger,
  type Ledger,
  LedgerDepthError,
  LedgerOverflowError,
  LedgerSlotError,
  ledgerDepth,
} from './ledger/buildLedger.js'
export { type Entry, entryDetail, InvalidEntryError } from './ledger/Entry.js'
export { verifyFleetProof, verifyLedgerProof } from './ledger/verifyLedgerProof.js'
export { createLog, InvalidLogEntryError, type Log, LogRangeError } from './log/createLog.js'
export { emptyRoot } from './log/treeHash.js'
export { verifyConsistency } from './log/verifyConsistency.js'
export { verifyInclusion } from './log/verifyInclusion.js'
export { decodeMetricParams } from './metrics/decodeMetricParams.js'
export {
  encodeMetricParams,
  encodeState,
  finish,
  fold,
  type State,
  startState,
} from './metrics/fold.js'
export { assertMetric, InvalidMetricError, type Metric, type Window } from './metrics/Metric.js'
export {
  buildTrace,
  MissingRecordsError,
  type Trace,
  TraceRangeError,
  type TraceStep,
} from './trace/buildTrace.js'
export { isInWindow, type LoggedBatch, selectBatches } from './trace/selectBatches.js'
export { verifyTraceProof } from './trace/verifyTraceProof.js'
