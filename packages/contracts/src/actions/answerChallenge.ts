import { bytesToHex, parseEventLogs } from 'viem'
import { iDisputesAbi } from '../abis/iDisputesAbi.js'
import { disputesCall } from '../chain/disputesCall.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import {
  type Answer,
  type Point,
  toBatchEvidence,
  toDevice,
  toEntryEvidence,
  toEpochEvidence,
  toInclusionEvidence,
  toWords,
} from '../Dispute.js'
import { InvalidArgumentError } from '../errors.js'
import type { Network } from '../Network.js'

/**
 * Refutes a challenge before its deadline. Anyone may: half of the challenger's bond is credited to
 * whoever does.
 *
 * @throws {ContractError} e.g. `NotOpen`, `DeadlineOver`, and one for everything that an answer
 * can be wrong in: `WrongEpoch`, `WrongEntry`, `WrongLeaf`, `NotInLog` …
 */
export async function answerChallenge(
  client: AnyClient,
  parameters: answerChallenge.Parameters,
): Promise<answerChallenge.ReturnType> {
  const { hash, receipt } = await writeContract(client, toCall(parameters), parameters)
  const [answered] = parseEventLogs({
    abi: iDisputesAbi,
    eventName: 'Answered',
    logs: receipt.logs,
  })
  const { burned, id, paid } = answered!.args
  return { burned, hash, id, paid, receipt }
}

export declare namespace answerChallenge {
  type Parameters = WriteOptions & {
    network: Pick<Network, 'disputes'>
    window: number
    attempt: number
    point: Point
    /** As `buildAnswer` of @machinefi/proof makes it. */
    answer: Answer
  }
  type ReturnType = WriteResult & {
    id: `0x${string}`
    /** Wei of the challenger's bond that are nobody's any more. */
    burned: bigint
    /** Wei of it that were credited to whoever answered. */
    paid: bigint
  }
}

function toCall({ answer, attempt, network, point, window }: answerChallenge.Parameters) {
  if (point.kind === 'step' && answer.kind === 'step') {
    const { slot, step } = point
    const epoch = toEpochEvidence(answer.epoch)
    const entry = toEntryEvidence(answer.entry)
    const shown = [window, attempt, slot, step, epoch, entry] as const
    if (answer.step === null) return disputesCall(network, 'answerEntry', shown)
    const { batch, before, inclusion, proof, records } = answer.step
    const evidence = {
      batch: toBatchEvidence(batch),
      before: {
        batchId: bytesToHex(before?.batchId ?? new Uint8Array(32)),
        proof: toWords(before?.proof ?? new Uint8Array()),
        seq: BigInt(before?.seq ?? 0),
        state: bytesToHex(before?.state ?? new Uint8Array()),
      },
      inclusion: toInclusionEvidence(inclusion),
      proof: toWords(proof),
      rows: bytesToHex(records),
    }
    return disputesCall(network, 'answerStep', [...shown, evidence])
  }
  if (point.kind === 'carry' && answer.kind === 'carry') {
    const args = [
      window,
      attempt,
      point.slot,
      toDevice(point.device),
      toEpochEvidence(answer.epoch),
      toEntryEvidence(answer.entry),
      toEntryEvidence(answer.before),
    ] as const
    return disputesCall(network, 'answerCarry', args)
  }
  if (point.kind === 'omission' && answer.kind === 'omission') {
    const { earlier, entry, epoch, leaf, step } = answer
    const { batchId, device, index, seq, shard } = point
    const args = [
      window,
      attempt,
      {
        batchId: bytesToHex(batchId),
        device: bytesToHex(device),
        index: BigInt(index),
        seq: BigInt(seq),
        shard,
      },
      toEpochEvidence(epoch),
      toEntryEvidence(entry),
      {
        batchId: bytesToHex(leaf.batchId),
        earlier: toInclusionEvidence(earlier),
        proof: toWords(leaf.proof),
        stateHash: bytesToHex(leaf.stateHash),
        step,
      },
    ] as const
    return disputesCall(network, 'answerOmission', args)
  }
  if (point.kind === 'consistency' && answer.kind === 'consistency') {
    const { root, shard, size } = point
    const args = [
      window,
      attempt,
      shard,
      BigInt(size),
      bytesToHex(root),
      toEpochEvidence(answer.epoch),
      toWords(answer.proof),
    ] as const
    return disputesCall(network, 'answerConsistency', args)
  }
  if (point.kind === 'reveal' && answer.kind === 'reveal') {
    const { height, index } = point
    const nodes = bytesToHex(answer.nodes)
    const args = [window, attempt, height, index, nodes, bytesToHex(answer.siblings)] as const
    return disputesCall(network, 'answerReveal', args)
  }
  throw new InvalidArgumentError(
    `A challenge of kind ${point.kind} has no answer of kind ${answer.kind}.`,
  )
}
