import { readCredit, withdrawCredit } from '@machinefi/contracts'
import { formatEther } from 'viem'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { sendDispute } from '../../disputes/sendDispute.js'
import { formatJson } from '../../output/formatJson.js'
import { type DisputeOptions, openDisputes } from './openDisputes.js'

/** `machinefi challenge withdraw`: pays out stakes and rewards that disputes keep for the account. */
export async function withdrawAll(
  options: DisputeOptions & { account?: string },
  context: Context,
): Promise<void> {
  const client = await openChain(options, context)
  const network = await openDisputes(client, options, context)
  const account = client.account.address
  if ((await readCredit(client, { account, network })) === 0n)
    return context.stdout.write(
      options.json ? `${formatJson({ amount: 0n })}\n` : `Nothing is kept for ${account}.\n`,
    )
  const { amount, hash, receipt } = await sendDispute(() => withdrawCredit(client, { network }), {
    client,
    network,
  })
  context.stdout.write(
    options.json
      ? `${formatJson({ amount, transaction: hash, gasUsed: receipt.gasUsed })}\n`
      : `${formatEther(amount)} paid to ${account}.\n`,
  )
}
