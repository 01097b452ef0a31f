import { readCredit, readOperator } from '@machinefi/contracts'
import type { Address } from 'viem'
import type { Scene } from './openScene.js'

/** What an account has: on the chain, and to be withdrawn. */
export async function readMoney({ client, network }: Scene, account: Address): Promise<bigint> {
  const [balance, credit] = await Promise.all([
    client.getBalance({ address: account }),
    readCredit(client, { account, network }),
  ])
  return balance + credit
}

/** What an operator has at stake. */
export async function readBond({ client, network }: Scene, operator: Address): Promise<bigint> {
  const { bond, leaving } = await readOperator(client, { network, operator })
  return bond + leaving
}

/** What the transactions of an account cost since a block, in wei. */
export async function readGas({ client }: Scene, account: Address, since: bigint): Promise<bigint> {
  const last = await client.getBlockNumber()
  let cost = 0n
  for (let blockNumber = since + 1n; blockNumber <= last; blockNumber++) {
    const { transactions } = await client.getBlock({ blockNumber, includeTransactions: true })
    for (const { from, hash } of transactions) {
      if (from.toLowerCase() !== account.toLowerCase()) continue
      const { effectiveGasPrice, gasUsed } = await client.getTransactionReceipt({ hash })
      cost += effectiveGasPrice * gasUsed
    }
  }
  return cost
}
