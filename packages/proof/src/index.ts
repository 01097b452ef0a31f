export {
  type ClaimEvidence,
  decodeBundle,
  type EpochBundle,
  encodeBundle,
  encodeBundleHead,
  encodeBundleTail,
  encodeClaim,
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
  toCheckpoint,
  verifyReceipt,
} from './checkpoint/verifyReceipt.js'
export {
  type Answer,
  type AnswerSource,
  buildAnswer,
  UnanswerableError,
  type UnanswerableReason,
} from './disputes/buildAnswer.js'
export {
  buildOmission,
  type Challenge,
  type Point,
  type Proof,
  toPoint,
} from './disputes/Challenge.js'
export { diffClaim, type Fault, type FaultReason } from './disputes/diffClaim.js'
export { diffLedger } from './disputes/diffLedger.js'
export { diffLog, findEquivocation, findFork } from './disputes/diffLog.js'
export {
  type BatchEvidence,
  type CheckpointEvidence,
  type EntryEvidence,
  type EpochEvidence,
  type InclusionEvidence,
  toBatchEvidence,
  toCheckpointEvidence,
  toInclusionEvidence,
  toSigned,
} from './disputes/Evidence.js'
export { toLeaves } from './disputes/toLeaves.js'
export { verifyAnswer } from './disputes/verifyAnswer.js'
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
  type ClaimExplanation,
  type ClaimReason,
  type ExplainedBatch,
  explainClaim,
} from './explain/explainClaim.js'
export {
  buildLedger,
  type Ledger,
  LedgerDepthError,
  type LedgerHead,
  type LedgerNode,
  LedgerNodeError,
  LedgerOverflowError,
  LedgerSlotError,
  ledgerDepth,
} from './ledger/buildLedger.js'
export { type Entry, entryDetail, InvalidEntryError } from './ledger/Entry.js'
export { verifyFleetProof, verifyLedgerProof, verifyRevealed } from './ledger/verifyLedgerProof.js'
export { createLog, InvalidLogEntryError, type Log, LogRangeError } from './log/createLog.js'
export { emptyRoot } from './log/treeHash.js'
export { verifyConsistency } from './log/verifyConsistency.js'
export { verifyInclusion } from './log/verifyInclusion.js'
export { decodeMetricParams } from './metrics/decodeMetricParams.js'
export {
  decodeState,
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
  hashState,
  MissingRecordsError,
  type Trace,
  type TraceLeaf,
  TraceRangeError,
  type TraceStep,
  traceRoot,
} from './trace/buildTrace.js'
export { isInWindow, type LoggedBatch, selectBatches } from './trace/selectBatches.js'
export { verifyTraceLeaf, verifyTraceProof } from './trace/verifyTraceProof.js'
