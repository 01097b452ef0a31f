import {
  type Account,
  type Address,
  type Hash,
  type Hex,
  keccak256,
  type WaitForTransactionReceiptParameters,
} from 'viem'
import { parseAccount } from 'viem/accounts'
import {
  getTransactionCount,
  prepareTransactionRequest,
  sendTransaction as sendByNode,
  sendRawTransaction,
} from 'viem/actions'
import { isKnownTransaction } from '../errors.js'
import type { AnyClient } from './writeContract.js'

type Request = { account: Account | Address; data: Hex; gas: bigint } & (
  | { to: Address; value?: bigint | undefined }
  | { to?: undefined; value?: undefined }
)

/** By which another transaction in its place is found. */
export type Sent = NonNullable<WaitForTransactionReceiptParameters['replacement']>

/** What an account sends at an endpoint: one transaction after the other. */
type Lane = {
  /** Settles when the one before was taken or refused. */
  last: Promise<unknown>
  /** Nonces taken by the node that an action waits for. */
  inFlight: Set<number>
}

const lanes = new Map<string, Lane>()

/**
 * Sends a transaction and waits for what `wait` makes of its hash.
 *
 * Several actions of one account may run at once: between asking for the nonce and the node's yes
 * they take turns, and a nonce that an action still waits for is never given again, even where the
 * node that is asked has not heard of it yet. None is kept back either, so that a transaction that
 * was refused leaves no gap. An account that another process uses too can still collide, and is told
 * so. An account with a `nonceManager`, and one whose key the node or a wallet has, numbers its own.
 */
export async function sendTransaction<result>(
  client: AnyClient,
  request: Request,
  wait: (hash: Hash, sent?: Sent) => Promise<result>,
): Promise<result> {
  const account = parseAccount(request.account)
  const transaction = { ...request, account, chain: client.chain ?? null }
  if (account.type !== 'local' || account.nonceManager) {
    return wait(await sendByNode(client, transaction as Parameters<typeof sendByNode>[1]))
  }
  // Clients of one endpoint are one; ports of test chains with one chain id are not.
  const key = `${client.transport.url ?? client.uid} ${account.address}`
  const lane = lanes.get(key) ?? { inFlight: new Set(), last: Promise.resolve() }
  lanes.set(key, lane)

  const send = async () => {
    const pending = await getTransactionCount(client, {
      address: account.address,
      blockTag: 'pending',
    })
    const nonce = Math.max(pending, ...[...lane.inFlight].map((taken) => taken + 1))
    const prepared = await prepareTransactionRequest(client, { ...transaction, nonce } as never)
    const serializedTransaction = await account.signTransaction(withRoom(prepared) as never, {
      serializer: client.chain?.serializers?.transaction as never,
    })
    try {
      await sendRawTransaction(client, { serializedTransaction })
    } catch (error) {
      // One of several endpoints took it and did not say so in time.
      if (!isKnownTransaction(error)) throw error
    }
    lane.inFlight.add(nonce)
    return { hash: keccak256(serializedTransaction), nonce }
  }
  const turn = lane.last.then(send)
  const last = turn.catch(() => {})
  lane.last = last
  let nonce: number | undefined
  try {
    const sent = await turn
    nonce = sent.nonce
    const { data: input, to = null, value = 0n } = request
    return await wait(sent.hash, { from: account.address, input, nonce, to, value })
  } finally {
    if (nonce !== undefined) lane.inFlight.delete(nonce)
    if (lane.last === last && lane.inFlight.size === 0) lanes.delete(key)
  }
}

/**
 * Offers twice the base fee that viem does, 2.4 times the present one. Only the actual one is paid;
 * below it a transaction waits, and all later ones of the account behind it.
 */
function withRoom<request extends object>(request: request): request {
  const { maxFeePerGas, maxPriorityFeePerGas: tip } = request as {
    maxFeePerGas?: bigint
    maxPriorityFeePerGas?: bigint
  }
  if (maxFeePerGas === undefined || tip === undefined) return request
  return { ...request, maxFeePerGas: 2n * maxFeePerGas - tip }
}
