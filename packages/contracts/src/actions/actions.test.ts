import {
  type AbiEvent,
  createClient,
  custom,
  encodeAbiParameters,
  encodeEventTopics,
  encodeFunctionResult,
  getAbiItem,
  type Hex,
  keccak256,
  pad,
  toFunctionSelector,
  toHex,
  WaitForTransactionReceiptTimeoutError,
  zeroAddress,
  zeroHash,
} from 'viem'
import { describe, expect, test, vi } from 'vitest'
import { iDeviceRegistryAbi } from '../abis/iDeviceRegistryAbi.js'
import { iMembershipAbi } from '../abis/iMembershipAbi.js'
import { iSettlementAbi as abi } from '../abis/iSettlementAbi.js'
import {
  ChainUnavailableError,
  InvalidArgumentError,
  TransactionRejectedError,
  toContractError,
} from '../errors.js'
import { configHash, type NetworkConfig } from '../NetworkConfig.js'
import { answerChallenge } from './answerChallenge.js'
import { finalizeEpochs } from './finalizeEpochs.js'
import { openChallenge } from './openChallenge.js'
import { readConfig } from './readConfig.js'
import { readCredit } from './readCredit.js'
import { readMembers } from './readMembers.js'
import { upholdChallenge } from './upholdChallenge.js'
import { watchEpochs } from './watchEpochs.js'
import { withdrawCredit } from './withdrawCredit.js'

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

const logOf = (topics: readonly unknown[], data: Hex, block: number, fork = 0) => ({
  address: settlement,
  blockHash: keccak256(toHex(1_000 * fork + block)),
  blockNumber: toHex(block),
  data,
  logIndex: '0x0',
  removed: false,
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
    challengeBond: 9n,
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
    challengeBond: 9n,
    maxRowsBytes: 6,
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
  const topics = (window: number) =>
    encodeEventTopics({ abi, args: { window }, eventName: 'Finalized' })
  const data = encodeAbiParameters([{ type: 'uint128' }], [5n])

  /** A node whose head and events are the ones of `chain`. */
  function nodeOf(chain: { head: number; fork: number; logs: ReturnType<typeof logOf>[] }) {
    const asked: string[] = []
    let polls = 0
    const client = clientOf({
      eth_getBlockByNumber: () => {
        polls++
        return {
          hash: keccak256(toHex(1_000 * chain.fork + chain.head)),
          number: toHex(chain.head),
        }
      },
      eth_getLogs: ([{ fromBlock, toBlock }]: [{ fromBlock: Hex; toBlock: Hex }]) => {
        asked.push(`${Number(fromBlock)}-${Number(toBlock)}`)
        return chain.logs.filter(
          ({ blockNumber }) =>
            Number(blockNumber) >= Number(fromBlock) && Number(blockNumber) <= Number(toBlock),
        )
      },
    })
    return { asked, client, polls: () => polls }
  }

  test('behavior: history first, then what is new', async () => {
    const chain = { fork: 0, head: 100, logs: [3, 50].map((n) => logOf(topics(n), data, n)) }
    const { asked, client } = nodeOf(chain)
    const windows: number[] = []
    const onFinal = ({ window }: { window: number }) => windows.push(window)
    const unwatch = watchEpochs(client, { fromBlock: 1n, network, onFinal })
    await vi.waitFor(() => expect(windows).toEqual([3, 50]))
    chain.logs.push(logOf(topics(101), data, 101))
    chain.head = 101
    await vi.waitFor(() => expect(windows).toEqual([3, 50, 101]))
    unwatch()
    expect(asked).toEqual(['1-100', '36-101'])
  })

  test('behavior: without a first block, only what is new', async () => {
    const chain = { fork: 0, head: 100, logs: [logOf(topics(99), data, 99)] }
    const { client, polls } = nodeOf(chain)
    const onFinal = vi.fn()
    const unwatch = watchEpochs(client, { network, onFinal })
    await vi.waitFor(() => expect(polls()).toBeGreaterThan(1))
    chain.logs.push(logOf(topics(102), data, 102))
    chain.head = 102
    await vi.waitFor(() => expect(onFinal).toHaveBeenCalledTimes(1))
    unwatch()
    expect(onFinal).toHaveBeenCalledWith({ ledgerTotal: 5n, window: 102 })
  })

  test('behavior: a reorganisation', async () => {
    const chain = { fork: 0, head: 9, logs: [7, 8].map((n) => logOf(topics(n), data, n)) }
    const { client } = nodeOf(chain)
    const windows: number[] = []
    const onFinal = ({ window }: { window: number }) => windows.push(window)
    const unwatch = watchEpochs(client, { fromBlock: 0n, network, onFinal })
    await vi.waitFor(() => expect(windows).toEqual([7, 8]))
    // The last event is in another block now, of the same number.
    const moved = logOf(topics(8), data, 8, 1)
    chain.logs.splice(1, 1, moved, logOf(topics(9), data, 9, 1))
    chain.fork = 1
    await vi.waitFor(() => expect(windows).toEqual([7, 8, 8, 9]))
    unwatch()
  })

  test('error: a callback that throws', async () => {
    const chain = { fork: 0, head: 9, logs: [7, 8].map((n) => logOf(topics(n), data, n)) }
    const onFinal = vi.fn().mockImplementationOnce(() => {
      throw new Error('not today')
    })
    const onError = vi.fn()
    const unwatch = watchEpochs(nodeOf(chain).client, { fromBlock: 0n, network, onError, onFinal })
    await vi.waitFor(() => expect(onFinal).toHaveBeenCalledTimes(2))
    unwatch()
    expect(onError).toHaveBeenCalledTimes(1)
    expect(onError.mock.calls[0]![0].message).toContain('not today')
  })
})

describe('readMembers', () => {
  const device = `0x${'cc'.repeat(20)}` as const
  const joined = iMembershipAbi.find((item) => item.type === 'event' && item.name === 'Joined')
  const registered = getAbiItem({ abi: iDeviceRegistryAbi, name: 'Registered' })

  test('error: a key that is not the device’s', async () => {
    const log = (event: AbiEvent, indexed: Hex[], values: unknown[]) =>
      logOf(
        [encodeEventTopics({ abi: [event] })[0], ...indexed],
        encodeAbiParameters(
          event.inputs.filter(({ indexed }) => !indexed),
          values,
        ),
        7,
      )
    const member = { assurance: 0, joinedAt: 5, slot: 0, suspendedAt: 0 }
    const client = clientOf({
      eth_blockNumber: () => toHex(9),
      eth_call: ([{ data }]: [{ data: Hex }]) =>
        data.startsWith(toFunctionSelector('function ownerOf(uint256)'))
          ? encodeAbiParameters([{ type: 'address' }], [account])
          : encodeFunctionResult({ abi: iMembershipAbi, functionName: 'member', result: member }),
      eth_getLogs: ([{ topics }]: [{ topics: Hex[] }]) => {
        const [topic] = topics
        if (topic === encodeEventTopics({ abi: [joined as AbiEvent] })[0])
          return [log(joined as AbiEvent, [pad(device)], [0, 0])]
        if (topic === encodeEventTopics({ abi: [registered] })[0])
          return [log(registered, [pad(device), zeroHash], [0, keccak256('0x01'), zeroHash])]
        return []
      },
    })
    const members = readMembers(client, {
      network: { membership: settlement, registry: settlement },
    })
    await expect(members).rejects.toThrow('the RPC endpoint is not honest')
  })
})

describe('disputes', () => {
  test('error: an attested network', async () => {
    const client = clientOf({})
    const attested = { ...network, disputes: zeroAddress }
    const point = { height: 1, index: 0, kind: 'reveal' } as const
    const answer = { kind: 'reveal', nodes: new Uint8Array(), siblings: new Uint8Array() } as const
    for (const call of [
      openChallenge(client, { attempt: 1, challenge: point, network: attested, window: 1 }),
      answerChallenge(client, { answer, attempt: 1, network: attested, point, window: 1 }),
      upholdChallenge(client, { id: zeroHash, network: attested }),
      withdrawCredit(client, { network: attested }),
      readCredit(client, { account, network: attested }),
    ]) {
      const error = await call.catch((error) => error)
      expect(error).toBeInstanceOf(InvalidArgumentError)
      expect(error.message).toBe('The network is attested: nobody can challenge its epochs.')
    }
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
    expect(error).toBeInstanceOf(TransactionRejectedError)
    expect(error.kind).toBe('transport')
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
