import type { Answer, EntryEvidence, EpochEvidence, Point } from '@machinefi/contracts'
import { equalBytes, keccak256 } from '@machinefi/core'
import { encodeState, type Ledger } from '@machinefi/proof'
import { toLog } from './LogBook.js'
import { type Story, type ToldLedger, toLedger, toTrace } from './Story.js'

/**
 * The answer to a challenge that comes nearest to what an honest operator would say, made of
 * nothing but the story: true wherever the story is. Unlike `buildAnswer` it does not look whether
 * it holds. Null where the story has nothing to show.
 */
export function answerFalsely(point: Point, source: answerFalsely.Source): Answer | null {
  const { epoch, parent, story } = source
  const ledger = toLedger(story)
  const log = toLog(story.log)
  const entryOf = (ledger: ToldLedger, slot: number): EntryEvidence => {
    const { entry, siblings } = ledger.proof(slot)
    return { entry, siblings }
  }
  switch (point.kind) {
    case 'step': {
      const claim = story.claims[point.slot] ?? null
      const entry = entryOf(ledger, point.slot)
      const step = claim?.steps[point.step]
      if (claim === null || step === undefined) return { kind: 'step', entry, epoch, step: null }
      const trace = toTrace(claim.steps)
      const { batch, index } = step
      const last = claim.steps[point.step - 1]
      return {
        kind: 'step',
        entry,
        epoch,
        step: {
          batch: {
            algorithm: batch.algorithm,
            header: batch.header,
            publicKey: claim.publicKey,
            signature: batch.signature,
          },
          before: last
            ? {
                batchId: last.id,
                proof: trace.proof(point.step - 1),
                seq: last.batch.header.seq,
                state: encodeState(last.state),
              }
            : null,
          // Of what is not in the log there is no path: that of the last entry has the right length at least.
          inclusion: { index, proof: log.inclusionProof(Math.min(index, log.size - 1)), shard: 0 },
          proof: trace.proof(point.step),
          records: batch.records!,
        },
      }
    }
    case 'carry': {
      const before =
        parent && point.slot < 2 ** parent.depth
          ? entryOf(parent, point.slot)
          : { entry: null, siblings: new Uint8Array(0) }
      return { kind: 'carry', before, entry: entryOf(ledger, point.slot), epoch }
    }
    case 'omission': {
      const slot = story.claims.findIndex(
        (claim) => claim && equalBytes(claim.device, point.device),
      )
      const steps = story.claims[slot]?.steps ?? []
      // The step that stands where the batch should: its own, or the one that was put in its place.
      const step = Math.max(
        0,
        steps.findIndex(({ batch }) => batch.header.seq >= point.seq),
      )
      const told = steps[step]
      if (told === undefined) return null
      return {
        kind: 'omission',
        earlier: { index: told.index, proof: log.inclusionProof(told.index), shard: 0 },
        entry: entryOf(ledger, slot),
        epoch,
        leaf: {
          batchId: told.id,
          proof: toTrace(steps).proof(step),
          seq: point.seq,
          stateHash: keccak256(encodeState(told.state)),
        },
        step,
      }
    }
    case 'consistency': {
      if (point.size > log.size) return null
      return { kind: 'consistency', epoch, proof: log.consistencyProof(point.size) }
    }
    case 'reveal':
      return { kind: 'reveal', ...ledger.nodeProof(point.height, point.index) }
  }
}

export declare namespace answerFalsely {
  type Source = {
    epoch: EpochEvidence
    /** Ledger of the window before, if there is one. */
    parent: Ledger | null
    story: Story
  }
}
