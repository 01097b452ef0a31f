import type { AnyClient, Deployment, Network } from '@machinefi/contracts'
import { BaseError, equalBytes, fromHex, type Hex, parseAddress } from '@machinefi/core'
import { buildLedger, type Entry } from '@machinefi/proof'
import { assertSchema, type Schema, schemaHash } from '@machinefi/telemetry'
import type { ChainConfig } from '../chain/chain.js'
import { createNodeReader, type NodeReader, NodeRefusedError } from './createNodeReader.js'
import { decodeEntries, encodeEntries } from './encodeEntries.js'
import { type AuditedEpoch, openAuditChain } from './openAuditChain.js'
import { openAuditStore } from './openAuditStore.js'
import { type LogCopy, openLogCopy } from './openLogCopy.js'
import { type RecomputedEpoch, recomputeEpoch } from './recomputeEpoch.js'
import { type SyncReport, syncLog } from './syncLog.js'

/**
 * Creates an auditor: it keeps its own copy of what operators promised, and
 * computes from it what they must post.
 *
 * @throws {DataDirectoryError} the directory is in use, foreign or damaged.
 */
export async function createAuditor(options: createAuditor.Options): Promise<Auditor> {
  const { client, dataDir, deployment, fromBlock, network, onProgress, signal } = options
  const id = fromHex(network.id)
  const windowMs = network.windowSeconds * 1000
  const chain = await openAuditChain(client, {
    confirmations: options.confirmations,
    deployment,
    fromBlock,
    network,
  })
  const store = openAuditStore({
    directory: dataDir,
    identity: { chain: await chain.genesisHash(), network: network.id.toLowerCase() },
  })
  const urls = typeof options.nodeUrl === 'string' ? [options.nodeUrl] : options.nodeUrl
  const nodes: AuditedNode[] = urls.map((url) => ({
    operator: undefined,
    reader: createNodeReader({ network: network.id, url }),
    shard: 0,
  }))
  const schemas = new Map<string, Schema>()
  for (const schema of options.schemas ?? []) addSchema(schema)
  const copies = new Map<string, LogCopy>()

  function addSchema(schema: Schema) {
    schemas.set(Buffer.from(schemaHash(schema)).toString('hex'), schema)
  }

  function schemaOf({ schemaHash: hash, schema: id }: ChainConfig): Schema {
    const schema = schemas.get(Buffer.from(hash).toString('hex'))
    if (!schema) throw new UnknownSchemaError(id)
    return schema
  }

  function copyOf(operator: Hex, shard: number): LogCopy {
    const key = `${operator.toLowerCase()}/${shard}`
    const known = copies.get(key)
    if (known) return known
    const copy = openLogCopy(store, parseAddress(operator), shard)
    copies.set(key, copy)
    return copy
  }

  /** Who runs a node, and the schema it has: what it says is held against the chain. */
  async function describe(node: AuditedNode): Promise<void> {
    if (node.operator) return
    const answer = (await node.reader.readJson('', { maxBytes: 65_536, signal })) as {
      operator?: unknown
      schema?: unknown
      shard?: unknown
    } | null
    try {
      addSchema(assertIsSchema(answer?.schema))
      const { operator, shard } = answer ?? {}
      parseAddress(String(operator))
      if (!Number.isInteger(shard)) return
      node.operator = String(operator).toLowerCase() as Hex
      node.shard = shard as number
    } catch (error) {
      if (!(error instanceof BaseError)) throw error
    }
  }

  async function sync(): Promise<SyncReport[]> {
    await chain.refresh()
    const reports: SyncReport[] = []
    for (const node of nodes) reports.push(await syncNode(node))
    return reports
  }

  async function syncNode(node: AuditedNode): Promise<SyncReport> {
    const failed = (problem: string): SyncReport => ({
      batches: 0,
      contradiction: false,
      problems: [problem],
      size: 0,
    })
    try {
      await describe(node)
    } catch (error) {
      if (!(error instanceof NodeRefusedError)) throw error
      return failed(error.shortMessage)
    }
    const { operator } = node
    const logKey = operator && (await chain.logKeyOf(operator))
    if (!operator || !logKey) return failed('The node does not say which bonded operator runs it.')
    return syncLog({
      copy: copyOf(operator, node.shard),
      keyOf: chain.keyOf,
      logKey,
      network: id,
      onProgress: (done, of) => onProgress?.({ done, of, step: 'download' }),
      reader: node.reader,
      signal,
      store,
    })
  }

  const windowOf = (window: number) => ({
    end: (window + 1) * windowMs,
    number: window,
    start: window * windowMs,
  })

  /** The epoch that stands for a window. */
  function standing(window: number): AuditedEpoch | undefined {
    return chain.epochs().findLast((epoch) => epoch.window === window && epoch.status !== 'void')
  }

  /** The entries of an epoch's ledger, if they are known. */
  async function ledgerOf(epoch: AuditedEpoch): Promise<readonly (Entry | null)[] | undefined> {
    const kept = store.ledger(epoch.window, epoch.ledgerRoot)
    return kept && decodeEntries(kept)
  }

  async function recompute(
    window: number,
    what: Auditor.RecomputeOptions = {},
  ): Promise<RecomputedEpoch> {
    const config = await chain.config(window)
    const parent = window === network.firstWindow ? undefined : standing(window - 1)
    if (!parent && window !== network.firstWindow) throw new UnknownParentError(window)
    const entries = parent && (await ledgerOf(parent))
    if (parent && !entries) throw new UnknownParentError(window)
    const operator = what.operator ?? config.operator
    const logs = what.logs ?? [{ shard: 0, size: copyOf(operator, 0).size }]
    return recomputeEpoch({
      config,
      copies: logs.map(({ shard, size }) => ({ copy: copyOf(operator, shard), size })),
      depth: what.depth,
      memberCount: what.memberCount,
      members: chain.members(),
      network: id,
      onProgress: (done, of) => onProgress?.({ done, of, step: 'recompute', window }),
      parent: parent && entries ? { depth: parent.depth, entries } : null,
      schema: schemaOf(config),
      signal,
      window: windowOf(window),
    })
  }

  return {
    sync,
    recompute,
    async keepLedger(epoch) {
      const posted = standing(epoch.window.number)
      if (!posted) return
      const ledger = buildLedger(epoch.entries, { depth: posted.depth })
      if (equalBytes(ledger.root, posted.ledgerRoot) && ledger.total === posted.ledgerTotal)
        store.putLedger(posted.window, posted.ledgerRoot, encodeEntries(epoch.entries))
    },
    async close() {
      store.close()
    },
  }
}

export declare namespace createAuditor {
  type Options = {
    /** A viem client: it reads the chain, and challenges. */
    client: AnyClient
    /** Blocks on top of a block until it is believed. @default 0 */
    confirmations?: number | undefined
    /** Where the auditor keeps everything. Created if missing; for this auditor alone. */
    dataDir: string
    /** Where the metrics and the reward policy are. */
    deployment: Pick<Deployment, 'metrics' | 'policy'>
    /** The block the network was created in, or one before. @default 0n */
    fromBlock?: bigint | undefined
    network: Network
    /** Where the operators' nodes are. None of them is trusted. */
    nodeUrl: string | readonly string[]
    onProgress?: ((progress: AuditProgress) => void) | undefined
    /** All schemas that the network ever had. @default what the nodes say, held against the chain */
    schemas?: readonly Schema[] | undefined
    signal?: AbortSignal | undefined
  }
}

export type Auditor = {
  /** Brings chain and copies of the logs up to date. */
  sync(): Promise<SyncReport[]>
  /** Computes a window, posted or not, from the copies. */
  recompute(window: number, options?: Auditor.RecomputeOptions): Promise<RecomputedEpoch>
  /** Remembers the ledger of a recomputed epoch that was posted as computed: windows after it build on it. */
  keepLedger(epoch: RecomputedEpoch): Promise<void>
  close(): Promise<void>
}

export declare namespace Auditor {
  type RecomputeOptions = {
    /** Of the ledger. @default the least */
    depth?: number | undefined
    /** What counts of the operator's logs. @default all that was copied */
    logs?: readonly { shard: number; size: number }[] | undefined
    /** Members that the epoch has slots for. @default all there are now */
    memberCount?: number | undefined
    /** Whose logs count. @default the one that the configuration names */
    operator?: Hex | undefined
  }
}

export type AuditProgress = {
  done: number
  of: number
  step: 'download' | 'recompute'
  window?: number
}

type AuditedNode = { operator: Hex | undefined; reader: NodeReader; shard: number }

function assertIsSchema(value: unknown): Schema {
  assertSchema(value as Schema)
  return value as Schema
}

/** What a window builds on is not known. */
export class UnknownParentError extends BaseError {
  override readonly name = 'UnknownParentError'
  constructor(window: number) {
    super(`The ledger that window ${window} builds on is not known.`, { kind: 'transport' })
  }
}

/** A schema that was neither given nor shown by a node. */
export class UnknownSchemaError extends BaseError {
  override readonly name = 'UnknownSchemaError'
  constructor(id: number) {
    super(`Schema ${id} is not known.`, {
      kind: 'input',
      metaMessages: ['The chain has its hash only: give the schema, or a node that shows it.'],
    })
  }
}
