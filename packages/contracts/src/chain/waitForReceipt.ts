import type { Address, Hash, TransactionReceipt } from 'viem'
import { waitForTransactionReceipt } from 'viem/actions'
import { ContractError } from '../errors.js'
import type { AnyClient } from './writeContract.js'

/**
 * Waits until a transaction is mined, or one with the same content and another fee.
 *
 * @throws {ContractError} if the account sent something else in its place.
 */
export async function waitForReceipt(
  client: AnyClient,
  options: {
    address?: Address | undefined
    confirmations: number
    functionName: string
    hash: Hash
  },
): Promise<TransactionReceipt> {
  const { address, confirmations, functionName, hash } = options
  let replaced = false
  const receipt = await waitForTransactionReceipt(client, {
    confirmations,
    hash,
    onReplaced: ({ reason }) => {
      replaced = reason !== 'repriced'
    },
  })
  if (!replaced) return receipt
  const reason = `never mined: the account sent ${receipt.transactionHash} in its place`
  throw new ContractError({ address, functionName, hash, reason })
}
