import {
  equalBytes,
  formatAddress,
  parseDid,
  publicKeyToAddress,
  sha256,
  toHex,
  verifySignature,
} from '@machinefi/core'
import {
  batchId,
  decodeBatch,
  type SignedBatch,
  schemaHash,
  sigStructure,
} from '@machinefi/telemetry'
import { verifyCheckpoint } from '../checkpoint/signCheckpoint.js'
import { type Config, decodeConfig } from '../epoch/encodeConfig.js'
import { epochHash, type LogHead, networkId } from '../epoch/epochHash.js'
import { decodePolicyParams, reward, type ThresholdPolicy } from '../epoch/reward.js'
import { keccak } from '../keccak/keccak.js'
import { ledgerDepth } from '../ledger/buildLedger.js'
import { nodeBytes } from '../ledger/Entry.js'
import { verifyLedgerProof } from '../ledger/verifyLedgerProof.js'
import { verifyInclusion } from '../log/verifyInclusion.js'
import { decodeMetricParams } from '../metrics/decodeMetricParams.js'
import { assertMetric, type Metric, type Window } from '../metrics/Metric.js'
import { buildTrace } from '../trace/buildTrace.js'
import { isInWindow } from '../trace/selectBatches.js'
import {
  type ClaimEvidence,
  decodeBundle,
  type EpochBundle,
  MalformedBundleError,
} from './encodeBundle.js'

/**
 * Re-checks a bundle from its bytes alone, trusting nobody: that the bytes are
 * canonical, the log heads signed, the epoch hash right, and for every claim
 * the ledger path and its sums, the device's key and signatures, the inclusion
 * of every batch in the log, the canonical order, the fold, the trace, the
 * value and the reward.
 *
 * What only the chain knows: whether the epoch was posted (give `epochHash`),
 * who could sign for the operator when (compare `logKey`, `operator` and
 * `signedAt`), and that the
 * contracts in the configuration are the metric and the policy named here.
 * Whether a batch was left out takes the whole log, and whether the cumulative
 * rewards go on from the parent's takes the parent's ledger: `cumulative` and
 * `complete` are the operator's word until then.
 *
 * @example
 * const verdict = await verifyBundle(bytes, { epochHash })
 * if (!verdict.ok) console.error(`${verdict.at}: ${verdict.reason}`)
 */
export async function verifyBundle(
  bytes: Uint8Array,
  options: verifyBundle.Options = {},
): Promise<verifyBundle.Verdict> {
  try {
    const bundle = decodeBundle(bytes)
    const epoch = await checkEpoch(bundle, options)
    const device = options.device === undefined ? undefined : toAddress(options.device)
    const claims: ClaimVerdict[] = []
    const seen = new Set<string>()
    let before = -1
    for (const claim of bundle.claims) {
      const at = claimName(claim.entry.device)
      if (claim.slot <= before) fail(`${at}: slot`, 'Slots must ascend.')
      before = claim.slot
      if (seen.has(at)) fail(`${at}: device`, 'A device has one slot.')
      seen.add(at)
      if (device !== undefined && !equalBytes(claim.entry.device, device)) continue
      claims.push(await checkClaim(claim, epoch, at))
    }
    if (device !== undefined && claims.length === 0)
      fail(claimName(device), 'The bundle has no claim of this device.')
    // Last, so that whatever is wrong is named where it is; it also binds what no other hash does.
    if (!equalBytes(bytes.subarray(-32), sha256(bytes.subarray(0, -34))))
      fail('digest', 'The bundle must end in the hash of all before.')
    const { logKey, network, operator, signedAt, window } = epoch
    const { ledgerTotal } = bundle
    const sum = claims.reduce((total, { cumulative }) => total + cumulative, 0n)
    return {
      ok: true,
      ...{ claims, logKey, network, operator, signedAt, window },
      complete: sum === ledgerTotal,
      epochHash: bundle.epochHash,
    }
  } catch (error) {
    if (error instanceof Fault) return { ok: false, at: error.at, reason: error.reason }
    if (error instanceof MalformedBundleError)
      return { ok: false, at: `byte ${error.offset}`, reason: `Not canonical: ${error.what}.` }
    throw error
  }
}

export declare namespace verifyBundle {
  type Options = {
    /** Check the claim of this device only: 20 bytes, or a DID. */
    device?: Uint8Array | string | undefined
    /** What was posted, as read from the chain, 32 bytes. */
    epochHash?: Uint8Array | undefined
  }
  type Verdict =
    | {
        ok: true
        claims: ClaimVerdict[]
        /** Whether these claims are all that was ever rewarded: their sum is the ledger's total. */
        complete: boolean
        epochHash: Uint8Array
        /** The key that signed the log heads: it must have been the operator's, on the chain, at `signedAt`. */
        logKey: Uint8Array
        /** Network id, 32 bytes. */
        network: Uint8Array
        /** Named by the log heads; `null` where the epoch has none. */
        operator: Uint8Array | null
        /** Date of the latest log head, ms; `null` where the epoch has none. */
        signedAt: number | null
        window: Window & { number: number }
      }
    | Failure
  type Failure = {
    ok: false
    /** Where, from the outside in, such as `claim 0x…: batch 7: signature`. */
    at: string
    /** What was expected there. */
    reason: string
  }
}

/** A claim that holds. */
export type ClaimVerdict = {
  /** Reward of all windows so far, by the posted ledger; what it adds to was not checked. */
  cumulative: bigint
  /** 20 bytes. */
  device: Uint8Array
  /** Reward of this window. */
  reward: bigint
  slot: number
  /** Batches in the trace. */
  steps: number
  value: bigint
}

/**
 * Re-checks the claim of one device from a bundle: {@link verifyBundle} for
 * one device, with failures named from the claim on (`batch 7: signature`).
 */
export async function verifyClaim(
  bytes: Uint8Array,
  options: verifyClaim.Options,
): Promise<verifyClaim.Verdict> {
  const verdict = await verifyBundle(bytes, options)
  if (verdict.ok) {
    const { claims, complete: _, ...epoch } = verdict
    return { ...epoch, ...(claims[0] as ClaimVerdict) }
  }
  const prefix = `${claimName(toAddress(options.device))}: `
  return verdict.at.startsWith(prefix)
    ? { ...verdict, at: verdict.at.slice(prefix.length) }
    : verdict
}

export declare namespace verifyClaim {
  type Options = verifyBundle.Options & { device: Uint8Array | string }
  type Verdict =
    | (ClaimVerdict & Omit<Extract<verifyBundle.Verdict, { ok: true }>, 'claims' | 'complete'>)
    | verifyBundle.Failure
}

/** The bundle of one device's claim alone. `null` where it is not in the bundle. */
export function extractClaim(bundle: EpochBundle, device: Uint8Array): EpochBundle | null {
  const claim = bundle.claims.find(({ entry }) => equalBytes(entry.device, device))
  return claim === undefined ? null : { ...bundle, claims: [claim] }
}

/** Ends a check; never leaves this file. */
class Fault {
  constructor(
    readonly at: string,
    readonly reason: string,
  ) {}
}

function fail(at: string, reason: string): never {
  throw new Fault(at, reason)
}

const claimName = (device: Uint8Array) => `claim ${formatAddress(device)}`
const toAddress = (device: Uint8Array | string) =>
  typeof device === 'string' ? parseDid(device) : device

type CheckedEpoch = {
  bundle: EpochBundle
  logKey: Uint8Array
  logs: LogHead[]
  metric: Metric
  network: Uint8Array
  operator: Uint8Array | null
  policy: ThresholdPolicy
  signedAt: number | null
  window: Window & { number: number }
}

async function checkEpoch(
  bundle: EpochBundle,
  options: verifyBundle.Options,
): Promise<CheckedEpoch> {
  const { logKey, schema } = bundle
  const config = attempt('config', 'The configuration must be ABI-encoded.', () =>
    decodeConfig(bundle.config),
  )
  checkSchema(bundle, config)
  const metric = attempt('metric', 'The metric must fit the configuration and the schema.', () => {
    const decoded = decodeMetricParams(bundle.metric, config.metricParams)
    assertMetric(decoded, schema)
    return decoded
  })
  if (bundle.policy !== 'threshold') fail('policy', 'There is no such reward policy.')
  const policy = attempt('policy', 'The reward policy must fit the configuration.', () =>
    decodePolicyParams(config.policyParams),
  )
  const { chainId, factory, serial, windowSeconds } = bundle.network
  const network = networkId({ chainId, factory, serial })

  const logs: LogHead[] = []
  let operator: Uint8Array | null = null
  let signedAt: number | null = null
  for (const [i, bytes] of bundle.checkpoints.entries()) {
    const verdict = await verifyCheckpoint(bytes, { network, publicKey: logKey })
    if (!verdict.ok)
      fail(
        `checkpoint ${i}: ${verdict.reason}`,
        'The operator’s log key must have signed it for this network.',
      )
    const { checkpoint } = verdict
    if (operator !== null && !equalBytes(checkpoint.operator, operator))
      fail(`checkpoint ${i}: operator`, 'All must be of one operator.')
    if (checkpoint.shard <= (logs.at(-1)?.shard ?? -1))
      fail(`checkpoint ${i}: shard`, 'Shards must ascend.')
    operator = checkpoint.operator
    signedAt = Math.max(signedAt ?? 0, checkpoint.time)
    const { root, shard, size } = checkpoint
    logs.push({ root, shard, size })
  }
  const computed = epochHash({
    ...bundle,
    configHash: keccak.hash(bundle.config),
    logs,
    network,
    windowSeconds,
  })
  if (!equalBytes(computed, bundle.epochHash))
    fail('epoch hash', `What the bundle holds hashes to ${toHex(computed)}.`)
  if (options.epochHash !== undefined && !equalBytes(options.epochHash, computed))
    fail('epoch hash', `What was posted is ${toHex(options.epochHash)}, not ${toHex(computed)}.`)
  const start = bundle.window * windowSeconds * 1000
  const window = { end: start + windowSeconds * 1000, number: bundle.window, start }
  return { bundle, logKey, logs, metric, network, operator, policy, signedAt, window }
}

function checkSchema({ schema }: EpochBundle, config: Config) {
  const fits =
    equalBytes(schemaHash(schema), config.schemaHash) &&
    schema.id === config.schema &&
    schema.tickMs === config.tickMs &&
    schema.fields.length === config.fields
  if (!fits) fail('schema', 'It must be the one of the configuration.')
}

async function checkClaim(
  claim: ClaimEvidence,
  epoch: CheckedEpoch,
  at: string,
): Promise<ClaimVerdict> {
  const { bundle, metric, policy, window } = epoch
  const { before, entry, key, siblings, slot } = claim
  const { cumulative, device, steps, value } = entry

  if (slot >= bundle.memberCount) fail(`${at}: slot`, 'There are fewer members.')
  const depth = siblings.length / nodeBytes
  const least = ledgerDepth(bundle.memberCount)
  if (depth !== least && depth !== least + 1)
    fail(`${at}: ledger path`, `It must have ${least} siblings, or one more.`)
  const { ledgerRoot: root, ledgerTotal: total } = bundle
  if (!verifyLedgerProof({ depth, entry, proof: siblings, root, slot, total }))
    fail(`${at}: ledger path`, 'The entry must lead to the ledger’s root and total.')

  if (steps !== claim.batches.length)
    fail(`${at}: steps`, `The entry has ${steps}, the bundle ${claim.batches.length} batches.`)
  if ((key === null) !== (steps === 0))
    fail(`${at}: key`, 'The device’s key must be there if batches are.')
  if (key !== null && !equalBytes(publicKeyToAddress(key.publicKey), device))
    fail(`${at}: key`, 'The device’s address must be the hash of its key.')

  const batches: { batch: SignedBatch; id: Uint8Array }[] = []
  for (const [i, logged] of claim.batches.entries())
    batches.push(
      await checkBatch(
        logged,
        claim,
        epoch,
        batches.at(-1)?.batch.header.seq ?? -1,
        `${at}: batch ${i}`,
      ),
    )

  const trace = buildTrace({ batches, metric, schema: bundle.schema, window })
  if (!equalBytes(trace.root, entry.traceRoot))
    fail(`${at}: trace`, `The batches fold to the trace root ${toHex(trace.root)}.`)
  if (trace.value !== value)
    fail(`${at}: value`, `The batches fold to ${trace.value}, not ${value}.`)
  const earned = reward({ ...policy, value })
  if (cumulative - before !== earned)
    fail(`${at}: reward`, `The value earns ${earned}, not ${cumulative - before}.`)
  return { cumulative, device, reward: earned, slot, steps, value }
}

async function checkBatch(
  logged: ClaimEvidence['batches'][number],
  { entry, key }: ClaimEvidence,
  { bundle, logs, network, window }: CheckedEpoch,
  seqBefore: number,
  at: string,
): Promise<{ batch: SignedBatch; id: Uint8Array }> {
  const batch = attempt(
    `${at}: encoding`,
    'It must be a signed batch in its canonical encoding.',
    () => decodeBatch(logged.bytes),
  )
  const { algorithm, header, records, signature } = batch
  if (!equalBytes(batch.device, entry.device))
    fail(`${at}: device`, 'It must be of the claim’s device.')
  if (algorithm !== key?.algorithm)
    fail(`${at}: algorithm`, 'It must be the one of the device’s key.')
  if (header.schema !== bundle.schema.id) fail(`${at}: schema`, 'It must be the one of the epoch.')
  if (!isInWindow(header, window)) fail(`${at}: window`, 'It must overlap the window of the epoch.')
  if (header.seq <= seqBefore) fail(`${at}: seq`, 'The seq of batches must ascend.')

  const log = logs.find(({ shard }) => shard === logged.shard)
  if (log === undefined) fail(`${at}: shard`, 'There must be a checkpoint of this shard.')
  const id = batchId(batch, network)
  const { index, proof } = logged
  if (!verifyInclusion({ id, index, proof, root: log.root, size: log.size }))
    fail(`${at}: inclusion`, 'It must be in the log at this index.')

  if (records === null) fail(`${at}: records`, 'The rows must be there.')
  if (!equalBytes(sha256(records), header.recordsHash))
    fail(`${at}: records`, 'They must be those that the header was signed over.')
  const message = sigStructure(batch, network)
  const { publicKey } = key
  if (!(await verifySignature({ algorithm, message, publicKey, signature })))
    fail(`${at}: signature`, 'The device must have signed it for this network.')
  return { batch, id }
}

function attempt<value>(at: string, reason: string, run: () => value): value {
  try {
    return run()
  } catch {
    return fail(at, reason)
  }
}
