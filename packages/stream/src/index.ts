export type { Chain, ChainConfig, ChainMember, PostedEpoch, Posting } from './chain/chain.js'
export {
  createNode,
  type Node,
  type NodeLimits,
  type NodeOptions,
  type SettledEpoch,
} from './createNode.js'
export type { BuiltEpoch, Claim, Posted, StoredEpoch } from './epochs/openEpochStore.js'
export {
  DataDirectoryError,
  EpochConflictError,
  NodeConfigurationError,
  StoreFailedError,
} from './errors.js'
export type { Outcome } from './ingest/createPipeline.js'
export { type Problem, type ProblemReason, problemBase } from './problems.js'
