import type { AbiEvent, Address, GetLogsReturnType } from 'viem'
import { getBlockNumber, getLogs } from 'viem/actions'
import { isRefusal, toContractError } from '../errors.js'
import { toLowerCase } from './toLowerCase.js'
import type { AnyClient } from './writeContract.js'

/** A range of blocks, both ends included. */
export type BlockRange = {
  /** @default 0n. Give the block a network was created in: public nodes are slow with long ranges. */
  fromBlock?: bigint | undefined
  /** @default the latest */
  toBlock?: bigint | undefined
}

/** Events of a contract in a range of blocks, oldest first, addresses in lower case. */
export async function readEvents<const event extends AbiEvent>(
  client: AnyClient,
  parameters: BlockRange & {
    address: Address
    event: event
    /** Values of indexed arguments; an array means any of them. */
    args?: Record<string, unknown> | undefined
  },
): Promise<GetLogsReturnType<event, [event], true, bigint, bigint>> {
  const { event, ...rest } = parameters
  return (await readLogs(client, { ...rest, event }, event.name)) as never
}

/** Like {@link readEvents}, of any of several events. */
export async function readEventsOf<const events extends readonly AbiEvent[]>(
  client: AnyClient,
  parameters: BlockRange & { address: Address; events: events },
): Promise<GetLogsReturnType<undefined, events, true, bigint, bigint>> {
  const { events } = parameters
  return (await readLogs(client, parameters, events.map(({ name }) => name).join(', '))) as never
}

/**
 * Public nodes limit the range of one call, each in its own way: one that is
 * refused is halved, and grows again after it has worked.
 */
async function readLogs(
  client: AnyClient,
  parameters: BlockRange & { address: Address } & (
      | { event: AbiEvent }
      | { events: readonly AbiEvent[] }
    ),
  functionName: string,
): Promise<unknown[]> {
  const { address, fromBlock = 0n, ...filter } = parameters
  const logs: unknown[] = []
  try {
    const toBlock = filter.toBlock ?? (await getBlockNumber(client, { cacheTime: 0 }))
    let from = fromBlock
    let length = toBlock - fromBlock + 1n
    while (from <= toBlock) {
      const last = from + length - 1n
      const to = last < toBlock ? last : toBlock
      try {
        const request = { ...filter, address, fromBlock: from, strict: true, toBlock: to }
        logs.push(...(await getLogs(client, request as never)))
        from = to + 1n
        length *= 2n
      } catch (error) {
        if (to === from || !isRefusal(error)) throw error
        length = (to - from + 1n) / 2n
      }
    }
  } catch (error) {
    throw toContractError(error, { address, functionName })
  }
  return toLowerCase(logs)
}
