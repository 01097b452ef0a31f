import { readChallenges } from '@machinefi/contracts'
import { iDisputesAbi, iSettlementAbi } from '@machinefi/contracts/abis'
import type { Scene } from './openScene.js'

/** What the contracts decided since a block: who was slashed for what, what was burned. */
export async function readVerdict({ client, network }: Scene, since: bigint) {
  const fromBlock = since + 1n
  const disputes = { abi: iDisputesAbi, address: network.disputes, fromBlock } as const
  const [slashed, answered, upheld, proven, challenges] = await Promise.all([
    client.getContractEvents({
      abi: iSettlementAbi,
      address: network.settlement,
      eventName: 'Slashed',
      fromBlock,
    }),
    client.getContractEvents({ ...disputes, eventName: 'Answered' }),
    client.getContractEvents({ ...disputes, eventName: 'Upheld' }),
    client.getContractEvents({ ...disputes, eventName: 'Proven' }),
    readChallenges(client, { fromBlock, network }),
  ])
  const sum = (amounts: readonly (bigint | undefined)[]) =>
    amounts.reduce<bigint>((sum, amount) => sum + (amount ?? 0n), 0n)
  const convicted = challenges.find(({ id }) => id === upheld[0]?.args.id)
  const fraud = proven[0]?.args.fraud
  return {
    /** Of refuted challenges, and of operators. */
    burned: {
      bonds: sum(answered.map(({ args }) => args.burned)),
      slash: sum(slashed.map(({ args }) => args.burned)),
    },
    challenges,
    /** What ended it: the kind of a challenge, or of a proof. */
    caughtBy: convicted?.point.kind ?? (fraud === undefined ? null : frauds[fraud]!),
    paid: {
      bonds: sum(answered.map(({ args }) => args.paid)),
      slash: sum(slashed.map(({ args }) => args.paid)),
    },
    slashed: slashed.map(({ args }) => args.operator!.toLowerCase()),
  }
}

/** As numbered by the contract. */
const frauds = ['fork', 'truncation', 'equivocation'] as const
