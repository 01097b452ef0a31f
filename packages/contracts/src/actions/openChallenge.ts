import { parseEventLogs } from 'viem'
import { iDisputesAbi } from '../abis/iDisputesAbi.js'
import { disputesCall } from '../chain/disputesCall.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import {
  type Challenge,
  type OpenedChallenge,
  toBatchEvidence,
  toCheckpointEvidence,
  toDevice,
  toEpochEvidence,
  toInclusionEvidence,
  toOpenedChallenge,
} from '../Dispute.js'
import type { Network } from '../Network.js'
import { readBaseFee, readChallengeBond } from './readChallengeBond.js'

/**
 * Points at a place of a pending epoch that is wrong, or that the challenger was not shown, and
 * stakes a bond on it. If nobody answers until the deadline, the operator is slashed, and the
 * challenger gets half of that; an answer takes the whole bond.
 *
 * Evidence is checked by the contract where the challenge has any, and `point` says in the form that
 * `buildAnswer` of @machinefi/proof takes what is to be shown.
 *
 * @throws {ContractError} e.g. `AlreadyChallenged`, `NotPending`, `ChallengeTimeOver`, `BondTooSmall`.
 *
 * @example
 * const { bond, deadline, id } = await openChallenge(client, {
 *   network, window, attempt, challenge: { kind: 'step', slot: 0, step: 7 },
 * })
 */
export async function openChallenge(
  client: AnyClient,
  parameters: openChallenge.Parameters,
): Promise<openChallenge.ReturnType> {
  const call = toCall(parameters)
  const { bond = await readBond(client, parameters) } = parameters
  const { hash, receipt } = await writeContract(client, { ...call, value: bond }, parameters)
  const [opened] = parseEventLogs({
    abi: iDisputesAbi,
    eventName: 'Challenged',
    logs: receipt.logs,
  })
  return { ...toOpenedChallenge(opened!.args), hash, receipt }
}

export declare namespace openChallenge {
  type Parameters = WriteOptions & {
    network: Pick<Network, 'disputes' | 'settlement'>
    window: number
    attempt: number
    challenge: Challenge
    /**
     * Wei, all of it at stake.
     * @default what the contract would ask for if the base fee rose by half until it is mined
     */
    bond?: bigint | undefined
  }
  type ReturnType = OpenedChallenge & WriteResult
}

/** What is asked for now, and would be if the base fee rose by half: three full blocks. */
async function readBond(
  client: AnyClient,
  { network, window }: openChallenge.Parameters,
): Promise<bigint> {
  const baseFee = await readBaseFee(client)
  return readChallengeBond(client, { baseFee: baseFee + baseFee / 2n, network, window })
}

function toCall({ attempt, challenge, network, window }: openChallenge.Parameters) {
  switch (challenge.kind) {
    case 'step': {
      const { device, slot, step } = challenge
      const args = [window, attempt, slot, step, toDevice(device ?? null)] as const
      return disputesCall(network, 'challengeStep', args)
    }
    case 'carry': {
      const { device, slot } = challenge
      const args = [window, attempt, slot, toDevice(device)] as const
      return disputesCall(network, 'challengeCarry', args)
    }
    case 'reveal': {
      const { height, index } = challenge
      return disputesCall(network, 'challengeReveal', [window, attempt, height, index])
    }
    case 'omission': {
      const { batch, epoch, inclusion } = challenge
      const args = [
        window,
        attempt,
        toEpochEvidence(epoch),
        toBatchEvidence(batch),
        toInclusionEvidence(inclusion),
      ] as const
      return disputesCall(network, 'challengeOmission', args)
    }
    case 'consistency': {
      const { earlier, shard } = challenge
      const args = [window, attempt, earlier.window, toEpochEvidence(earlier.epoch), shard] as const
      return disputesCall(network, 'challengeConsistency', args)
    }
    case 'checkpoint': {
      const { checkpoint, epoch } = challenge
      const args = [
        window,
        attempt,
        toEpochEvidence(epoch),
        toCheckpointEvidence(checkpoint),
      ] as const
      return disputesCall(network, 'challengeCheckpoint', args)
    }
  }
}
