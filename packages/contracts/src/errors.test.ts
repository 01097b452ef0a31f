import {
  createClient,
  custom,
  encodeAbiParameters,
  encodeErrorResult,
  TimeoutError,
  toHex,
} from 'viem'
import { describe, expect, test } from 'vitest'
import { errorsAbi } from './abis/errorsAbi.js'
import { finalizeEpochs } from './actions/finalizeEpochs.js'
import { readNextWindow } from './actions/readFinalWindow.js'
import { readEvents } from './chain/readEvents.js'
import { AccountMissingError, ChainUnavailableError, ContractError } from './errors.js'

const network = { settlement: '0x00000000000000000000000000000000000000aa' } as const

/** A client whose node answers as told. */
function clientOf(answer: (method: string, params: unknown[]) => unknown) {
  const request = async ({ method, params }: { method: string; params: unknown[] }) =>
    answer(method, params)
  return createClient({ transport: custom({ request } as never, { retryCount: 0 }) })
}

const rpcError = (code: number, message: string, data?: unknown) =>
  Object.assign(new Error(message), { code, data })

async function errorOf(promise: Promise<unknown>) {
  return promise.then(
    () => undefined,
    (error) => error,
  )
}

describe('ContractError', () => {
  const data = encodeErrorResult({
    abi: errorsAbi,
    args: [7, 1_000n],
    errorName: 'WindowNotOver',
  })

  test('default', async () => {
    const client = clientOf(() => {
      throw rpcError(3, 'execution reverted', data)
    })
    const error = await errorOf(readNextWindow(client, { network }))
    expect(error).toBeInstanceOf(ContractError)
    expect(error).toMatchObject({
      address: network.settlement,
      functionName: 'nextWindow',
      kind: 'contract',
      revert: { args: [7, 1_000n], data, name: 'WindowNotOver' },
    })
    expect(error.message).toMatchInlineSnapshot(`
      "nextWindow failed: WindowNotOver(7, 1000).

      Contract: 0x00000000000000000000000000000000000000aa"
    `)
  })

  test('behavior: a reason as text', async () => {
    const text = encodeAbiParameters([{ type: 'string' }], ['nobody home'])
    const client = clientOf(() => {
      throw rpcError(3, 'execution reverted', `0x08c379a0${text.slice(2)}`)
    })
    const error = await errorOf(readNextWindow(client, { network }))
    expect(error.shortMessage).toBe('nextWindow failed: Error(nobody home).')
  })

  test('behavior: data nested by the node, an unknown error, no data', async () => {
    const nested = clientOf(() => {
      throw rpcError(-32603, 'internal', { data })
    })
    expect(await errorOf(readNextWindow(nested, { network }))).toMatchObject({
      revert: { name: 'WindowNotOver' },
    })
    const unknown = clientOf(() => {
      throw rpcError(3, 'execution reverted', '0xdeadbeef')
    })
    expect((await errorOf(readNextWindow(unknown, { network }))).shortMessage).toBe(
      'nextWindow failed: an unknown error 0xdeadbeef.',
    )
    const silent = clientOf(() => {
      throw rpcError(3, 'execution reverted')
    })
    expect(await errorOf(readNextWindow(silent, { network }))).toMatchObject({
      kind: 'contract',
      revert: undefined,
    })
  })

  test('error: no account', async () => {
    const error = await errorOf(
      finalizeEpochs(
        clientOf(() => null),
        { network },
      ),
    )
    expect(error).toBeInstanceOf(AccountMissingError)
    expect(error.kind).toBe('input')
  })

  test('error: the chain does not answer', async () => {
    const client = clientOf(() => {
      throw rpcError(-32005, 'limit exceeded: come again')
    })
    const error = await errorOf(readNextWindow(client, { network }))
    expect(error).toBeInstanceOf(ChainUnavailableError)
    expect(error.kind).toBe('transport')
  })
})

describe('readEvents', () => {
  const event = { type: 'event', name: 'Ping', inputs: [] } as const

  /** A node with one event in every `every`th block that refuses ranges longer than `most`. */
  function nodeOf({ most, every }: { most: number; every: number }) {
    const ranges: number[] = []
    const client = clientOf((method, params) => {
      if (method === 'eth_blockNumber') return toHex(9_999)
      const [{ fromBlock, toBlock, topics }] = params as [
        { fromBlock: string; toBlock: string; topics: string[] },
      ]
      const [from, to] = [Number(fromBlock), Number(toBlock)]
      ranges.push(to - from + 1)
      if (to - from + 1 > most) throw rpcError(-32005, `block range exceeds ${most}`)
      return Array.from({ length: to - from + 1 }, (_, i) => from + i)
        .filter((block) => block % every === 0)
        .map((block) => ({
          address: network.settlement,
          blockNumber: toHex(block),
          data: '0x',
          logIndex: '0x0',
          removed: false,
          topics,
        }))
    })
    return { client, ranges }
  }

  const address = network.settlement

  test('default', async () => {
    const { client, ranges } = nodeOf({ every: 100, most: 10_000 })
    expect(await readEvents(client, { address, event })).toHaveLength(100)
    expect(ranges).toEqual([10_000])
  })

  test('behavior: a node that limits the range', async () => {
    const { client, ranges } = nodeOf({ every: 7, most: 1_000 })
    const logs = await readEvents(client, { address, event, fromBlock: 14n, toBlock: 7_000n })
    expect(logs.map(({ blockNumber }) => blockNumber)).toEqual(
      Array.from({ length: 999 }, (_, i) => BigInt(14 + 7 * i)),
    )
    expect(ranges.length).toBeLessThan(40)
  })

  test('behavior: no blocks', async () => {
    const { client, ranges } = nodeOf({ every: 1, most: 10 })
    expect(await readEvents(client, { address, event, fromBlock: 5n, toBlock: 4n })).toEqual([])
    expect(ranges).toEqual([])
  })

  test('error: no answer', async () => {
    let asked = 0
    const client = clientOf((method) => {
      if (method === 'eth_blockNumber') return toHex(9_999)
      asked++
      throw new TimeoutError({ body: {}, url: 'http://localhost' })
    })
    const error = await errorOf(readEvents(client, { address, event }))
    expect(error).toBeInstanceOf(ChainUnavailableError)
    expect(asked).toBe(1)
  })

  test('error: refused for any range', async () => {
    const { client, ranges } = nodeOf({ every: 1, most: 0 })
    const error = await errorOf(readEvents(client, { address, event }))
    expect(error).toBeInstanceOf(ChainUnavailableError)
    expect(ranges.at(-1)).toBe(1)
  })
})
