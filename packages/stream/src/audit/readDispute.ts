import {
  type AnyClient,
  type Network,
  readChallenges,
  readRevealed,
  readShownEntries,
  toContractError,
} from '@machinefi/contracts'
import { iDisputesAbi } from '@machinefi/contracts/abis'
import { type Algorithm, concatBytes, fromHex, type Hex } from '@machinefi/core'
import type { Answer, Entry, Point } from '@machinefi/proof'
import { type Address, decodeFunctionData, getAbiItem, zeroAddress } from 'viem'
import { getBlockNumber, getLogs, getTransaction } from 'viem/actions'

/**
 * Reads what was disputed of an epoch, and what the answers showed. All of it
 * was verified by the contract, so that it is evidence, whoever gave it.
 *
 * An answer that went through another contract is not decoded: its events are
 * all that is known of it.
 */
export async function readDispute(
  client: AnyClient,
  options: readDispute.Options,
): Promise<Dispute> {
  const { attempt, fromBlock, network, window } = options
  const range = { attempt, fromBlock, network, window }
  const challenges = (await readChallenges(client, { fromBlock, network, window })).filter(
    (challenge) => challenge.attempt === attempt,
  )
  if (!challenges.some(({ status }) => status === 'answered'))
    return { answers: [], challenges, entries: new Map(), revealed: [] }
  const [revealed, shown, answers] = await Promise.all([
    readRevealed(client, range),
    readShownEntries(client, range),
    readAnswers(client, range),
  ])
  const points = new Map(challenges.map(({ id, point }) => [id, point]))
  return {
    answers: answers.flatMap(({ answer, id }) => {
      const point = points.get(id)
      return point ? [{ answer, point }] : []
    }),
    challenges,
    entries: new Map(shown.map(({ entry, slot }) => [slot, entry])),
    revealed,
  }
}

export declare namespace readDispute {
  type Options = {
    attempt: number
    /** The block of the posting. */
    fromBlock: bigint
    network: Network
    window: number
  }
}

export type Dispute = {
  /** Answers whose content is known, and what they answered. */
  answers: { answer: Answer; point: Point }[]
  challenges: readChallenges.ReturnType
  /** Entries that answers showed, by slot. */
  entries: Map<number, Entry | null>
  revealed: { height: number; index: number; nodes: Uint8Array }[]
}

async function readAnswers(client: AnyClient, options: readDispute.Options) {
  const { attempt, fromBlock, network, window } = options
  const found: { answer: Answer; id: Hex }[] = []
  try {
    const toBlock = await getBlockNumber(client, { cacheTime: 0 })
    const read = async (fromBlock: bigint, toBlock: bigint): ReturnType<typeof readLogs> => {
      try {
        return await readLogs(fromBlock, toBlock)
      } catch (error) {
        // Public endpoints limit the range, each in its own way.
        if (fromBlock >= toBlock) throw error
        const middle = (fromBlock + toBlock) / 2n
        return [...(await read(fromBlock, middle)), ...(await read(middle + 1n, toBlock))]
      }
    }
    const readLogs = (fromBlock: bigint, toBlock: bigint) =>
      getLogs(client, {
        address: network.disputes,
        args: { attempt, window },
        event: answered,
        fromBlock,
        strict: true,
        toBlock,
      })
    for (const { args, transactionHash } of await read(fromBlock, toBlock)) {
      const { input, to } = await getTransaction(client, { hash: transactionHash })
      if (to?.toLowerCase() !== network.disputes.toLowerCase()) continue
      const answer = decodeAnswer(input)
      if (answer) found.push({ answer, id: args.id })
    }
  } catch (error) {
    throw toContractError(error, { address: network.disputes, functionName: 'Answered' })
  }
  return found
}

/** The answer in a transaction's input: a step, or an omission. */
function decodeAnswer(input: Hex): Answer | undefined {
  let call: ReturnType<typeof decodeFunctionData<typeof iDisputesAbi>>
  try {
    call = decodeFunctionData({ abi: iDisputesAbi, data: input })
  } catch {
    return undefined
  }
  if (call.functionName === 'answerStep') {
    const [, , , step, epoch, entry, evidence] = call.args
    const { batch, before, inclusion, proof, rows } = evidence
    const { header, r, s, x, y } = batch
    return {
      kind: 'step',
      entry: toEntry(entry),
      epoch: toEpoch(epoch),
      step: {
        batch: {
          algorithm: algorithms[batch.algorithm] as Algorithm,
          header: {
            commitment: header.commitment === '0x' ? null : fromHex(header.commitment),
            count: Number(header.count),
            recordsHash: fromHex(header.recordsHash),
            schema: Number(header.schema),
            seq: Number(header.seq),
            span: Number(header.span),
            start: Number(header.start),
          },
          publicKey: fromHex(x + y.slice(2)),
          signature: fromHex(r + s.slice(2)),
        },
        before:
          step === 0
            ? null
            : {
                batchId: fromHex(before.batchId),
                proof: concatBytes(...before.proof.map(fromHex)),
                seq: Number(before.seq),
                state: fromHex(before.state),
              },
        inclusion: toInclusion(inclusion),
        proof: concatBytes(...proof.map(fromHex)),
        records: fromHex(rows),
      },
    }
  }
  if (call.functionName === 'answerOmission') {
    const [, , point, epoch, entry, evidence] = call.args
    const { batchId, earlier, proof, stateHash, step } = evidence
    return {
      kind: 'omission',
      earlier: batchId === point.batchId ? null : toInclusion(earlier),
      entry: toEntry(entry),
      epoch: toEpoch(epoch),
      leaf: {
        batchId: fromHex(batchId),
        proof: concatBytes(...proof.map(fromHex)),
        seq: Number(point.seq),
        stateHash: fromHex(stateHash),
      },
      step,
    }
  }
  return undefined
}

function toEpoch(epoch: {
  config: Hex
  logs: readonly { root: Hex; shard: number; size: bigint }[]
  memberCount: number
  parentHash: Hex
}) {
  return {
    config: fromHex(epoch.config),
    logs: epoch.logs.map(({ root, shard, size }) => ({
      root: fromHex(root),
      shard,
      size: Number(size),
    })),
    memberCount: epoch.memberCount,
    parentHash: fromHex(epoch.parentHash),
  }
}

function toEntry(shown: {
  cumulative: bigint
  device: Address
  siblings: Hex
  steps: number
  traceRoot: Hex
  value: bigint
}) {
  const { cumulative, device, siblings, steps, traceRoot, value } = shown
  const entry =
    device === zeroAddress
      ? null
      : { cumulative, device: fromHex(device), steps, traceRoot: fromHex(traceRoot), value }
  return { entry, siblings: fromHex(siblings) }
}

function toInclusion(inclusion: { index: bigint; proof: readonly Hex[]; shard: number }) {
  const { index, proof, shard } = inclusion
  return { index: Number(index), proof: concatBytes(...proof.map(fromHex)), shard }
}

/** As the contract numbers them. */
const algorithms = ['ES256', 'ES256K'] as const

const answered = getAbiItem({ abi: iDisputesAbi, name: 'Answered' })
