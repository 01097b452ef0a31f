import { ContractError, type Network, readMembers } from '@machinefi/contracts'
import { BaseError, formatDid, fromHex, type Hex } from '@machinefi/core'
import { formatEther, InsufficientFundsError, BaseError as ViemError, zeroAddress } from 'viem'
import type { ChainClient } from '../chain/createChainClient.js'
import { explainRefusal } from './explainRefusal.js'

/**
 * Sends a transaction about a challenge. Where the contract refuses it, says
 * why in words, and what to do, where that is known.
 *
 * @throws {DisputeRefusedError} @throws {TooLittleMoneyError}
 */
export async function sendDispute<result>(
  send: () => Promise<result>,
  { client, id, network }: sendDispute.Options,
): Promise<result> {
  try {
    return await send()
  } catch (error) {
    if (!(error instanceof ContractError)) throw error
    const { address } = client.account
    if (isShortOfMoney(error.cause))
      throw new TooLittleMoneyError(address, await client.getBalance({ address }), error)
    if (!error.revert) throw error
    throw new DisputeRefusedError(error, await findRemedy(error.revert, { client, id, network }))
  }
}

export declare namespace sendDispute {
  type Options = {
    client: ChainClient
    /** Of the challenge, where there is one. */
    id?: string | undefined
    network: Network
  }
}

/** The contract refused. The name of its error is kept, for those who look it up. */
export class DisputeRefusedError extends BaseError {
  override readonly name = 'DisputeRefusedError'
  constructor(cause: ContractError, metaMessages: readonly string[]) {
    const text = explainRefusal(cause.revert?.name ?? '')
    super(`${text[0]?.toUpperCase()}${text.slice(1)}.`, {
      cause,
      docsPath: 'protocol/disputes.md',
      kind: 'contract',
      metaMessages,
    })
  }
}

export class TooLittleMoneyError extends BaseError {
  override readonly name = 'TooLittleMoneyError'
  constructor(account: string, balance: bigint, cause: unknown) {
    super(`${account} has ${formatEther(balance)}: too little for the gas, and the stake if any.`, {
      cause,
      kind: 'contract',
      metaMessages: [
        'Send it some of the chain’s coin, or name another account with --account.',
        '`machinefi network show` says what a challenge costs.',
      ],
    })
  }
}

/** viem knows it of what is simulated; of what is sent there only is what the node says. */
function isShortOfMoney(error: unknown): boolean {
  if (!(error instanceof ViemError)) return false
  const found = error.walk(
    (cause) =>
      cause instanceof InsufficientFundsError ||
      refusals.test((cause as { details?: string }).details ?? ''),
  )
  return found !== null
}

/** What nodes say where the account cannot pay; the last where gas is estimated. */
const refusals = /insufficient funds|exceeds .*account balance|gas required exceeds allowance/i

/** What can be done about it. */
async function findRemedy(
  { args, name }: ContractError.Revert,
  { client, id, network }: sendDispute.Options,
): Promise<string[]> {
  const [first, second, third] = args
  switch (name) {
    case 'AlreadyChallenged':
    case 'NotOpen': {
      if (second === 0) return ['There is no such challenge: `machinefi challenge list` has all.']
      return [
        `It is ${statuses[second as number]}.`,
        `See: machinefi challenge show ${id ?? first}`,
      ]
    }
    case 'BondTooSmall':
      return [
        `It is ${formatEther(first as bigint)}, and ${formatEther(second as bigint)} is asked for. Without --bond, the right one is taken.`,
      ]
    case 'ChallengeTimeOver':
      return [`It was over at ${toTime(first as bigint)}.`]
    case 'DeadlineNotOver':
      return [`Until ${toTime(first as bigint)}. Uphold it after that.`]
    case 'MayNotRead':
      return [
        `Asked by ${first}, for ${second === zeroAddress ? 'a slot without a member' : formatDid(fromHex(second as Hex))}.`,
        'An owner asks about windows that began when the device was its own; `machinefi network auditor` names who may ask about all.',
      ]
    case 'NodeOutOfBounds':
      return third === 0
        ? ['The ledger has one slot, and so nothing to reveal: challenge its carry or a step.']
        : [
            `Heights are 1 to ${third}. At height h, indexes are 0 to 2^(${third} − h) − 1: 0 at height ${third}, 0 to ${2 ** ((third as number) - 1) - 1} at height 1.`,
          ]
    case 'NotMemberOfSlot': {
      const members = await readMembers(client, { network }).catch(() => undefined)
      const member = members?.find(({ slot }) => slot === first)
      if (member) return [`Name the device of slot ${first}: ${formatDid(fromHex(member.device))}`]
      return members ? [`No member has slot ${first}: leave the device out.`] : []
    }
    case 'NotVoid':
      return ['A stake comes back when another challenge has voided the posting.']
    case 'SlotOutOfBounds':
      return [`Slots are 0 to ${2 ** (second as number) - 1}.`]
    default:
      return []
  }
}

/** As numbered by the contract. */
const statuses = ['not there', 'open', 'answered', 'upheld', 'refunded']

const toTime = (seconds: bigint | number) =>
  new Date(1000 * Number(seconds)).toISOString().replace('.000Z', 'Z')
