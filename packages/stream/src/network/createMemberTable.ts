import { equalBytes } from '@machinefi/core'
import type { StoredMember } from '../store/openStore.js'

/**
 * The members of a network, found by their address without making text of it:
 * the first six bytes are the key of a map, members that share them are chained.
 */
export function createMemberTable(members: readonly StoredMember[] = []): MemberTable {
  const chains = new Map<number, Member>()
  let size = 0

  function get(device: Uint8Array): Member | undefined {
    let member = chains.get(prefix(device))
    while (member && !equalBytes(member.device, device)) member = member.next
    return member
  }

  function put(stored: StoredMember) {
    const member = get(stored.device)
    if (member) {
      Object.assign(member, stored)
      return
    }
    const key = prefix(stored.device)
    chains.set(key, { ...stored, nextSeq: -1, pending: undefined, next: chains.get(key) })
    size++
  }

  function remove(device: Uint8Array) {
    const key = prefix(device)
    const kept: Member[] = []
    for (let member = chains.get(key); member; member = member.next)
      if (!equalBytes(member.device, device)) kept.push(member)
      else size--
    let next: Member | undefined
    for (const member of kept) {
      member.next = next
      next = member
    }
    if (next) chains.set(key, next)
    else chains.delete(key)
  }

  for (const member of members) put(member)

  return {
    get size() {
      return size
    },
    get,
    put,
    delete: remove,
    *[Symbol.iterator]() {
      for (let member of chains.values())
        for (; member; member = member.next as Member) yield member
    },
  }
}

export type MemberTable = Iterable<Member> & {
  readonly size: number
  get(device: Uint8Array): Member | undefined
  /** Adds a member, or updates what the chain says about it. */
  put(member: StoredMember): void
  delete(device: Uint8Array): void
}

export type Member = StoredMember & {
  /** One above the highest seq taken in; −1 until it has been looked up. */
  nextSeq: number
  /** Batches on their way to the disk, by seq. */
  pending: Map<number, unknown> | undefined
  next: Member | undefined
}

function prefix(device: Uint8Array): number {
  return (
    (((device[0]! << 16) | (device[1]! << 8) | device[2]!) >>> 0) * 0x1000000 +
    ((device[3]! << 16) | (device[4]! << 8) | device[5]!)
  )
}
