import type { Challenge, EpochEvidence, Member } from '@machinefi/contracts'
import { fromHex } from '@machinefi/core'
import { buildOmission, toCheckpointEvidence } from '@machinefi/proof'
import { endOf } from './createFleet.js'
import { toLog } from './LogBook.js'
import type { Rules, Story } from './Story.js'

/** Every challenge that can be opened to an epoch, all kinds and places of it. */
export function listChallenges(options: listChallenges.Options): Challenge[] {
  const { earlier, epoch, logKey, members, rules, story } = options
  const { claims, depth } = story
  const log = toLog(story.log)
  const slots = [...Array(2 ** depth).keys()]
  const { span } = rules
  const consistency: Challenge = { earlier, kind: 'consistency', shard: 0 }
  return [
    // One step more than there are: that there is none has to be shown as well.
    ...slots.flatMap((slot) =>
      [...Array((claims[slot]?.steps.length ?? 0) + 1).keys()].map(
        (step): Challenge => ({ kind: 'step', slot, step }),
      ),
    ),
    ...slots.map((slot): Challenge => {
      const member = members.find((member) => member.slot === slot)
      return { device: member ? fromHex(member.device) : null, kind: 'carry', slot }
    }),
    ...story.log.entries.flatMap(({ batch }, index): Challenge[] => {
      const claim = claims.find((claim) => claim && !Buffer.compare(claim.device, batch.device))
      if (!claim?.paid || batch.header.start >= span.end || endOf(batch) < span.start) return []
      return [buildOmission({ batch, epoch, index, log, publicKey: claim.publicKey, shard: 0 })]
    }),
    consistency,
    // The head of the first day is an earlier epoch's: the same point, once.
    ...story.log.checkpoints
      .filter(({ size }) => size !== earlier.epoch.logs[0]?.size)
      .map(({ bytes }): Challenge => {
        const checkpoint = toCheckpointEvidence(bytes, logKey)
        return { checkpoint, epoch, kind: 'checkpoint' }
      }),
    ...[...Array(depth).keys()].flatMap((below) => {
      const height = below + 1
      return [...Array(2 ** (depth - height)).keys()].map(
        (index): Challenge => ({ height, index, kind: 'reveal' }),
      )
    }),
  ]
}

export declare namespace listChallenges {
  type Options = {
    /** The window before. */
    earlier: { epoch: EpochEvidence; window: number }
    epoch: EpochEvidence
    /** X‖Y of the operator. */
    logKey: Uint8Array
    members: readonly Member[]
    rules: Rules
    /** What was posted, and is true. */
    story: Story
  }
}
