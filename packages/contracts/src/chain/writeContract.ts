import {
  type Abi,
  type Account,
  type Address,
  type Chain,
  type Client,
  type ContractFunctionArgs,
  type ContractFunctionName,
  type ContractFunctionReturnType,
  type EncodeFunctionDataParameters,
  encodeFunctionData,
  type Hash,
  type SimulateContractParameters,
  type TransactionReceipt,
  type Transport,
} from 'viem'
import { estimateContractGas, simulateContract } from 'viem/actions'
import { AccountMissingError, ContractError, toContractError } from '../errors.js'
import { gasLimit } from './gasLimit.js'
import { sendTransaction } from './sendTransaction.js'
import { waitForReceipt } from './waitForReceipt.js'

/** Any viem client: actions take what they need from it. */
export type AnyClient = Client<Transport, Chain | undefined, Account | undefined>

/** What every action that sends a transaction takes besides its own parameters. */
export type WriteOptions = {
  /** Who sends. @default the client's account */
  account?: Account | Address | undefined
  /** Called with the hash as soon as the transaction is sent, before it is mined. */
  onHash?: ((hash: Hash) => void) | undefined
  /** Blocks on top of the transaction's own to wait for, itself included. @default 1 */
  confirmations?: number | undefined
}

/** What every action that sends a transaction resolves with, besides its own result. */
export type WriteResult = { hash: Hash; receipt: TransactionReceipt }

/**
 * Simulates, estimates, sends, and waits until the transaction is mined. Several at once are fine,
 * as long as they do not depend on each other.
 *
 * The gas limit is the estimate and a quarter: what a call costs depends on
 * what was mined before it (a slot that is written for the first time, an epoch
 * that becomes final meanwhile), and an estimate can be stale by then.
 */
export async function writeContract<
  const abi extends Abi,
  functionName extends ContractFunctionName<abi, 'nonpayable' | 'payable'>,
  const args extends ContractFunctionArgs<abi, 'nonpayable' | 'payable', functionName>,
>(
  client: AnyClient,
  call: {
    abi: abi
    address: Address
    functionName: functionName
    args: args
    value?: bigint | undefined
  },
  options: WriteOptions,
): Promise<
  WriteResult & {
    result: ContractFunctionReturnType<abi, 'nonpayable' | 'payable', functionName, args>
  }
> {
  const { account = client.account, confirmations = 1, onHash } = options
  const { address, functionName } = call
  if (!account) throw new AccountMissingError(functionName)
  try {
    // viem's types cannot follow a generic ABI through its own generics.
    const request = { ...call, account } as unknown as SimulateContractParameters
    const { result } = await simulateContract(client, request)
    const estimate = await estimateContractGas(client, request as never)
    const data = encodeFunctionData(call as unknown as EncodeFunctionDataParameters)
    const receipt = await sendTransaction(
      client,
      { account, data, gas: gasLimit(estimate), to: address, value: call.value },
      (hash, sent) => {
        onHash?.(hash)
        return waitForReceipt(client, { address, confirmations, functionName, hash, sent })
      },
    )
    const hash = receipt.transactionHash
    if (receipt.status === 'reverted') {
      const reason = 'mined, but reverted: the chain changed after the simulation'
      const { blockNumber } = receipt
      const revert = await simulateContract(client, {
        ...request,
        blockNumber,
      } as SimulateContractParameters).then(
        () => undefined,
        (error) => (toContractError(error, call) as ContractError).revert,
      )
      throw new ContractError({ address, functionName, hash, reason, revert })
    }
    return { hash, receipt, result: result as never }
  } catch (error) {
    throw toContractError(error, { address, functionName })
  }
}
