import type { Network } from '@machinefi/contracts'
import { equalBytes, fromHex, type Hex, toHex } from '@machinefi/core'
import { createLog } from '@machinefi/proof'
import { type Schema, schemaHash } from '@machinefi/telemetry'
import type { Chain, ChainConfig, ChainMember, OperatorState } from '../chain/chain.js'
import { hasEverySlot, readMemberChanges, reorganisedBlocks } from '../chain/readMemberChanges.js'
import { DataDirectoryError, NodeConfigurationError } from '../errors.js'
import type { NetworkState } from '../ingest/createPipeline.js'
import type { Store } from '../store/openStore.js'
import { createMemberTable } from './createMemberTable.js'

/**
 * Opens a network of a node: its log from the store, held against the last
 * checkpoint that was signed, and its rules and members from the chain.
 *
 * @throws {DataDirectoryError} the log is not the one that was signed.
 * @throws {NodeConfigurationError} the schema of the network was not given.
 */
export async function openNetwork(options: openNetwork.Options): Promise<OpenNetwork> {
  const { chain, clock, logKey, network, refreshMs, schemas, store } = options
  const id = fromHex(network.id)
  const windowMs = network.windowSeconds * 1000
  const number = store.numberOf(id)
  const log = createLog(store.ids(number))
  const checkpoint = store.lastCheckpoint(number)
  assertLog()

  const cuts = store.cuts(number)
  const cut = cuts.at(-1)
  const members = createMemberTable(store.members(number))
  const configs = new Map<number, ChainConfig>()
  const status: OpenNetwork['status'] = {
    block: store.cursor(number),
    head: store.cursor(number),
    time: Number.NEGATIVE_INFINITY,
    nextWindow: undefined,
    finalBefore: undefined,
    operator: undefined,
    error: undefined,
    readAt: performance.now(),
  }
  let config = await readConfig(currentWindow())
  const state: NetworkState = {
    number,
    id,
    members,
    rules: toRules(),
    log,
    size: log.size,
    arrived: Math.max(
      checkpoint?.time ?? 0,
      log.size > 0 ? store.batch(number, log.size - 1)!.arrived : 0,
      cuts.reduce((latest, { at }) => Math.max(latest, at), 0),
    ),
    cutEnd: cut ? (cut.window + 1) * windowMs : 0,
    foreignKey: false,
  }

  /** Whose state changed in the blocks that were read last, and the hash of the last of them. */
  let recent: readonly ChainMember[] = []
  let membersAt: Hex | undefined
  let refreshing: Promise<void> | undefined
  let refreshedAt = Number.NEGATIVE_INFINITY

  /** The window of now, or the first if that is still to come. */
  function currentWindow(): number {
    return Math.max(network.firstWindow, Math.floor(clock() / windowMs))
  }

  async function readConfig(window: number): Promise<ChainConfig> {
    const known = configs.get(window)
    if (known) return known
    const config = await chain.config(window)
    assertSchema(config)
    // Rules are set for windows that begin after the block that sets them: those of a window that
    // has begun on the chain's clock never change.
    if (status.time >= window * windowMs) {
      configs.set(window, config)
      if (configs.size > 64) configs.delete(configs.keys().next().value as number)
    }
    return config
  }

  function assertSchema({ schema: id, schemaHash: hash }: ChainConfig) {
    const schema = schemas.find((schema) => schema.id === id)
    if (!schema)
      throw new NodeConfigurationError(`The network's schema ${id} was not given to the node.`, {
        metaMessages: [`Network: ${network.id}`],
      })
    if (!equalBytes(schemaHash(schema), hash))
      throw new NodeConfigurationError(`Schema ${id} is not the one of the network.`, {
        metaMessages: [
          `Network: ${network.id}`,
          `Hash of the schema given: ${toHex(schemaHash(schema))}`,
          `Hash on chain: ${toHex(hash)}`,
        ],
      })
  }

  function toRules() {
    return {
      maxRowsBytes: config.maxRowsBytes,
      retentionMs: config.retentionMs,
      schemas: new Map(schemas.map((schema) => [schema.id, schema])),
    }
  }

  /** The operator answers for what this node signs, but never for another key than its own. */
  function assertLogKey({ logKey: bonded }: OperatorState) {
    state.foreignKey = bonded !== undefined && bonded !== logKey
    if (!state.foreignKey) return
    throw new NodeConfigurationError('The operator is bonded with another log key.', {
      metaMessages: [
        `Network: ${network.id}`,
        `Operator: ${chain.operator}`,
        `On chain: ${bonded}`,
        `This node's: ${logKey}`,
        'A node starts with the key on chain; `machinefi node rotate-key` changes that.',
      ],
    })
  }

  function assertLog() {
    if ((checkpoint?.size ?? 0) !== log.size)
      throw new DataDirectoryError(
        `The log has ${log.size} entries, its last checkpoint ${checkpoint?.size ?? 0}.`,
        { metaMessages: [`Network: ${network.id}`] },
      )
    // The root is the payload, the 32 bytes before the signature and its head.
    const root = checkpoint?.bytes.subarray(-98, -66)
    if (root && !equalBytes(root, log.root()))
      throw new DataDirectoryError('The log is not the one its last checkpoint was signed over.', {
        metaMessages: [`Network: ${network.id}`],
      })
  }

  async function readMembers(options: readMemberChanges.Options) {
    const { again, changed } = await readMemberChanges(chain, options)
    const read = [...again, ...changed]
    const numbers = store.putMembers(number, read, options.to)
    for (const [i, member] of read.entries()) {
      if (member.joinedAt === 0) members.delete(member.device)
      else members.put({ ...member, number: numbers[i]! })
    }
    recent = changed
  }

  /**
   * Whether the members that are known are all there are. If not, all of them are read again: an endpoint
   * may have left out events, and a slot that is posted empty though it has a member costs the bond.
   */
  async function knowsEveryMember(): Promise<boolean> {
    for (let round = 0; round < 4; round++) {
      const { block } = status
      const count = await chain.memberCount(block)
      if (block === status.block && hasEverySlot(members, count)) return true
      if (round === 0) await refresh()
      else await readMembers({ doubtful: [...members], from: 0, to: status.block })
    }
    return false
  }

  function refresh(): Promise<void> {
    refreshing ??= (async () => {
      refreshedAt = performance.now()
      try {
        const [{ block, hash, time }, operator] = await Promise.all([
          chain.head(),
          chain.operatorState(),
        ])
        status.readAt = performance.now()
        status.head = block
        status.time = time
        assertLogKey(operator)
        status.operator = operator
        // The same number again may be another block.
        if (hash !== membersAt) {
          const last = Math.min(store.cursor(number), block)
          await readMembers({ doubtful: recent, from: last + 1 - reorganisedBlocks, to: block })
          membersAt = hash
        }
        config = await readConfig(currentWindow())
        state.rules = toRules()
        status.block = block
        status.error = undefined
      } catch (error) {
        status.error = error
        throw error
      } finally {
        refreshing = undefined
      }
    })()
    return refreshing
  }

  return {
    chain,
    network,
    schemas,
    state,
    status,
    windowMs,
    get config() {
      return config
    },
    configAt: readConfig,
    knowsEveryMember,
    refresh,
    refreshSoon() {
      if (refreshing) return refreshing.catch(() => {})
      if (performance.now() - refreshedAt < refreshMs) return undefined
      return refresh().catch(() => {})
    },
    windowOf: (window) => ({ start: window * windowMs, end: (window + 1) * windowMs }),
  }
}

export declare namespace openNetwork {
  type Options = {
    chain: Chain
    clock: () => number
    /** Address of the log key. */
    logKey: Hex
    network: Network
    /** Least time between two refreshes that unknown devices cause, in ms. */
    refreshMs: number
    schemas: readonly Schema[]
    store: Store
  }
}

/** A network that a node serves. */
export type OpenNetwork = {
  readonly chain: Chain
  readonly network: Network
  readonly schemas: readonly Schema[]
  readonly state: NetworkState
  /**
   * What was read of the chain last: its head, by number and time, and the block up to which members
   * and rules are known, which is an earlier one while they cannot be read; the operator; the window to be
   * posted next, and the end of the last that is final, in ms, as far as anyone asked. What went wrong
   * last, and when the head was read, by `performance.now`: an endpoint that hangs is told by the real
   * time, whatever the clock.
   */
  readonly status: {
    block: number
    head: number
    /** ms */
    time: number
    nextWindow: number | undefined
    finalBefore: number | undefined
    operator: OperatorState | undefined
    error: unknown
    readAt: number
  }
  readonly windowMs: number
  /** The rules of the present window. */
  readonly config: ChainConfig
  configAt(window: number): Promise<ChainConfig>
  /** Whether no slot is without its member, as of the last refresh. */
  knowsEveryMember(): Promise<boolean>
  /** Brings members and rules up to date with the chain. */
  refresh(): Promise<void>
  /** A refresh for the sake of an unknown device, unless there has just been one. */
  refreshSoon(): Promise<void> | undefined
  windowOf(window: number): { start: number; end: number }
}
