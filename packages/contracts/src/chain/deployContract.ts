import type { Address, Hex } from 'viem'
import { estimateGas } from 'viem/actions'
import { AccountMissingError, ContractError, toContractError } from '../errors.js'
import { gasLimit } from './gasLimit.js'
import { sendTransaction } from './sendTransaction.js'
import { toLowerCase } from './toLowerCase.js'
import { waitForReceipt } from './waitForReceipt.js'
import type { AnyClient, WriteOptions, WriteResult } from './writeContract.js'

/** Deploys `data` (bytecode and encoded constructor arguments) and waits until it is mined. */
export async function deployContract(
  client: AnyClient,
  call: { data: Hex; name: string },
  options: WriteOptions,
): Promise<WriteResult & { address: Address }> {
  const { account = client.account, confirmations = 1, onHash } = options
  const functionName = `Deploying ${call.name}`
  if (!account) throw new AccountMissingError(functionName)
  try {
    const gas = await estimateGas(client, { account, data: call.data })
    const receipt = await sendTransaction(
      client,
      { account, data: call.data, gas: gasLimit(gas) },
      (hash, sent) => {
        onHash?.(hash)
        return waitForReceipt(client, { confirmations, functionName, hash, sent })
      },
    )
    const { contractAddress, transactionHash: hash } = receipt
    if (receipt.status === 'reverted' || !contractAddress) {
      throw new ContractError({ functionName, hash, reason: 'mined, but reverted' })
    }
    return { address: toLowerCase(contractAddress), hash, receipt }
  } catch (error) {
    throw toContractError(error, { functionName })
  }
}
