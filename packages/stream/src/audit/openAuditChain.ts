import {
  type AnyClient,
  type Deployment,
  type Epoch,
  type EpochStatus,
  type Network,
  type Operator,
  readEpochStatus,
  readEpochs,
  readOperator,
  toContractError,
} from '@machinefi/contracts'
import { iSettlementAbi } from '@machinefi/contracts/abis'
import { BaseError, equalBytes, fromHex, type Hex, publicKeyToAddress } from '@machinefi/core'
import type { DecodedCheckpoint, EpochEvidence } from '@machinefi/proof'
import {
  type ContractFunctionArgs,
  type ContractFunctionName,
  type ContractFunctionReturnType,
  zeroAddress,
} from 'viem'
import { toAccount } from 'viem/accounts'
import { readContract } from 'viem/actions'
import type { ChainConfig, ChainMember } from '../chain/chain.js'
import { openChain } from '../chain/openChain.js'
import { hasEverySlot, readMemberChanges, reorganisedBlocks } from '../chain/readMemberChanges.js'

/**
 * What an auditor knows of a network: all of it from the chain, nothing from a
 * node. Read up to the head, and further with every `refresh`.
 */
export async function openAuditChain(
  client: AnyClient,
  options: openAuditChain.Options,
): Promise<AuditChain> {
  const { confirmations, deployment, fromBlock = 0n, network } = options
  const chain = openChain(client, {
    // It never posts.
    account: toAccount(zeroAddress),
    confirmations,
    deployment,
    fromBlock,
    network,
  })
  const members = new Map<string, ChainMember>()
  const epochs = new Map<Hex, AuditedEpoch>()
  const operators = new Map<string, Operator>()
  const configs = new Map<number, ChainConfig>()
  /** Whose state changed in the blocks that were read last. */
  let recent: readonly ChainMember[] = []
  let cursor = Number(fromBlock) - 1
  let head: { block: number; hash: Hex | undefined; time: number } = {
    block: 0,
    hash: undefined,
    time: 0,
  }

  async function refresh() {
    const { block, hash, time } = await chain.head()
    // The same number again may be another block.
    if (hash !== head.hash) {
      // What a short reorganisation took back comes again in another block, or never.
      const last = Math.min(cursor, block)
      const from = BigInt(Math.max(Number(fromBlock), last + 1 - reorganisedBlocks))
      await readMembers({ doubtful: recent, from: Number(from), to: block })
      if (!(await knowsEveryMember(block))) {
        await readMembers({ doubtful: [...members.values()], from: 0, to: block })
        if (!(await knowsEveryMember(block))) throw new IncompleteMembersError()
      }
      for (const { status, ...epoch } of await readEpochs(client, {
        fromBlock: from,
        network,
        toBlock: BigInt(block),
      }))
        epochs.set(epoch.epochHash, toAudited(epoch, status))
      cursor = block
    }
    for (const epoch of epochs.values()) if (epoch.status === 'pending') await update(epoch)
    head = { block, hash, time }
  }

  async function readMembers(options: readMemberChanges.Options) {
    const { again, changed } = await readMemberChanges(chain, options)
    for (const member of [...again, ...changed]) {
      if (member.joinedAt === 0) members.delete(keyOf(member.device))
      else members.set(keyOf(member.device), member)
    }
    recent = changed
  }

  async function knowsEveryMember(block: number): Promise<boolean> {
    return hasEverySlot(members.values(), await chain.memberCount(block))
  }

  /** What became of an epoch that was pending. */
  async function update(epoch: AuditedEpoch) {
    const { challengeEndsAt, epochHash } = await read('epoch', [epoch.window])
    // Not the latest any more: void, or taken back by a reorganisation.
    if (epochHash !== epoch.epochHash) epoch.status = 'void'
    else {
      epoch.challengeEndsAt = Number(challengeEndsAt) * 1000
      epoch.status = await readEpochStatus(client, { network, ...epoch })
    }
  }

  async function readConfig(window: number): Promise<ChainConfig> {
    const known = configs.get(window)
    if (known) return known
    const config = await chain.config(window)
    // The rules of a window that has begun never change.
    if (head.time >= window * network.windowSeconds * 1000) configs.set(window, config)
    return config
  }

  /** An operator with its keys, which are in events: read again only after they have changed. */
  async function readKeys(operator: Hex, { again = false }): Promise<Operator> {
    const known = again ? undefined : operators.get(operator)
    const { logKey } = await read('operator', [operator])
    if (known?.logKey && known.logKeyAddress === logKey.toLowerCase()) return known
    const state = await readOperator(client, { fromBlock, network, operator })
    operators.set(operator, state)
    return state
  }

  async function read<
    name extends ContractFunctionName<typeof iSettlementAbi, 'view'>,
    const args extends ContractFunctionArgs<typeof iSettlementAbi, 'view', name>,
  >(functionName: name, args: args) {
    const { settlement: address } = network
    try {
      const call = { abi: iSettlementAbi, address, args, functionName }
      return (await readContract(client, call as never)) as ContractFunctionReturnType<
        typeof iSettlementAbi,
        'view',
        name,
        args
      >
    } catch (error) {
      throw toContractError(error, { address, functionName })
    }
  }

  await refresh()
  return {
    genesisHash: chain.genesisHash,
    refresh,
    get block() {
      return head.block
    },
    get time() {
      return head.time
    },
    members: () => [...members.values()].sort((a, b) => a.slot - b.slot),
    keyOf: (device) => members.get(keyOf(device))?.publicKey,
    config: readConfig,
    epochs: () => [...epochs.values()].sort((a, b) => a.window - b.window || a.attempt - b.attempt),
    epoch: (hash) => epochs.get(hash),
    async logKeysOf(operator, options = {}) {
      const state = await readKeys(operator, options)
      if (!state.logKey) return undefined
      const [delay, nextFinal] =
        state.formerLogKeys.length > 0
          ? await Promise.all([read('withdrawalDelay', []), read('nextFinalWindow', [])])
          : [0n, 0]
      const keys = [
        { logKey: state.logKey, until: Number.POSITIVE_INFINITY },
        ...state.formerLogKeys.filter(
          ({ changedAt, until }) =>
            head.time <= (changedAt + Number(delay)) * 1000 ||
            Math.floor(until / network.windowSeconds) >= nextFinal,
        ),
      ].flatMap(({ logKey, until }) => {
        if (!logKey) return []
        const publicKey = fromHex(logKey)
        return [{ address: publicKeyToAddress(publicKey), publicKey, untilMs: until * 1000 }]
      })
      return ({ logKey, time }) =>
        keys.find(({ address, untilMs }) => time <= untilMs && equalBytes(address, logKey))
          ?.publicKey
    },
    async evidence(epoch) {
      const { bytes } = await readConfig(epoch.window)
      const { logs, memberCount, parentHash } = epoch
      return { config: bytes, logs, memberCount, parentHash: fromHex(parentHash) }
    },
  }
}

export declare namespace openAuditChain {
  type Options = {
    confirmations?: number | undefined
    deployment: Pick<Deployment, 'metrics' | 'policy'>
    /** The block the network was created in, or one before. @default 0n */
    fromBlock?: bigint | undefined
    network: Network
  }
}

export type AuditChain = {
  genesisHash(): Promise<Hex>
  /** Reads what is new: members, epochs, and what became of those that were not final. */
  refresh(): Promise<void>
  /** Last block that was read. */
  readonly block: number
  /** Its time, ms. */
  readonly time: number
  /** By slot. */
  members(): ChainMember[]
  /** A member's key, X‖Y. */
  keyOf(device: Uint8Array): Uint8Array | undefined
  config(window: number): Promise<ChainConfig>
  /** All that was ever posted, voided attempts included, by window and attempt. */
  epochs(): AuditedEpoch[]
  epoch(hash: Hex): AuditedEpoch | undefined
  /**
   * The log keys of an operator; undefined if it never bonded.
   *
   * @param options.again read them even if the key of now is the one that was read: it may have been
   *   changed, and changed back, meanwhile.
   */
  logKeysOf(operator: Hex, options?: { again?: boolean }): Promise<LogKeys | undefined>
  /** What the hash of an epoch is made of. */
  evidence(epoch: AuditedEpoch): Promise<EpochEvidence>
}

/**
 * The key that a head names, X‖Y, if its operator answers for what that signed at the head's date: its
 * key of now, or one that it changed since, and not longer ago than the contract takes proofs of it.
 */
export type LogKeys = (head: Pick<DecodedCheckpoint, 'logKey' | 'time'>) => Uint8Array | undefined

/** An epoch as it was posted. */
export type AuditedEpoch = Omit<Epoch, 'challengeEndsAt' | 'ledgerRoot' | 'logs' | 'operator'> & {
  /** As posted, ms; answered reveals can move it. */
  challengeEndsAt: number
  ledgerRoot: Uint8Array
  logs: { root: Uint8Array; shard: number; size: number }[]
  operator: Hex
  status: EpochStatus
}

function toAudited(epoch: Epoch, status: EpochStatus): AuditedEpoch {
  return {
    ...epoch,
    challengeEndsAt: epoch.challengeEndsAt * 1000,
    ledgerRoot: fromHex(epoch.ledgerRoot),
    logs: epoch.logs.map(({ root, shard, size }) => ({
      root: fromHex(root),
      shard,
      size: Number(size),
    })),
    status,
  }
}

const keyOf = (device: Uint8Array) =>
  Buffer.from(device.buffer, device.byteOffset, device.length).toString('latin1')

/** The endpoint shows fewer members than there are: nothing can be judged by it. */
export class IncompleteMembersError extends BaseError {
  override readonly name = 'IncompleteMembersError'
  constructor() {
    super('The endpoint of the chain does not show every member.', { kind: 'transport' })
  }
}
