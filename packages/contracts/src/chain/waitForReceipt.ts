import type { Address, Hash, TransactionReceipt } from 'viem'
import { waitForTransactionReceipt } from 'viem/actions'
import { ContractError, TransactionRejectedError } from '../errors.js'
import type { Sent } from './sendTransaction.js'
import type { AnyClient } from './writeContract.js'

/**
 * Waits until a transaction is mined, or one with the same content and another fee.
 *
 * @throws {TransactionRejectedError} if another transaction of the account took its place.
 * @throws {ContractError} if the account cancelled it.
 */
export async function waitForReceipt(
  client: AnyClient,
  options: {
    address?: Address | undefined
    confirmations: number
    functionName: string
    hash: Hash
    sent?: Sent | undefined
  },
): Promise<TransactionReceipt> {
  const { address, confirmations, functionName, hash, sent: replacement } = options
  let replaced: 'cancelled' | 'replaced' | undefined
  const receipt = await waitForTransactionReceipt(client, {
    confirmations,
    hash,
    onReplaced: ({ reason }) => {
      replaced = reason === 'repriced' ? undefined : reason
    },
    replacement,
  })
  if (!replaced) return receipt
  const reason = `never mined: the account sent ${receipt.transactionHash} in its place`
  if (replaced === 'replaced') throw new TransactionRejectedError(functionName, reason, { hash })
  throw new ContractError({ address, functionName, hash, reason })
}
