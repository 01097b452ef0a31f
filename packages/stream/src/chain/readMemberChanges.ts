import { toHex } from '@machinefi/core'
import type { Chain, ChainMember } from './chain.js'

/** How many blocks are read again: a short reorganisation may have put other ones in their places. */
export const reorganisedBlocks = 32

/**
 * What became of the members in blocks [from, to], and of those in doubt: of
 * what is only in blocks that a reorganisation took back, no event tells.
 * `joinedAt` is 0 for who is no member any more.
 */
export async function readMemberChanges(
  chain: Pick<Chain, 'member' | 'members'>,
  options: readMemberChanges.Options,
): Promise<readMemberChanges.ReturnType> {
  const { doubtful, from, to } = options
  const changed = await chain.members(from, to)
  const seen = new Set(changed.map(({ device }) => toHex(device)))
  const others = [...doubtful].filter(({ device }) => !seen.has(toHex(device)))
  const again: ChainMember[] = []
  for (let i = 0; i < others.length; i += callsAtATime) {
    const some = others.slice(i, i + callsAtATime)
    const words = await Promise.all(some.map(({ device }) => chain.member(device)))
    again.push(...some.map((member, at) => ({ ...member, ...(words[at] ?? nobody) })))
  }
  return { again, changed }
}

export declare namespace readMemberChanges {
  type Options = {
    from: number
    to: number
    /** Members that are read again, whatever the events say. */
    doubtful: Iterable<ChainMember>
  }
  type ReturnType = { changed: ChainMember[]; again: ChainMember[] }
}

/** Whether these are all members of a network that has so many: a slot is never empty, and has one member. */
export function hasEverySlot(members: Iterable<{ slot: number }>, count: number): boolean {
  const slots = new Set<number>()
  for (const { slot } of members) {
    if (slot >= count || slots.has(slot)) return false
    slots.add(slot)
  }
  return slots.size === count
}

const callsAtATime = 100

const nobody = { assurance: 'none', joinedAt: 0, slot: 0, suspendedAt: 0 } as const
