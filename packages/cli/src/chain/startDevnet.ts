import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  bondOperator,
  createNetwork,
  type Deployment,
  deployMachinefi,
  encodePolicyParams,
  type Network,
  type NetworkConfig,
} from '@machinefi/contracts'
import { type Signer, toHex } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import { encodeMetricParams, type Metric } from '@machinefi/proof'
import {
  createNode,
  type ListenOptions,
  type Node,
  type NodeLimits,
  type NodeOptions,
  type SettledEpoch,
} from '@machinefi/stream'
import { type Schema, schemaHash } from '@machinefi/telemetry'
import { type ChainClient, createChainClient } from './createChainClient.js'
import { developmentAccount } from './openAccount.js'
import { startAnvil } from './startAnvil.js'

export type Devnet = {
  anvil: Awaited<ReturnType<typeof startAnvil>>
  /** Pays for everything that is nobody's in particular. */
  client: ChainClient
  /** A client of another of the development accounts; 0 is `client`'s, 1 the operator's. */
  connect(index: number): ChainClient
  deployment: Deployment
  /** The block the network was created in. */
  fromBlock: bigint
  /** X‖Y of the key that signs checkpoints. */
  logKey: Uint8Array
  logSigner: Signer
  network: Network
  node: Node
  /** Posts the epochs. */
  operator: ChainClient
  /** Of the node. */
  url: string
  /** Stops node and chain, and removes what was temporary. */
  close(): Promise<void>
}

/** A chain of its own, with all contracts, one network whose operator can be challenged, and the node that serves it. */
export async function startDevnet(options: startDevnet.Options): Promise<Devnet> {
  const { clock = Date.now, onStep = () => {}, policy, port = 0, schema } = options
  const closers: (() => Promise<void> | void)[] = []
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    onStep('starting the chain')
    const anvil = await startAnvil(options.anvil)
    closers.push(() => anvil.close())
    const connect = (index: number) =>
      createChainClient({
        account: developmentAccount(index),
        chainId: anvil.chainId,
        // A chain on this machine mines at once: viem's 4 s would be most of the demo.
        pollingInterval: 20,
        url: anvil.url,
      })
    const client = connect(0)
    const operator = connect(1)
    const relay = connect(2)

    onStep('deploying the contracts')
    const deployment = await deployMachinefi(client)
    const {
      hash: _,
      receipt,
      ...network
    } = await createNetwork(client, {
      config: {
        ...options.times,
        challengeBond: 10n ** 17n,
        coverage: 10n ** 6n,
        fields: schema.fields.length,
        maxRowsBytes: 4096,
        metric: deployment.metrics[options.metric.type],
        metricParams: toHex(encodeMetricParams(options.metric)),
        minBond: 10n ** 18n,
        operator: operator.account.address,
        policy: deployment.policy,
        policyParams: encodePolicyParams(policy),
        schema: BigInt(schema.id),
        schemaHash: toHex(schemaHash(schema)),
        tickMs: schema.tickMs,
      },
      disputes: deployment.disputes,
      factory: deployment.factory,
      isPrivate: options.isPrivate,
      name: 'MachineFi demo',
      owner: client.account.address,
      symbol: 'STEP',
      windowSeconds: options.windowMs / 1000,
    })
    const logSigner = createSoftwareSigner()
    await bondOperator(operator, { logKey: toHex(logSigner.publicKey), network, value: 10n ** 18n })

    onStep('starting the node')
    let { dataDir } = options
    if (dataDir === undefined) {
      const folder = mkdtempSync(join(tmpdir(), 'machinefi-node-'))
      closers.push(() => rmSync(folder, { force: true, recursive: true }))
      dataDir = folder
    }
    const node = await createNode({
      client: operator,
      clock,
      dataDir,
      deployment,
      limits: options.limits,
      logSigner,
      networks: [{ ...network, fromBlock: receipt.blockNumber, schemas: [schema] }],
      onAnswer: options.onAnswer,
      onEpoch: options.onEpoch,
      onError: options.onError,
      relay: { account: relay.account },
    })
    closers.push(() => node.close())
    const url = await node.listen({ ...options.listen, port })
    return {
      ...{ anvil, client, close, connect, deployment, logSigner, network, node, operator, url },
      fromBlock: receipt.blockNumber,
      logKey: logSigner.publicKey,
    }
  } catch (error) {
    await close()
    throw error
  }
}

export declare namespace startDevnet {
  type Options = {
    anvil?: startAnvil.Options
    clock?: () => number
    /** A temporary folder by default. */
    dataDir?: string
    /** Whether readings are for owners, grantees and auditors only. @default false */
    isPrivate?: boolean
    limits?: Partial<NodeLimits> | undefined
    /** What the node takes in beside HTTP. */
    listen?: Pick<ListenOptions, 'coapPort' | 'mqttPort'>
    metric: Metric
    onAnswer?: NodeOptions['onAnswer']
    onEpoch?: (epoch: SettledEpoch) => void
    onError?: ((error: unknown) => void) | undefined
    onStep?: (step: string) => void
    policy: { cap: bigint; rate: bigint; threshold: bigint }
    port?: number
    schema: Schema
    times: Pick<
      NetworkConfig,
      'challengeWindow' | 'grace' | 'responseTime' | 'retention' | 'takeoverDelay'
    >
    windowMs: number
  }
}
