import { equalBytes, toHex } from '@machinefi/core'
import { batchId, type SignedBatch } from '@machinefi/telemetry'
import type { LogHead } from '../epoch/epochHash.js'
import type { Log } from '../log/createLog.js'
import type { Challenge, Proof } from './Challenge.js'
import type { Fault } from './diffClaim.js'
import { type CheckpointEvidence, type EpochEvidence, toBatchEvidence } from './Evidence.js'

/**
 * Compares the log that an operator posted with what it signed and posted
 * before, and with a copy: proofs before challenges, certain before not.
 */
export function diffLog(parameters: diffLog.Parameters): Fault<Challenge | Proof>[] {
  const { checkpoints, cutoff, earlier = [], epoch, log } = parameters
  const faults: Fault<Challenge | Proof>[] = []
  const sizeOf = (shard: number) => epoch.logs.find((head) => head.shard === shard)?.size ?? 0

  const fork = findFork(checkpoints)
  if (fork)
    faults.push({
      certain: true,
      remedy: fork,
      text: `Shard ${fork.checkpoints[0].shard} has two heads of size ${fork.checkpoints[0].size}.`,
      why: 'forked-log',
    })

  const promised = checkpoints
    .filter(({ shard, size, time }) => time < cutoff && size > sizeOf(shard))
    .sort((a, b) => b.size - a.size)[0]
  if (promised)
    faults.push({
      certain: true,
      remedy: { kind: 'truncation', checkpoint: promised, epoch },
      text: `Shard ${promised.shard} has ${sizeOf(promised.shard)} entries, and had ${promised.size} before the cut-off.`,
      why: 'truncated-log',
    })

  // What was posted needs no signature to be shown, so that it comes first.
  const heads: { head: LogHead; remedy: Challenge }[] = [
    ...earlier.flatMap(({ epoch: before, window }) =>
      before.logs.map((head) => {
        const { shard } = head
        const earlier = { epoch: before, window }
        return { head, remedy: { kind: 'consistency', earlier, epoch, shard } as const }
      }),
    ),
    ...checkpoints.map((checkpoint) => {
      return { head: checkpoint, remedy: { kind: 'checkpoint', checkpoint, epoch } as const }
    }),
  ]
  let guess: (typeof heads)[number] | undefined
  for (const each of heads) {
    const { root, shard, size } = each.head
    const posted = epoch.logs.find((head) => head.shard === shard)
    if (posted === undefined || size === 0 || size > posted.size) continue
    const fault = (certain: boolean) => rewritten(each, certain)
    if (size === posted.size) {
      if (!equalBytes(root, posted.root)) return [...faults, fault(true)]
      continue
    }
    const copy = log(shard)
    // A copy that is not as long says nothing.
    if (copy === null || copy.size < posted.size) continue
    const isMine = (head: { root: Uint8Array; size: number }) =>
      equalBytes(copy.root(head.size), head.root)
    if (isMine(posted)) {
      if (!isMine({ root, size })) return [...faults, fault(true)]
      continue
    }
    // What is wrong below a smaller head is wrong below a larger one.
    if (guess === undefined || size > guess.head.size) guess = each
  }
  return guess ? [...faults, rewritten(guess, false)] : faults
}

function rewritten(
  { head, remedy }: { head: LogHead; remedy: Challenge },
  certain: boolean,
): Fault<Challenge> {
  const { shard, size } = head
  const text = `Shard ${shard} does not begin with the ${size} entries that its operator once had.`
  return { certain, remedy, text, why: 'rewritten-log' }
}

export declare namespace diffLog {
  type Parameters = {
    /** Checkpoints that the operator signed, their signatures verified. */
    checkpoints: readonly CheckpointEvidence[]
    /** End of the window + grace, in ms. */
    cutoff: number
    /** Standing epochs before that the same operator posted. */
    earlier?: readonly { readonly epoch: EpochEvidence; readonly window: number }[] | undefined
    epoch: EpochEvidence
    /** A copy of a shard as it was seen growing; `null` where there is none. */
    log(shard: number): Pick<Log, 'root' | 'size'> | null
  }
}

/** Two heads of one size of one operator's shard, with different roots; `null` where there are none. */
export function findFork(
  checkpoints: readonly CheckpointEvidence[],
): Extract<Proof, { kind: 'fork' }> | null {
  const seen = new Map<string, CheckpointEvidence>()
  for (const checkpoint of checkpoints) {
    const { operator, root, shard, size } = checkpoint
    const key = `${toHex(operator)}/${shard}/${size}`
    const other = seen.get(key)
    if (other && !equalBytes(other.root, root))
      return { kind: 'fork', checkpoints: [other, checkpoint] }
    seen.set(key, checkpoint)
  }
  return null
}

/** The proof that a device signed two batches with one seq; `null` where it did not. */
export function findEquivocation(
  a: SignedBatch,
  b: SignedBatch,
  { network, publicKey }: { network: Uint8Array; publicKey: Uint8Array },
): Extract<Proof, { kind: 'equivocation' }> | null {
  if (!equalBytes(a.device, b.device) || a.header.seq !== b.header.seq) return null
  if (equalBytes(batchId(a, network), batchId(b, network))) return null
  return {
    kind: 'equivocation',
    batches: [toBatchEvidence(a, publicKey), toBatchEvidence(b, publicKey)],
  }
}
