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

/**
 * Events of a contract in a range of blocks, oldest first, addresses in lower case. Public nodes limit
 * the range of one call, each in its own way: one that is refused is halved,
 * and grows again after it has worked.
 */
export async function readEvents<const event extends AbiEvent>(
  client: AnyClient,
  parameters: BlockRange & {
    address: Address
    event: event
    /** Values of indexed arguments; an array means any of them. */
    args?: Record<string, unknown> | undefined
  },
): Promise<GetLogsReturnType<event, [event], true, bigint, bigint>> {
  const { address, args, event, fromBlock = 0n } = parameters
  const call = { address, functionName: event.name }
  const logs: unknown[] = []
  try {
    const toBlock = parameters.toBlock ?? (await getBlockNumber(client, { cacheTime: 0 }))
    let from = fromBlock
    let length = toBlock - fromBlock + 1n
    while (from <= toBlock) {
      const last = from + length - 1n
      const to = last < toBlock ? last : toBlock
      try {
        logs.push(
          ...(await getLogs(client, {
            address,
            args,
            event,
            fromBlock: from,
            strict: true,
            toBlock: to,
          } as never)),
        )
        from = to + 1n
        length *= 2n
      } catch (error) {
        if (to === from || !isRefusal(error)) throw error
        length = (to - from + 1n) / 2n
      }
    }
  } catch (error) {
    throw toContractError(error, call)
  }
  return toLowerCase(logs) as never
}
