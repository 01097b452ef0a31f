import { refundChallenge } from '@machinefi/contracts'
import { formatEther } from 'viem'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { sendDispute } from '../../disputes/sendDispute.js'
import { formatJson } from '../../output/formatJson.js'
import { type DisputeOptions, openDisputes, parseChallengeId } from './openDisputes.js'

/** `machinefi challenge refund`: gives back the stake of a challenge whose epoch another one voided. */
export async function refundOne(
  text: string,
  options: DisputeOptions & { account?: string },
  context: Context,
): Promise<void> {
  const id = parseChallengeId(text)
  const client = await openChain(options, context)
  const network = await openDisputes(client, options, context)
  const { bond, hash, receipt } = await sendDispute(
    () => refundChallenge(client, { id, network }),
    { client, id, network },
  )
  context.stdout.write(
    options.json
      ? `${formatJson({ id, bond, transaction: hash, gasUsed: receipt.gasUsed })}\n`
      : `${formatEther(bond)} is the challenger’s again: machinefi challenge withdraw\n`,
  )
}
