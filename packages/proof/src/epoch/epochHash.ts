import { concatBytes } from '@machinefi/core'
import { encodeWords } from '../abi/encodeWords.js'
import { keccak } from '../keccak/keccak.js'

/** Head of one shard of the operator's log, as an epoch commits to it. */
export type LogHead = {
  /** 32 bytes. */
  readonly root: Uint8Array
  readonly shard: number
  readonly size: number
}

/** Id of a network: keccak256(abi.encode(chainId, factory, serial)). It outlives any replaced contract. */
export function networkId(parameters: networkId.Parameters): Uint8Array {
  const { chainId, factory, serial } = parameters
  return keccak.hash(encodeWords(chainId, factory, serial))
}

export declare namespace networkId {
  type Parameters = {
    chainId: number
    /** Address of the network factory, 20 bytes. */
    factory: Uint8Array
    serial: bigint
  }
}

/** keccak256(abi.encode((uint32 shard, uint64 size, bytes32 root)[])). */
export function logsHash(logs: readonly LogHead[]): Uint8Array {
  return keccak.hash(
    concatBytes(
      encodeWords(32, logs.length),
      ...logs.map(({ root, shard, size }) => encodeWords(shard, size, root)),
    ),
  )
}

/** What a settlement contract commits to when an epoch is posted (`EpochPosted.epochHash`). */
export function epochHash(epoch: epochHash.Epoch): Uint8Array {
  return keccak.hash(
    encodeWords(
      epoch.network,
      epoch.windowSeconds,
      epoch.window,
      epoch.attempt,
      epoch.parentHash,
      epoch.configHash,
      epoch.memberCount,
      logsHash(epoch.logs),
      epoch.ledgerRoot,
      epoch.ledgerTotal,
    ),
  )
}

export declare namespace epochHash {
  type Epoch = {
    attempt: number
    /** keccak256 of the ABI-encoded configuration, 32 bytes. */
    configHash: Uint8Array
    /** 32 bytes. */
    ledgerRoot: Uint8Array
    ledgerTotal: bigint
    logs: readonly LogHead[]
    memberCount: number
    /** Network id, 32 bytes. */
    network: Uint8Array
    /** Epoch hash of the standing epoch of the window before, 32 bytes; all 0 for a network's first window. */
    parentHash: Uint8Array
    window: number
    /** Length of the network's windows. */
    windowSeconds: number
  }
}
