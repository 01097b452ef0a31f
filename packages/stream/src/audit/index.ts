export { type Auditor, type AuditProgress, createAuditor } from './createAuditor.js'
export { openAuditStore } from './openAuditStore.js'
export { type LogCopy, openLogCopy } from './openLogCopy.js'
export { type RecomputedEpoch, recomputeEpoch, type TracedBatch } from './recomputeEpoch.js'
