import { readChallenges } from '@machinefi/contracts'
import { formatEther } from 'viem'
import { openReader } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { formatWindow, parseWindow } from '../../options/parseWindow.js'
import { formatJson } from '../../output/formatJson.js'
import { formatTable } from '../../output/formatTable.js'
import { formatPoint } from './formatPoint.js'
import { type DisputeOptions, openDisputes } from './openDisputes.js'

/** `machinefi challenge list`: every challenge there ever was, and what became of it. */
export async function listChallenges(
  options: DisputeOptions & { window?: string },
  context: Context,
): Promise<void> {
  const client = await openReader(options)
  const network = await openDisputes(client, options, context)
  const windowMs = 1000 * network.windowSeconds
  const window = options.window === undefined ? undefined : parseWindow(options.window, windowMs)
  const challenges = await readChallenges(client, { network, window })
  if (options.json) return context.stdout.write(`${formatJson(challenges)}\n`)
  if (challenges.length === 0) return context.stdout.write('Nobody has challenged anything.\n')
  context.stdout.write(
    `${formatTable(
      ['window', 'kind', 'points at', 'stake', 'status', 'answer until', 'id'],
      challenges.map(({ bond, deadline, id, point, status, window }) => [
        formatWindow(window, windowMs),
        point.kind,
        formatPoint(point),
        formatEther(bond),
        status,
        status === 'open' ? new Date(1000 * deadline).toISOString().replace('.000Z', 'Z') : '',
        id,
      ]),
      { right: [3] },
    )}\n`,
  )
}
