import { type Address, parseEventLogs } from 'viem'
import { iDisputesAbi } from '../abis/iDisputesAbi.js'
import { disputesCall } from '../chain/disputesCall.js'
import { toLowerCase } from '../chain/toLowerCase.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import {
  type FraudProof,
  toBatchEvidence,
  toCheckpointEvidence,
  toEpochEvidence,
} from '../Dispute.js'
import type { Network } from '../Network.js'

/**
 * Proves by signatures alone that an operator forked its log, or posted a shorter one than it had
 * signed before the cut-off: it is slashed, half of that is the account's credit. Or that a device
 * signed two batches of one seq: it is suspended.
 *
 * @throws {ContractError} e.g. `NoFork`, `NoTruncation`, `NoEquivocation`, `InvalidCheckpointSignature`.
 */
export async function proveFraud(
  client: AnyClient,
  parameters: proveFraud.Parameters,
): Promise<proveFraud.ReturnType> {
  const { hash, receipt } = await writeContract(client, toCall(parameters), parameters)
  const [proven] = parseEventLogs({ abi: iDisputesAbi, eventName: 'Proven', logs: receipt.logs })
  const { accused, reward } = toLowerCase(proven!.args)
  return { accused, hash, receipt, reward }
}

export declare namespace proveFraud {
  type Parameters = WriteOptions & { network: Pick<Network, 'disputes'> } & (
      | {
          proof: Extract<FraudProof, { kind: 'equivocation' | 'fork' }>
          window?: undefined
          attempt?: undefined
        }
      | {
          proof: Extract<FraudProof, { kind: 'truncation' }>
          /** Of the epoch whose log is too short. */
          window: number
          attempt: number
        }
    )
  type ReturnType = WriteResult & {
    /** An operator, or the device of an equivocation. */
    accused: Address
    /** Wei; 0 for a device, which has no bond. */
    reward: bigint
  }
}

function toCall({ attempt, network, proof, window }: proveFraud.Parameters) {
  switch (proof.kind) {
    case 'fork': {
      const [a, b] = proof.checkpoints
      const args = [toCheckpointEvidence(a), toCheckpointEvidence(b)] as const
      return disputesCall(network, 'proveFork', args)
    }
    case 'equivocation': {
      const [a, b] = proof.batches
      const args = [toBatchEvidence(a), toBatchEvidence(b)] as const
      return disputesCall(network, 'proveEquivocation', args)
    }
    case 'truncation': {
      const { checkpoint, epoch } = proof
      const args = [
        window as number,
        attempt as number,
        toEpochEvidence(epoch),
        toCheckpointEvidence(checkpoint),
      ] as const
      return disputesCall(network, 'proveTruncation', args)
    }
  }
}
