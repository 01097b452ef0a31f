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
export { epochHash, type LogHead, logsHash, networkId } from './epoch/epochHash.js'
export { reward } from './epoch/reward.js'
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
