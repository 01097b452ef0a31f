import { getAbiItem, type Hash, type Hex } from 'viem'
import { iDisputesAbi } from '../abis/iDisputesAbi.js'
import { disputesOf } from '../chain/disputesCall.js'
import { readContract } from '../chain/readContract.js'
import { type BlockRange, readEvents } from '../chain/readEvents.js'
import type { AnyClient } from '../chain/writeContract.js'
import {
  type ChallengeStatus,
  challengeStatuses,
  type OpenedChallenge,
  pointKinds,
  toOpenedChallenge,
} from '../Dispute.js'
import type { Network } from '../Network.js'

/** Reads the challenges opened in a range of blocks, oldest first, with what became of them. */
export async function readChallenges(
  client: AnyClient,
  parameters: readChallenges.Parameters,
): Promise<readChallenges.ReturnType> {
  const { fromBlock, isKnown, network, toBlock, window } = parameters
  const all = await readEvents(client, {
    address: network.disputes,
    ...(window !== undefined && { args: { window } }),
    event: challenged,
    fromBlock,
    toBlock,
  })
  const logs = isKnown ? all.filter(({ args }) => !isKnown(args.id)) : all
  const challenges: readChallenges.ReturnType = []
  for (let i = 0; i < logs.length; i += chunk) {
    challenges.push(
      ...(await Promise.all(
        logs.slice(i, i + chunk).map(async ({ args, blockNumber, transactionHash }) => {
          const { status } = await readChallenge(client, { id: args.id, network })
          return { ...toOpenedChallenge(args), blockNumber, status, transactionHash }
        }),
      )),
    )
  }
  return challenges
}

export declare namespace readChallenges {
  type Parameters = BlockRange & {
    /** Challenges that are left out, and not asked about. */
    isKnown?: ((id: Hex) => boolean) | undefined
    network: Pick<Network, 'disputes'>
    /** Only challenges to the attempts of this one. */
    window?: number | undefined
  }
  type ReturnType = (OpenedChallenge & {
    status: ChallengeStatus
    blockNumber: bigint
    transactionHash: Hash
  })[]
}

/** Reads what became of a challenge; `none` if it was never opened (see `challengeId`). */
export async function readChallenge(
  client: AnyClient,
  parameters: readChallenge.Parameters,
): Promise<readChallenge.ReturnType> {
  const { id, network } = parameters
  const { deadline, kind, status, ...stored } = await readContract(client, {
    abi: iDisputesAbi,
    address: disputesOf(network),
    functionName: 'challenge',
    args: [id],
  })
  return {
    ...stored,
    deadline: Number(deadline),
    id,
    kind: pointKinds[kind]!,
    status: challengeStatuses[status]!,
  }
}

export declare namespace readChallenge {
  type Parameters = { network: Pick<Network, 'disputes'>; id: Hex }
  /** What the contract keeps; what it points at is in an event, see {@link readChallenges}. */
  type ReturnType = Omit<OpenedChallenge, 'point'> & {
    kind: OpenedChallenge['point']['kind']
    /** Of the window's rules, in seconds. */
    responseTime: number
    status: ChallengeStatus
  }
}

/** Calls at a time. */
const chunk = 100

const challenged = getAbiItem({ abi: iDisputesAbi, name: 'Challenged' })
