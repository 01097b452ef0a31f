import {
  type Challenge,
  type Network,
  openChallenge,
  readEpoch,
  readMembers,
} from '@machinefi/contracts'
import { BaseError, fromHex, parseDid } from '@machinefi/core'
import { formatEther } from 'viem'
import { type ChainClient, openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { sendDispute } from '../../disputes/sendDispute.js'
import { parseCoins } from '../../options/parseCoins.js'
import { parseInteger } from '../../options/parseInteger.js'
import { formatWindow, parseWindow } from '../../options/parseWindow.js'
import { formatJson } from '../../output/formatJson.js'
import { type DisputeOptions, openDisputes } from './openDisputes.js'

type Options = DisputeOptions & { account?: string; bond?: string }

/**
 * `machinefi challenge open`: the challenges that need no evidence. What
 * evidence shows is for `machinefi audit`.
 *
 * @param point what the kind points at, as given on the command line.
 */
export async function openNewChallenge(
  kind: 'carry' | 'reveal' | 'step',
  window: string,
  point: readonly (string | undefined)[],
  options: Options,
  context: Context,
): Promise<void> {
  const challenge = parseChallenge(kind, point)
  const bond = options.bond === undefined ? undefined : parseCoins('--bond', options.bond)
  const client = await openChain(options, context)
  const network = await openDisputes(client, options, context)
  const windowMs = 1000 * network.windowSeconds
  const number = parseWindow(window, windowMs)
  const epoch = await readEpoch(client, { network, window: number })
  if (epoch?.status !== 'pending')
    throw new NotChallengeableError(
      formatWindow(number, windowMs),
      epoch === null ? 'was never posted' : `is ${epoch.status}`,
    )
  const { attempt } = epoch
  const named = await nameDevice(client, challenge, network)
  const opened = await sendDispute(
    () => openChallenge(client, { attempt, bond, challenge: named, network, window: number }),
    { client, network },
  )
  const { receipt, hash: transaction, ...facts } = opened
  if (options.json)
    return context.stdout.write(
      `${formatJson({ ...facts, transaction, gasUsed: receipt.gasUsed })}\n`,
    )
  context.stdout.write(`${opened.id}\n`)
  context.stderr.write(
    `${formatEther(opened.bond)} is at stake. Anyone may answer until ${new Date(1000 * opened.deadline).toISOString()}.\nIf nobody does: machinefi challenge uphold ${opened.id}\n`,
  )
}

function parseChallenge(
  kind: 'carry' | 'reveal' | 'step',
  [first = '', second]: readonly (string | undefined)[],
): Challenge {
  const integer = (name: string, text: string | undefined, most = 0xffffffff) =>
    parseInteger(name, text ?? '', { most })
  if (kind === 'step') return { kind, slot: integer('slot', first), step: integer('step', second) }
  if (kind === 'reveal')
    return { kind, height: integer('height', first, 32), index: integer('index', second) }
  return {
    kind,
    device: second === undefined ? null : parseDid(second),
    slot: integer('slot', first),
  }
}

/** In a private network the contract asks for whom a step is. */
async function nameDevice(
  client: ChainClient,
  challenge: Challenge,
  network: Network,
): Promise<Challenge> {
  if (challenge.kind !== 'step' || !network.isPrivate) return challenge
  const members = await readMembers(client, { network })
  const member = members.find(({ slot }) => slot === challenge.slot)
  return { ...challenge, device: member ? fromHex(member.device) : null }
}

export class NotChallengeableError extends BaseError {
  override readonly name = 'NotChallengeableError'
  constructor(window: string, reason: string) {
    super(`Window ${window} ${reason}: there is nothing to challenge.`, {
      kind: 'contract',
      metaMessages: ['Only epochs that stand and are not final yet can be challenged.'],
    })
  }
}
