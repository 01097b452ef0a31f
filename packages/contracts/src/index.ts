export { type Assurance, assurances } from './Assurance.js'
export { acceptModel } from './actions/acceptModel.js'
export { answerChallenge } from './actions/answerChallenge.js'
export { bondOperator } from './actions/bondOperator.js'
export { createModel } from './actions/createModel.js'
export { createNetwork } from './actions/createNetwork.js'
export { deployMachinefi } from './actions/deployMachinefi.js'
export { endorseRun, revokeRun } from './actions/endorseRun.js'
export { finalizeEpochs } from './actions/finalizeEpochs.js'
export { grantRead } from './actions/grantRead.js'
export { joinDevices } from './actions/joinDevices.js'
export { listOperator } from './actions/listOperator.js'
export { nameAuditor } from './actions/nameAuditor.js'
export { openChallenge } from './actions/openChallenge.js'
export { postEpoch } from './actions/postEpoch.js'
export { proveFraud } from './actions/proveFraud.js'
export { readAcceptedModels } from './actions/readAcceptedModels.js'
export { readAccess } from './actions/readAccess.js'
export { readChallengeBond } from './actions/readChallengeBond.js'
export { readChallenge, readChallenges } from './actions/readChallenges.js'
export { readConfig } from './actions/readConfig.js'
export { readCredit } from './actions/readCredit.js'
export { readEpoch, readEpochStatus, readEpochs } from './actions/readEpochs.js'
export { readFinalWindow, readNextWindow } from './actions/readFinalWindow.js'
export { type Member, readMembers } from './actions/readMembers.js'
export { readModel, readModels } from './actions/readModels.js'
export { readNetwork } from './actions/readNetwork.js'
export {
  type FormerLogKey,
  isLogKey,
  type Operator,
  readOperator,
} from './actions/readOperator.js'
export { readPaid } from './actions/readPaid.js'
export { type Requirements, readRequirements } from './actions/readRequirements.js'
export { readRevealed, readShownEntries, readShownLeaves } from './actions/readRevealed.js'
export { readRuns } from './actions/readRuns.js'
export { readSlashes } from './actions/readSlashes.js'
export { redeem } from './actions/redeem.js'
export { refundChallenge } from './actions/refundChallenge.js'
export { registerDevices } from './actions/registerDevices.js'
export { rotateLogKey } from './actions/rotateLogKey.js'
export { setConfig } from './actions/setConfig.js'
export { setRequirements } from './actions/setRequirements.js'
export { suspendDevices } from './actions/suspendDevices.js'
export { upholdChallenge } from './actions/upholdChallenge.js'
export { watchEpochs } from './actions/watchEpochs.js'
export { requestWithdrawal, withdrawBond } from './actions/withdrawBond.js'
export { withdrawCredit } from './actions/withdrawCredit.js'
export { withdrawFees } from './actions/withdrawFees.js'
export { addresses, type Deployment } from './addresses.js'
export type { BlockRange } from './chain/readEvents.js'
export type { AnyClient, WriteOptions, WriteResult } from './chain/writeContract.js'
export {
  type Answer,
  type BatchEvidence,
  type Challenge,
  type ChallengeStatus,
  type CheckpointEvidence,
  challengeId,
  type EntryEvidence,
  type EpochEvidence,
  type FraudProof,
  type InclusionEvidence,
  type OpenedChallenge,
  type Point,
  type ShownEntry,
} from './Dispute.js'
export type { Endorsement } from './Endorsement.js'
export { type Entry, type EntryDigest, entryDetail, toEntryDigest } from './Entry.js'
export type { Epoch, EpochStatus, LogHead } from './Epoch.js'
export {
  AccountMissingError,
  ChainUnavailableError,
  ContractError,
  decodeRevert,
  InvalidArgumentError,
  NotFoundOnChainError,
  TransactionRejectedError,
  toContractError,
} from './errors.js'
export { type Model, toModelId } from './Model.js'
export { type Network, toNetworkId } from './Network.js'
export { configHash, encodePolicyParams, type NetworkConfig } from './NetworkConfig.js'
export {
  type Registration,
  registrationMessage,
  signRegistration,
  toDeviceAddress,
} from './Registration.js'
export {
  buildRun,
  DuplicateDeviceError,
  EmptyRunError,
  formatRun,
  InvalidRunError,
  NotInRunError,
  parseRun,
  type Run,
  type RunProof,
} from './Run.js'
export { RelayError, relayRegistration } from './relayRegistration.js'
export { createSignedFetch, type SignedFetch } from './requests/createSignedFetch.js'
export { parseSignedRequest, type SignedRequest } from './requests/parseSignedRequest.js'
export { signRequest } from './requests/signRequest.js'
