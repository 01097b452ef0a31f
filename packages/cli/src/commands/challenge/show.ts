import { readChallenges, readEpochStatus } from '@machinefi/contracts'
import { formatEther } from 'viem'
import { openReader } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { formatWindow } from '../../options/parseWindow.js'
import { formatJson } from '../../output/formatJson.js'
import { formatDemand } from './formatPoint.js'
import {
  type DisputeOptions,
  openDisputes,
  parseChallengeId,
  UnknownChallengeError,
} from './openDisputes.js'

/** `machinefi challenge show`: what one challenge asks for, and what can be done about it now. */
export async function showChallenge(
  text: string,
  options: DisputeOptions,
  context: Context,
): Promise<void> {
  const id = parseChallengeId(text)
  const client = await openReader(options)
  const network = await openDisputes(client, options, context)
  const challenges = await readChallenges(client, { network })
  const challenge = challenges.find((challenge) => challenge.id === id)
  if (challenge === undefined) throw new UnknownChallengeError(id)
  const { attempt, bond, challenger, deadline, point, status, window } = challenge
  const [epoch, { timestamp }] = await Promise.all([
    readEpochStatus(client, { attempt, network, window }),
    client.getBlock(),
  ])
  const next = () => {
    if (status !== 'open') return outcomes[status]
    if (epoch === 'void')
      return `the epoch is void: \`machinefi challenge refund ${id}\` gives the stake back`
    if (timestamp > deadline)
      return `nobody answered in time: \`machinefi challenge uphold ${id}\` slashes the operator`
    return `open: anyone may answer until ${new Date(1000 * deadline).toISOString()}`
  }
  if (options.json) return context.stdout.write(`${formatJson({ ...challenge, epoch })}\n`)
  const lines = [
    ['challenge', id],
    ['kind', point.kind],
    ['asks', formatDemand(point)],
    [
      'epoch',
      `${formatWindow(window, 1000 * network.windowSeconds)}, attempt ${attempt}: ${epoch}`,
    ],
    ['by', challenger],
    ['stake', formatEther(bond)],
    ['status', next()],
  ] as const
  context.stdout.write(lines.map(([name, text]) => `${name.padEnd(10)} ${text}\n`).join(''))
}

const outcomes = {
  answered: 'answered: the stake is lost, half of it to whoever answered',
  none: 'never opened',
  refunded: 'refunded: the epoch was voided by another challenge',
  upheld: 'upheld: the operator was slashed',
} as const
