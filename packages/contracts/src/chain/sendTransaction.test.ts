import {
  type Address,
  createClient,
  custom,
  type Hash,
  type Hex,
  http,
  keccak256,
  parseAbi,
  parseGwei,
} from 'viem'
import { anvil } from 'viem/chains'
import { createNonceManager, jsonRpc } from 'viem/nonce'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Chain, deploy, devAccount, startChain } from '../../test/startChain.js'
import { ContractError, TransactionRejectedError } from '../errors.js'
import { type AnyClient, type WriteOptions, writeContract } from './writeContract.js'

const account = devAccount(1)
const abi = parseAbi(['function ping(uint256 number)'])

describe('sendTransaction', () => {
  let chain: Chain
  /** A contract that takes every call. */
  let address: Address
  beforeAll(async () => {
    chain = await startChain()
    address = await deploy(chain.client, '0x6001600c60003960016000f300')
  })
  afterAll(() => chain?.close())

  const connect = () =>
    createClient({ account, chain: anvil, pollingInterval: 20, transport: http(chain.url) })

  /** A client whose endpoint answers some methods in another way; `next` asks the chain. */
  function connectWith(answers: {
    [method: string]: (next: () => Promise<unknown>, params: readonly unknown[]) => Promise<unknown>
  }): AnyClient {
    const request = ({ method, params }: { method: string; params: readonly unknown[] }) => {
      const next = () => chain.client.request({ method, params } as never)
      return answers[method] ? answers[method](next, params) : next()
    }
    const transport = custom({ request } as never, { retryCount: 0 })
    return createClient({ account, chain: anvil, pollingInterval: 20, transport })
  }

  const ping = (client: AnyClient, number = 0, options: WriteOptions = {}) =>
    writeContract(client, { abi, address, args: [BigInt(number)], functionName: 'ping' }, options)
  const nonceOf = async ({ hash }: { hash: Hash }) =>
    (await chain.client.getTransaction({ hash })).nonce
  const nextNonce = () => chain.client.getTransactionCount({ address: account.address })
  const errorOf = (promise: Promise<unknown>) =>
    promise.then(
      () => undefined,
      (error) => error,
    )
  const refuse = (message: string) =>
    Promise.reject(Object.assign(new Error(message), { code: -32000 }))

  test('behavior: many at once, from two clients of one endpoint', async () => {
    const first = await nextNonce()
    const clients = [connect(), connect()]
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) => ping(clients[i % 2]!, i)),
    )
    const nonces = await Promise.all(results.map(nonceOf))
    // Whichever was estimated first goes first.
    expect(nonces.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => first + i))
  })

  test('behavior: an endpoint that lags', async () => {
    const count = await nextNonce()
    const client = connectWith({ eth_getTransactionCount: async () => count })
    const nonces = await Promise.all(
      (await Promise.all([1, 2, 3].map((i) => ping(client, i)))).map(nonceOf),
    )
    expect(nonces.sort((a, b) => a - b)).toEqual([count, count + 1, count + 2])
    expect(await errorOf(ping(client))).toBeInstanceOf(TransactionRejectedError)
  })

  test('behavior: one that is refused leaves no gap', async () => {
    const first = await nextNonce()
    let sent = 0
    const client = connectWith({
      eth_sendRawTransaction: (next) => (sent++ === 1 ? refuse('not today') : next()),
    })
    const results = await Promise.allSettled([1, 2, 3].map((i) => ping(client, i)))
    // Which of them is the second to be sent is open.
    const statuses = results.map(({ status }) => status).sort()
    expect(statuses).toEqual(['fulfilled', 'fulfilled', 'rejected'])
    expect(await nextNonce()).toBe(first + 2)
    expect(await nonceOf(await ping(client))).toBe(first + 2)
  })

  test('behavior: taken by an endpoint that did not say so', async () => {
    const client = connectWith({
      eth_sendRawTransaction: async (next) => {
        await next()
        return refuse('already known')
      },
    })
    const onHash = vi.fn()
    const { hash } = await ping(client, 0, { onHash })
    expect(onHash).toHaveBeenCalledWith(hash)
  })

  test('behavior: an account that numbers its own', async () => {
    const nonceManager = createNonceManager({ source: jsonRpc() })
    const results = await Promise.all(
      [1, 2, 3].map((i) => ping(connect(), i, { account: { ...account, nonceManager } })),
    )
    expect(new Set(await Promise.all(results.map(nonceOf))).size).toBe(3)
  })

  test('behavior: fees that outlive a rise of the base fee', async () => {
    const { hash } = await ping(connect())
    const { blockHash, maxFeePerGas } = await chain.client.getTransaction({ hash })
    const { baseFeePerGas } = await chain.client.getBlock({ blockHash: blockHash! })
    expect(maxFeePerGas).toBeGreaterThan(2n * baseFeePerGas!)
  })

  test('error: another process took the nonce', async () => {
    await ping(connect())
    const count = await nextNonce()
    const client = connectWith({ eth_getTransactionCount: async () => count - 1 })
    const error = await errorOf(ping(client))
    expect(error).toBeInstanceOf(TransactionRejectedError)
    expect(error.kind).toBe('transport')
    expect(error.shortMessage).toBe('ping: another transaction of the account took its nonce.')
  })

  test('error: fees below the base fee', async () => {
    const client = connectWith({
      eth_sendRawTransaction: () => refuse('max fee per gas less than block base fee'),
    })
    const error = await errorOf(ping(client))
    expect(error).toBeInstanceOf(TransactionRejectedError)
    expect(error.shortMessage).toBe('ping: fees rose before it was sent.')
  })

  describe('while nothing is mined', () => {
    beforeAll(() => chain.client.setAutomine(false))
    afterAll(() => chain.client.setAutomine(true))

    test('error: what waits has the nonce', async () => {
      const nonce = await nextNonce()
      const fee = parseGwei('100')
      const waiting = { account, maxFeePerGas: fee, maxPriorityFeePerGas: fee, nonce }
      await chain.client.sendTransaction({ ...waiting, to: address })
      const client = connectWith({ eth_getTransactionCount: async () => nonce })
      const error = await errorOf(ping(client))
      expect(error).toBeInstanceOf(TransactionRejectedError)
      expect(error.shortMessage).toBe('ping: another transaction of the account took its nonce.')
      await chain.client.mine({ blocks: 1 })
    })

    /** Sends a ping, and at once, for twice the fee, something else in its place. */
    async function pingReplaced(
      replacement: (data: Hex) => { data?: Hex; to: Address; value?: bigint },
    ) {
      const replace = async (hash: Hash) => {
        const { gas, input, maxFeePerGas, nonce } = await chain.client.getTransaction({ hash })
        const fee = 2n * maxFeePerGas!
        const fees = { gas, maxFeePerGas: fee, maxPriorityFeePerGas: fee, nonce }
        const sent = await chain.client.sendTransaction({ ...replacement(input), ...fees, account })
        await chain.client.mine({ blocks: 1 })
        return sent
      }
      let replacing: Promise<Hash> | undefined
      const onHash = (hash: Hash) => {
        replacing = replace(hash)
      }
      const result = await ping(connect(), 5, { onHash }).catch((error) => error)
      return { hash: await replacing, result }
    }

    test('error: replaced by another one', async () => {
      const replacement = { data: keccak256('0x01'), to: address }
      const { hash, result } = await pingReplaced(() => replacement)
      expect(result).toBeInstanceOf(TransactionRejectedError)
      expect(result.message).toContain(`the account sent ${hash} in its place`)
    })

    test('error: cancelled', async () => {
      const { result } = await pingReplaced(() => ({ to: account.address, value: 0n }))
      expect(result).toBeInstanceOf(ContractError)
      expect(result.shortMessage).toContain('in its place')
    })

    test('behavior: sent again with another fee', async () => {
      const { hash, result } = await pingReplaced((data) => ({ data, to: address }))
      expect(result).toMatchObject({ hash, receipt: { status: 'success' } })
    })
  })
})
