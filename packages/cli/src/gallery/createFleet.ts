import type { Signer } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import {
  defineSchema,
  type Row,
  type Schema,
  type SignedBatch,
  signBatch,
} from '@machinefi/telemetry'
import type { Address } from 'viem'
import { createAccount } from '../chain/openAccount.js'

/** A walker of the gallery, in the slot of its place in the fleet. */
export type Walker = { name: string; owner: Address; signer: Signer }

export const schema: Schema = defineSchema({
  id: 1,
  tickMs: 60_000,
  fields: { steps: { unit: 'count' } },
})

/**
 * Five walkers whose days have every case that a rule is about: two curves, a batch over midnight,
 * one who joins late and then does not walk, one who is suspended after a day.
 */
export function createFleet(): Walker[] {
  return walkers.map(({ algorithm, name }) => ({
    name,
    owner: createAccount().address.toLowerCase() as Address,
    signer: createSoftwareSigner({ algorithm }),
  }))
}

/** Members that never send anything. */
export function createCrowd(count: number): Walker[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `member ${i}`,
    owner: createAccount().address.toLowerCase() as Address,
    signer: createSoftwareSigner(),
  }))
}

const walkers = [
  { algorithm: 'ES256', name: 'anna' },
  { algorithm: 'ES256K', name: 'ben' },
  { algorithm: 'ES256', name: 'chloe' },
  { algorithm: 'ES256', name: 'emil' },
  { algorithm: 'ES256', name: 'dora' },
] as const

/** Slots, by name. */
export const slots = { anna: 0, ben: 1, chloe: 2, emil: 3, dora: 4 } as const

const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** Walks of twenty minutes: hours from the start of the first day, by walker. */
const walks: Record<keyof typeof slots, readonly number[]> = {
  anna: [8, 12, 17, 32, 36, 41],
  ben: [9, 13, 16, 32, 34, 37, 40, 43],
  // Over midnight, from the first day into the second.
  chloe: [10, 18, 23 + 50 / 60, 33, 42],
  emil: [8, 14, 33],
  dora: [],
}

/** Every walk of the two days, signed, in the order in which they end. */
export async function signWalks(options: {
  fleet: readonly Walker[]
  network: Uint8Array
  /** Start of the first day, ms. */
  start: number
}): Promise<SignedBatch[]> {
  const { fleet, network, start } = options
  const batches = await Promise.all(
    fleet.flatMap(({ name, signer }, slot) =>
      walks[name as keyof typeof slots].map((hour, seq) =>
        signWalk({
          network,
          pace: 80 + 7 * slot + 3 * seq,
          seq,
          signer,
          start: start + hour * hourMs,
        }),
      ),
    ),
  )
  return batches.sort((a, b) => endOf(a) - endOf(b))
}

/** Time of a batch's last row. */
export const endOf = ({ header }: SignedBatch): number => header.start + header.span

/** Twenty minutes of walking as one batch. */
export function signWalk(options: {
  network: Uint8Array
  /** Steps a minute, about. */
  pace: number
  seq: number
  signer: Signer
  start: number
}): Promise<SignedBatch> {
  const { network, pace, seq, signer, start } = options
  const rows = Array.from({ length: 20 }, (_, i): Row => {
    const values = [pace + ((7 * i) % 11)]
    return { time: start + i * minuteMs, values }
  })
  return signBatch({ network, rows, schema, seq, signer })
}
