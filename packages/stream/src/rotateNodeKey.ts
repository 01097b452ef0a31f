import { setTimeout as sleep } from 'node:timers/promises'
import {
  type AnyClient,
  type Deployment,
  type Network,
  readOperator,
  rotateLogKey,
} from '@machinefi/contracts'
import { fromHex, type Hex, publicKeyToAddress, type Signer, toHex } from '@machinefi/core'
import { decodeCheckpoint } from '@machinefi/proof'
import type { Account } from 'viem'
import { assertLogSigner } from './assertLogSigner.js'
import type { Chain } from './chain/chain.js'
import { openChain } from './chain/openChain.js'
import { ChainBehindError, NodeConfigurationError } from './errors.js'
import { openStore, type Store } from './store/openStore.js'

/**
 * Changes the key of a stopped node's log in all its networks. What the key
 * before signed goes on binding the operator; the node goes on with the same
 * data directory and the new key. Called again it does what is left to do.
 *
 * The directory is held meanwhile, so that nothing is signed with the key
 * before that is dated after the change: it would bind nobody. For the same
 * reason the chain's clock must have passed the last checkpoint's date.
 *
 * @throws {DataDirectoryError} a node uses the directory, or it is foreign or damaged.
 * @throws {NodeConfigurationError} the operator has no log key yet, or the new one is no P-256 key.
 * @throws {PublishedKeyError} everyone has the new one, and this is no development chain.
 * @throws {ChainBehindError} the chain's clock stays behind the last checkpoint.
 * @throws {ContractError}
 */
export async function rotateNodeKey(options: rotateNodeKey.Options): Promise<RotatedKey[]> {
  const { account, client, dataDir, deployment, logSigner, maxWaitMs = 120_000, networks } = options
  assertLogSigner(logSigner, networks)
  const first = networks[0]
  if (!first) throw new NodeConfigurationError('A node serves at least one network.')
  const logKey = toHex(publicKeyToAddress(logSigner.publicKey))
  const chains = networks.map((network) => openChain(client, { account, deployment, network }))
  const { operator } = chains[0]!
  const store = openStore({
    directory: dataDir,
    identity: { chain: await chains[0]!.genesisHash(), operator },
    networks: networks.map(({ id }) => fromHex(id)),
  })
  try {
    const keys = await Promise.all(chains.map((chain) => chain.operatorState()))
    const unbonded = networks.find((_, i) => keys[i]!.logKey === undefined)
    if (unbonded)
      throw new NodeConfigurationError('The operator has no log key yet: its first bond sets it.', {
        metaMessages: [`Network: ${unbonded.id}`, `Operator: ${operator}`],
      })
    for (const network of networks) await keepLogKey(store, { client, network, operator })
    const signedAt = networks.map(
      ({ id }) => store.lastCheckpoint(store.numberOf(fromHex(id)))?.time ?? 0,
    )
    await waitForTime(chains[0]!, Math.max(...signedAt), maxWaitMs)
    const rotated: RotatedKey[] = []
    for (const [i, network] of networks.entries()) {
      const before = keys[i]!.logKey!
      if (before === logKey) continue
      const { hash } = await rotateLogKey(client, {
        account,
        logKey: toHex(logSigner.publicKey),
        network,
      })
      rotated.push({ before, logKey, network: network.id, transaction: hash })
    }
    return rotated
  } finally {
    store.close()
  }
}

export declare namespace rotateNodeKey {
  type Options = {
    /** A viem client of the operator. */
    client: AnyClient
    /** The operator. @default the client's account */
    account?: Account | undefined
    /** The node's, which is stopped. */
    dataDir: string
    deployment: Pick<Deployment, 'metrics' | 'policy'>
    /** The new log key, ES256. */
    logSigner: Signer
    /** How long the chain's clock may take to pass the last checkpoint's date. @default 2 minutes */
    maxWaitMs?: number | undefined
    /** All that the node serves. */
    networks: readonly Network[]
  }
}

/** What was changed in a network. */
export type RotatedKey = {
  /** Addresses of the keys. */
  before: Hex
  logKey: Hex
  network: Hex
  transaction: Hex
}

/**
 * Notes the public key that signed so far, which bundles need: a directory that was made before keys
 * could change has its address alone, and no node has been started with it since.
 */
async function keepLogKey(
  store: Store,
  { client, network, operator }: { client: AnyClient; network: Network; operator: Hex },
): Promise<void> {
  const last = store.lastCheckpoint(store.numberOf(fromHex(network.id)))
  if (!last) return
  const address = decodeCheckpoint(last.bytes).logKey
  if (store.logKey(address)) return
  const { formerLogKeys, logKey, logKeyAddress } = await readOperator(client, { network, operator })
  const keys = [{ address: logKeyAddress, logKey }, ...formerLogKeys]
  const signed = keys.find((key) => key.address.toLowerCase() === toHex(address))?.logKey
  if (signed) store.keepLogKey(fromHex(signed))
}

/** Until a block has a time: the change is in a later one. */
async function waitForTime(chain: Chain, time: number, maxWaitMs: number): Promise<void> {
  const end = performance.now() + maxWaitMs
  for (;;) {
    const behindMs = time - (await chain.head()).time
    if (behindMs <= 0) return
    if (performance.now() > end) throw new ChainBehindError(behindMs)
    await sleep(Math.min(1000, maxWaitMs))
  }
}
