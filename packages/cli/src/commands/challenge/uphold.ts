import { upholdChallenge } from '@machinefi/contracts'
import { formatEther } from 'viem'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { sendDispute } from '../../disputes/sendDispute.js'
import { formatJson } from '../../output/formatJson.js'
import { type DisputeOptions, openDisputes, parseChallengeId } from './openDisputes.js'

/** `machinefi challenge uphold`: slashes the operator of a challenge that nobody answered in time. */
export async function upholdOne(
  text: string,
  options: DisputeOptions & { account?: string },
  context: Context,
): Promise<void> {
  const id = parseChallengeId(text)
  const client = await openChain(options, context)
  const network = await openDisputes(client, options, context)
  const { challenger, hash, operator, receipt, reward } = await sendDispute(
    () => upholdChallenge(client, { id, network }),
    { client, id, network },
  )
  context.stdout.write(
    options.json
      ? `${formatJson({ id, operator, challenger, reward, transaction: hash, gasUsed: receipt.gasUsed })}\n`
      : `${operator} is slashed. ${formatEther(reward)} and the stake are ${challenger}’s: machinefi challenge withdraw\n`,
  )
}
