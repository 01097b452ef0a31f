export {
  type AuditEvent,
  type AuditOverview,
  type Auditor,
  type AuditProgress,
  createAuditor,
  type NodeReport,
  NotPostedError,
  UnknownParentError,
} from './createAuditor.js'
export { type Action, AuditAccountMissingError } from './createChallenger.js'
export { type RecomputedEpoch, recomputeEpoch, type TracedBatch } from './recomputeEpoch.js'
export type { SyncReport } from './syncLog.js'
export type { Finding, FindingReason, Sampled, Verdict } from './Verdict.js'
