import {
  createClient,
  custom,
  encodeAbiParameters,
  encodeEventTopics,
  encodeFunctionResult,
  getAbiItem,
  type Hex,
  keccak256,
  toHex,
  WaitForTransactionReceiptTimeoutError,
  zeroAddress,
  zeroHash,
} from 'viem'
import { describe, expect, test, vi } from 'vitest'
import { iSettlementAbi as abi } from '../abis/iSettlementAbi.js'
import { ChainUnavailableError, ContractError, toContractError } from '../errors.js'
import { configHash, type NetworkConfig } from '../NetworkConfig.js'
import { finalizeEpochs } from './finalizeEpochs.js'
import { readConfig } from './readConfig.js'
import { watchEpochs } from './watchEpochs.js'

// What a real chain in a test does not do: nodes that answer as told.

const settlement = `0x${'aa'.repeat(20)}` as const
const account = `0x${'bb'.repeat(20)}` as const
const network = { firstWindow: 10, settlement }

function clientOf(answers: Record<string, (params: never) => unknown>) {
  const request = async ({ method, params }: { method: string; params: never }) => {
    const answer = answers[method]
    if (!answer) throw Object.assign(new Error(`no ${method}`), { code: -32601 })
    return answer(params)
  }
  return createClient({
    account,
    pollingInterval: 5,
    transport: custom({ request } as never, { retryCount: 0 }),
  })
}

const logOf = (topics: readonly unknown[], data: Hex, block: number, removed = false) => ({
  address: settlement,
  blockHash: zeroHash,
  blockNumber: toHex(block),
  data,
  logIndex: '0x0',
  removed,
  topics,
  transactionHash: keccak256(toHex(block)),
  transactionIndex: '0x0',
})

describe('readConfig', () => {
  const config: NetworkConfig = {
    schema: 1n,
    schemaHash: zeroHash,
    fields: 1,
    tickMs: 1000,
    metric: settlement,
    metricParams: '0x',
    policy: settlement,
    policyParams: '0x',
    operator: zeroAddress,
    grace: 1,
    challengeWindow: 2,
    responseTime: 3,
    takeoverDelay: 4,
    retention: 5,
    maxRowsBytes: 6,
    minBond: 7n,
    coverage: 8n,
  }
  const hash = configHash(config)
  const event = getAbiItem({ abi, name: 'ConfigSet' })
  const setFrom = (fromWindow: number) =>
    logOf(
      encodeEventTopics({ abi: [event], args: { configHash: hash, fromWindow } }),
      encodeAbiParameters([event.inputs[2]], [config]),
      fromWindow,
    )
  const version = {
    configHash: hash,
    operator: zeroAddress,
    grace: 1,
    challengeWindow: 2,
    takeoverDelay: 4,
    responseTime: 3,
    minBond: 7n,
    coverage: 8n,
  }
  const client = clientOf({
    eth_blockNumber: () => toHex(100),
    eth_call: () => encodeFunctionResult({ abi, functionName: 'versionAt', result: version }),
    eth_getLogs: () => [setFrom(10), setFrom(30)],
  })

  test('behavior: rules that were set again', async () => {
    const fromWindow = async (window?: number) =>
      (await readConfig(client, { network, window })).fromWindow
    expect(await fromWindow()).toBe(10)
    expect(await fromWindow(29)).toBe(10)
    expect(await fromWindow(30)).toBe(30)
    expect(await fromWindow(31)).toBe(30)
  })
})

describe('watchEpochs', () => {
  test('behavior: a reorganisation', async () => {
    const topics = encodeEventTopics({ abi, args: { window: 12 }, eventName: 'Finalized' })
    const data = encodeAbiParameters([{ type: 'uint128' }], [5n])
    let polled = 0
    const client = clientOf({
      eth_getFilterChanges: () => {
        polled++
        if (polled === 1) return [logOf(topics, data, 7)]
        return polled === 2 ? [logOf(topics, data, 7, true)] : []
      },
      eth_newFilter: () => '0x1',
      eth_uninstallFilter: () => true,
    })
    const onFinal = vi.fn()
    const unwatch = watchEpochs(client, { network, onFinal })
    await vi.waitFor(() => expect(polled).toBeGreaterThan(3))
    unwatch()
    expect(onFinal).toHaveBeenCalledTimes(1)
    expect(onFinal).toHaveBeenCalledWith({ ledgerTotal: 5n, window: 12 })
  })
})

describe('writeContract', () => {
  const sent = keccak256('0x01')
  const other = keccak256('0x02')

  /** A node that estimates `gas` and mines `mined` (the transaction by default) at once. */
  function nodeOf({ gas, mined = sent }: { gas: bigint; mined?: Hex }) {
    const limits: bigint[] = []
    const transaction = (hash: Hex, value: string) => ({
      blockHash: hash === mined ? zeroHash : null,
      blockNumber: hash === mined ? toHex(9) : null,
      from: account,
      gas: toHex(gas),
      hash,
      input: '0x',
      nonce: toHex(3),
      to: settlement,
      type: '0x2',
      value,
    })
    const client = clientOf({
      eth_blockNumber: () => toHex(9),
      eth_call: () => '0x',
      eth_chainId: () => toHex(1),
      eth_estimateGas: () => toHex(gas),
      eth_getBlockByNumber: () => ({
        number: toHex(9),
        transactions: [mined === sent ? transaction(sent, '0x0') : transaction(other, '0x1')],
      }),
      eth_getTransactionByHash: ([hash]: [Hex]) =>
        hash === sent ? transaction(sent, '0x0') : null,
      eth_getTransactionReceipt: ([hash]: [Hex]) =>
        hash === mined
          ? { blockNumber: toHex(9), logs: [], status: '0x1', transactionHash: mined }
          : null,
      eth_sendTransaction: ([request]: [{ gas: Hex }]) => {
        limits.push(BigInt(request.gas))
        return sent
      },
    })
    return { client, limits }
  }

  test.each([
    [80_000n, 100_000n],
    // Not more than EIP-7825 allows, unless the chain has no such limit.
    [15_000_000n, 2n ** 24n],
    [2n ** 24n, 2n ** 24n],
    [20_000_000n, 25_000_000n],
  ])('behavior: an estimate of %s', async (gas, limit) => {
    const { client, limits } = nodeOf({ gas })
    expect(await finalizeEpochs(client, { network })).toMatchObject({ hash: sent })
    expect(limits).toEqual([limit])
  })

  test('error: another transaction in its place', async () => {
    const { client } = nodeOf({ gas: 80_000n, mined: other })
    const error = await finalizeEpochs(client, { network }).catch((error) => error)
    expect(error).toBeInstanceOf(ContractError)
    expect(error.hash).toBe(sent)
    expect(error.message).toContain(`the account sent ${other} in its place`)
  })

  test('error: not mined yet', () => {
    const timeout = new WaitForTransactionReceiptTimeoutError({ hash: sent })
    const error = toContractError(timeout, { functionName: 'finalize' })
    expect(error).toBeInstanceOf(ChainUnavailableError)
    expect(error.kind).toBe('transport')
    expect(error.message).toContain(sent)
  })
})
