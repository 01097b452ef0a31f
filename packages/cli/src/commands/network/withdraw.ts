import { withdrawFees } from '@machinefi/contracts'
import { formatEther } from 'viem'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { openNetwork } from '../../network/openNetwork.js'
import { formatJson } from '../../output/formatJson.js'

type Options = {
  account?: string
  json?: boolean
  network?: string
  node: string
  rpc: string
}

/** `machinefi network withdraw`: the join fees go to the network's owner, whoever asks. */
export async function withdrawJoinFees(options: Options, context: Context): Promise<void> {
  const client = await openChain(options, context)
  const { network } = await openNetwork(client, options, context)
  const { amount, hash, owner, receipt } = await withdrawFees(client, { network })
  const facts = { network: network.id, amount, owner }
  context.stdout.write(
    options.json
      ? `${formatJson({ ...facts, transaction: hash, gasUsed: receipt.gasUsed })}\n`
      : `${formatEther(amount)} coins paid to ${owner}.\n`,
  )
}
