export type {
  Chain,
  ChainAnswer,
  ChainChallenge,
  ChainConfig,
  ChainMember,
  OperatorState,
  PostedEpoch,
  Posting,
} from './chain/chain.js'
export {
  createNode,
  type ListenOptions,
  type Node,
  type NodeLimits,
  type NodeOptions,
  type SettledEpoch,
} from './createNode.js'
export type { AnsweredChallenge } from './disputes/createAnswerer.js'
export type { BuiltEpoch, Claim, Posted, StoredEpoch } from './epochs/openEpochStore.js'
export {
  BrokerError,
  ChainBehindError,
  ChallengeError,
  DataDirectoryError,
  EpochConflictError,
  NodeConfigurationError,
  PeerError,
  StoreFailedError,
} from './errors.js'
export type { Outcome } from './ingest/createPipeline.js'
export type { Broker } from './mqtt/openMqttClient.js'
export { type Problem, type ProblemReason, problemBase } from './problems.js'
export { type RotatedKey, rotateNodeKey } from './rotateNodeKey.js'
export type { TlsFiles } from './tls/openTls.js'
