import {
  type AnyClient,
  answerChallenge,
  assurances,
  ChainUnavailableError,
  createSignedFetch,
  type Deployment,
  type Epoch,
  type Network,
  postEpoch,
  readAccess,
  readChallenge,
  readChallenges,
  readConfig,
  readEpoch,
  readFinalWindow,
  readMembers,
  readNextWindow,
} from '@machinefi/contracts'
import { iMembershipAbi, iSettlementAbi } from '@machinefi/contracts/abis'
import { fromHex, type Hex, toHex } from '@machinefi/core'
import { decodeMetricParams, decodePolicyParams, encodeConfig, type Metric } from '@machinefi/proof'
import {
  type Account,
  type ContractFunctionArgs,
  type ContractFunctionName,
  type ContractFunctionReturnType,
  createClient,
  custom,
  TimeoutError,
  TransactionNotFoundError,
  BaseError as ViemError,
  zeroAddress,
} from 'viem'
import {
  estimateFeesPerGas,
  getBalance,
  getBlock,
  getGasPrice,
  getTransaction,
  getTransactionCount,
  getTransactionReceipt,
  readContract,
  sendTransaction,
  verifyMessage,
} from 'viem/actions'
import { recoverMessageAddress } from 'viem/utils'
import { NodeConfigurationError } from '../errors.js'
import type { Chain, ChainConfig, PostedEpoch } from './chain.js'

/**
 * The contracts of one network, as the node sees them. Everything is read up to
 * `confirmations` blocks below the head, so that a short reorganisation goes by
 * unseen.
 *
 * @param options.account who posts; the client's account by default.
 */
export function openChain(given: AnyClient, options: openChain.Options): Chain {
  const { confirmations = 0, deployment, fromBlock = 0n, network, timeoutMs = 20_000 } = options
  const client = limitTime(given, timeoutMs)
  const account = options.account ?? client.account
  if (!account) throw new NodeConfigurationError('A node needs an account to post with.')

  /** By hash: rules are read once, whichever windows they are for. */
  const configs = new Map<Hex, ChainConfig>()

  function read<
    name extends ContractFunctionName<typeof iSettlementAbi, 'view'>,
    const args extends ContractFunctionArgs<typeof iSettlementAbi, 'view', name>,
  >(functionName: name, args: args) {
    const call = { abi: iSettlementAbi, address: network.settlement, args, functionName }
    return ask(
      functionName,
      readContract(client, call as never) as Promise<
        ContractFunctionReturnType<typeof iSettlementAbi, 'view', name, args>
      >,
    )
  }

  /** What was sent and not seen in a block, and what it was sent again as. */
  const unmined = new Set<Hex>()
  const successors = new Map<Hex, Hex>()

  /** Keeps in mind what `send` sends until it is in a block. */
  async function follow<result>(
    send: (onHash: (hash: Hex) => void) => Promise<result>,
    onSent?: (hash: Hex) => void,
  ): Promise<result> {
    let sent: Hex | undefined
    const result = await send((hash) => {
      sent = hash
      unmined.add(hash)
      onSent?.(hash)
    })
    // What failed may still be on its way.
    if (sent) unmined.delete(latestOf(sent))
    return result
  }

  function latestOf(hash: Hex): Hex {
    for (let latest = hash; ; ) {
      const next = successors.get(latest)
      if (next === undefined) return latest
      latest = next
    }
  }

  async function readTransaction(hash: Hex) {
    try {
      return await getTransaction(client, { hash })
    } catch (error) {
      if (error instanceof TransactionNotFoundError) return undefined
      return ask('readTransaction', Promise.reject(error))
    }
  }

  async function toPosted(epoch: Epoch, gasUsed: bigint): Promise<PostedEpoch> {
    return {
      window: epoch.window,
      attempt: epoch.attempt,
      parentHash: epoch.parentHash,
      operator: epoch.operator.toLowerCase() as Hex,
      depth: epoch.depth,
      memberCount: epoch.memberCount,
      configHash: epoch.configHash,
      epochHash: epoch.epochHash,
      ledgerRoot: fromHex(epoch.ledgerRoot),
      ledgerTotal: epoch.ledgerTotal,
      logs: epoch.logs.map(({ root, shard, size }) => ({
        root: fromHex(root),
        shard,
        size: Number(size),
      })),
      challengeEndsAt: epoch.challengeEndsAt * 1000,
      transaction: epoch.transactionHash,
      block: Number(epoch.blockNumber),
      gasUsed,
    }
  }

  function toChainConfig({ fromWindow: _, hash, ...config }: readConfig.ReturnType): ChainConfig {
    const type = (Object.keys(deployment.metrics) as Metric['type'][]).find(
      (name) => deployment.metrics[name].toLowerCase() === config.metric.toLowerCase(),
    )
    if (!type)
      throw new NodeConfigurationError(`The node does not know the metric ${config.metric}.`)
    if (config.policy.toLowerCase() !== deployment.policy.toLowerCase())
      throw new NodeConfigurationError(`The node does not know the reward policy ${config.policy}.`)
    const schema = Number(config.schema)
    const schemaHash = fromHex(config.schemaHash)
    const metricParams = fromHex(config.metricParams)
    const policyParams = fromHex(config.policyParams)
    return {
      bytes: encodeConfig({
        ...config,
        metric: fromHex(config.metric),
        metricParams,
        operator: fromHex(config.operator),
        policy: fromHex(config.policy),
        policyParams,
        schema,
        schemaHash,
      }),
      hash,
      schema,
      schemaHash,
      metric: decodeMetricParams(type, metricParams),
      ...decodePolicyParams(policyParams),
      operator: config.operator.toLowerCase() as Hex,
      graceMs: config.grace * 1000,
      challengeWindowMs: config.challengeWindow * 1000,
      responseTimeMs: config.responseTime * 1000,
      takeoverDelayMs: config.takeoverDelay * 1000,
      retentionMs: config.retention * 1000,
      maxRowsBytes: config.maxRowsBytes,
      minBond: config.minBond,
    }
  }

  return {
    operator: account.address.toLowerCase() as Hex,
    async genesisHash() {
      const { hash } = await ask('genesisHash', getBlock(client, { blockNumber: 0n }))
      return hash
    },
    async operatorState() {
      const { bond, listed, logKey, since, until } = await read('operator', [account.address])
      return {
        bond,
        listed,
        logKey: logKey === zeroAddress ? undefined : (logKey.toLowerCase() as Hex),
        posted: Math.max(since, until) || undefined,
      }
    },
    async head() {
      const latest = await ask('head', getBlock(client, { blockTag: 'latest' }))
      const head =
        confirmations === 0 || latest.number < BigInt(confirmations)
          ? latest
          : await ask(
              'head',
              getBlock(client, { blockNumber: latest.number - BigInt(confirmations) }),
            )
      return { block: Number(head.number), hash: head.hash, time: Number(head.timestamp) * 1000 }
    },
    async members(from, to) {
      const members = await readMembers(client, {
        fromBlock: BigInt(from) > fromBlock ? BigInt(from) : fromBlock,
        network,
        toBlock: BigInt(to),
      })
      return members.map(({ device, owner: _, publicKey, ...member }) => ({
        ...member,
        device: fromHex(device),
        publicKey: fromHex(publicKey),
      }))
    },
    async member(device) {
      const { assurance, joinedAt, slot, suspendedAt } = await ask(
        'member',
        readContract(client, {
          abi: iMembershipAbi,
          address: network.membership,
          functionName: 'member',
          args: [toHex(device)],
        }),
      )
      return joinedAt === 0
        ? undefined
        : { assurance: assurances[assurance]!, joinedAt, slot, suspendedAt }
    },
    async memberCount(block) {
      const count = (blockNumber?: bigint) =>
        readContract(client, {
          abi: iMembershipAbi,
          address: network.membership,
          functionName: 'memberCount',
          ...(blockNumber !== undefined && { blockNumber }),
        })
      if (block !== undefined)
        try {
          return await count(BigInt(block))
        } catch {
          // Not every endpoint keeps what was; some have no state by number at all.
        }
      return ask('memberCount', count())
    },
    async config(window) {
      const { configHash } = await read('versionAt', [window])
      let config = configs.get(configHash)
      if (!config) {
        config = toChainConfig(await readConfig(client, { fromBlock, network, window }))
        configs.set(config.hash, config)
      }
      return config
    },
    nextWindow: () => readNextWindow(client, { network }),
    async nextFinalWindow() {
      const final = await readFinalWindow(client, { network })
      return final === null ? network.firstWindow : final + 1
    },
    async latest(window) {
      const { attempt, epochHash } = await read('epoch', [window])
      return { attempt, epochHash }
    },
    async epoch(window) {
      const epoch = await readEpoch(client, { fromBlock, network, window })
      if (!epoch) return undefined
      const { gasUsed } = await ask(
        'epoch',
        getTransactionReceipt(client, { hash: epoch.transactionHash }),
      )
      return toPosted(epoch, gasUsed)
    },
    async post(posting) {
      const { ledgerRoot, logs, ...rest } = posting
      const { epoch, receipt } = await follow<postEpoch.ReturnType>((onHash) =>
        postEpoch(client, {
          ...rest,
          account,
          ledgerRoot: toHex(ledgerRoot),
          logs: logs.map(({ root, shard, size }) => ({
            root: toHex(root),
            shard,
            size: BigInt(size),
          })),
          network,
          onHash,
        }),
      )
      return toPosted(epoch, receipt.gasUsed)
    },
    async challenges(from, to, isKnown) {
      // A network where the operator's word is all there is.
      if (network.disputes === zeroAddress) return []
      const opened = await readChallenges(client, {
        fromBlock: BigInt(from) > fromBlock ? BigInt(from) : fromBlock,
        isKnown,
        network,
        toBlock: BigInt(to),
      })
      return opened.map(({ attempt, deadline, id, point, status, window }) => ({
        ...{ attempt, deadline: deadline * 1000, id, point, status, window },
      }))
    },
    async challengeStatus(id) {
      const { status } = await readChallenge(client, { id, network })
      return status
    },
    fetch: network.isPrivate ? createSignedFetch(client, { account, network }) : fetch,
    access: (account, device) => readAccess(client, { account, device, network }),
    async isSigned({ account: address, message, signature }, by) {
      if (by === 'contract')
        return ask('isSigned', verifyMessage(client, { address, message, signature }))
      // What is no signature of a key may be one of a contract.
      const signer = await recoverMessageAddress({ message, signature }).catch(() => undefined)
      return signer?.toLowerCase() === address
    },
    async answer(answer, onSent) {
      const { hash, receipt } = await follow<answerChallenge.ReturnType>(
        (onHash) => answerChallenge(client, { ...answer, account, network, onHash }),
        onSent,
      )
      return { gasUsed: receipt.gasUsed, transaction: hash }
    },
    async isPending(hash) {
      return (await readTransaction(latestOf(hash)))?.blockNumber === null
    },
    async hasten() {
      let failed: unknown
      // One that cannot be sent again keeps none of the others.
      for (const hash of [...unmined]) await hastenOne(hash).catch((error) => (failed ??= error))
      if (failed) throw failed

      async function hastenOne(hash: Hex) {
        const sent = await readTransaction(hash)
        if (sent?.blockNumber !== null) {
          unmined.delete(hash)
          return
        }
        // A node takes what has the place of another only for a tenth more.
        const most = (offered: bigint, now: bigint) => {
          const more = (offered * 5n) / 4n + 1n
          return more > now ? more : now
        }
        const fees =
          sent.maxFeePerGas === undefined
            ? { gasPrice: most(sent.gasPrice ?? 0n, await ask('hasten', getGasPrice(client))) }
            : await ask('hasten', estimateFeesPerGas(client)).then((now) => ({
                maxFeePerGas: most(sent.maxFeePerGas!, now.maxFeePerGas),
                maxPriorityFeePerGas: most(sent.maxPriorityFeePerGas!, now.maxPriorityFeePerGas),
              }))
        const { gas, input: data, nonce, to, value } = sent
        const request = {
          account,
          chain: client.chain ?? null,
          data,
          gas,
          nonce,
          to,
          value,
          ...fees,
        }
        const next = await ask('hasten', sendTransaction(client, request as never))
        unmined.delete(hash)
        unmined.add(next)
        successors.set(hash, next)
      }
    },
    async funds() {
      const { address } = account
      const [balance, gasPrice] = await ask(
        'funds',
        Promise.all([getBalance(client, { address }), getGasPrice(client)]),
      )
      return { balance, gasPrice }
    },
    async unmined() {
      const { address } = account
      const [pending, mined] = await ask(
        'unmined',
        Promise.all([
          getTransactionCount(client, { address, blockTag: 'pending' }),
          getTransactionCount(client, { address, blockTag: 'latest' }),
        ]),
      )
      return pending - mined
    },
  }
}

export declare namespace openChain {
  type Options = {
    /** @default the client's */
    account?: Account | undefined
    /** Blocks on top of a block until it is believed. @default 0 */
    confirmations?: number | undefined
    /** Where the metrics and the reward policy are. */
    deployment: Pick<Deployment, 'metrics' | 'policy'>
    /** The block the network was created in, or one before. @default 0n */
    fromBlock?: bigint | undefined
    network: Network
    /** How long one request may take, with all the client's own retries. @default 20_000 */
    timeoutMs?: number | undefined
  }
}

/** The same client, but none of its requests stays without an end. */
function limitTime(client: AnyClient, timeoutMs: number): AnyClient {
  const { account, batch, cacheTime, chain, pollingInterval } = client
  const request = async (args: { method: string }) => {
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new TimeoutError({ body: { method: args.method }, url: '' })),
        timeoutMs,
      )
    })
    try {
      return await Promise.race([client.request(args as never), timeout])
    } finally {
      clearTimeout(timer)
    }
  }
  return createClient({
    account,
    batch,
    cacheTime,
    chain,
    pollingInterval,
    transport: (options) => {
      const transport = custom({ request }, { retryCount: 0 })(options)
      // Transactions of one account are numbered by endpoint: that stays what it is.
      return { ...transport, value: { url: client.transport.url ?? client.uid } }
    },
  })
}

/** What viem throws has the URL of the endpoint in its message, and with it perhaps a key. */
async function ask<result>(what: string, call: Promise<result>): Promise<result> {
  try {
    return await call
  } catch (error) {
    throw error instanceof ViemError ? new ChainUnavailableError(what, error) : error
  }
}
