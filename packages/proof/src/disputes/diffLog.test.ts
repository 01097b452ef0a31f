import { sha256 } from '@machinefi/core'
import { describe, expect, test } from 'vitest'
import { logSigner, network } from '../../test/createTestEpoch.js'
import { schemas, signRows } from '../../test/createTestNetwork.js'
import { createTestSigner } from '../../test/createTestSigner.js'
import { signCheckpoint } from '../checkpoint/signCheckpoint.js'
import { createLog, type Log } from '../log/createLog.js'
import { toPoint } from './Challenge.js'
import { diffLog, findEquivocation, findFork } from './diffLog.js'
import { type EpochEvidence, toCheckpointEvidence } from './Evidence.js'

const operator = new Uint8Array(20).fill(0x0b)
const cutoff = 1_700_000_000_000

function grow(log: Log, count: number, salt = 0): Log {
  for (let i = 0; i < count; i++) log.append(sha256(Uint8Array.of(salt, log.size)))
  return log
}
const copyOf = (log: Log) => createLog(log.ids())
const post = (...logs: Log[]): EpochEvidence => ({
  config: new Uint8Array(0),
  logs: logs.map((log, shard) => ({ root: log.root(), shard, size: log.size })),
  memberCount: 0,
  parentHash: new Uint8Array(32),
})

async function sign(log: Log, options: { size?: number; shard?: number; time?: number } = {}) {
  const { shard = 0, size = log.size, time = cutoff - 1000 } = options
  const root = log.root(size)
  const bytes = await signCheckpoint({
    network,
    operator,
    root,
    shard,
    signer: logSigner,
    size,
    time,
  })
  return toCheckpointEvidence(bytes, logSigner.publicKey)
}

describe('diffLog', () => {
  const seen = grow(createLog(), 20)

  test('behavior: an honest log', async () => {
    const posted = grow(copyOf(seen), 10)
    const checkpoints = [await sign(seen), await sign(seen, { size: 7 }), await sign(posted)]
    const epoch = post(posted)
    const earlier = [{ epoch: post(seen), window: 4 }]
    expect(diffLog({ checkpoints, cutoff, earlier, epoch, log: () => posted })).toEqual([])
    // Longer since, and a copy that is behind, or none.
    const later = await sign(grow(copyOf(posted), 5), { time: cutoff })
    expect(diffLog({ checkpoints: [later], cutoff, epoch, log: () => posted })).toEqual([])
    expect(diffLog({ checkpoints, cutoff, earlier, epoch, log: () => seen })).toEqual([])
    expect(diffLog({ checkpoints, cutoff, earlier, epoch, log: () => null })).toEqual([])
  })

  test('behavior: two heads of one size', async () => {
    const checkpoints = [await sign(seen), await sign(grow(createLog(), 20, 1))]
    const epoch = post(seen)
    const [fault] = diffLog({ checkpoints, cutoff, epoch, log: () => seen })
    expect(fault).toMatchObject({
      certain: true,
      remedy: { kind: 'fork', checkpoints },
      why: 'forked-log',
    })
    expect(findFork(checkpoints.slice(1))).toBe(null)
    // Of two shards, or the same twice, there is nothing wrong.
    expect(findFork([checkpoints[0]!, checkpoints[0]!, await sign(seen, { shard: 1 })])).toBe(null)
  })

  test('behavior: a posted log shorter than was promised before the cut-off', async () => {
    const long = grow(copyOf(seen), 10)
    const checkpoints = [await sign(seen), await sign(long), await sign(long, { size: 25 })]
    const [fault] = diffLog({ checkpoints, cutoff, epoch: post(seen), log: () => long })
    expect(fault).toMatchObject({
      certain: true,
      remedy: { kind: 'truncation', checkpoint: { size: 30 } },
      why: 'truncated-log',
    })
    // An absent shard has size 0.
    const [absent] = diffLog({ checkpoints, cutoff, epoch: post(), log: () => long })
    expect(absent!.why).toBe('truncated-log')
    const late = [await sign(long, { time: cutoff })]
    expect(diffLog({ checkpoints: late, cutoff, epoch: post(seen), log: () => long })).toEqual([])
  })

  test('behavior: a log that was rewritten', async () => {
    // The same entries again, but for the third.
    const rewritten = createLog(seen.ids(0, 2))
    rewritten.append(sha256(Uint8Array.of(99)))
    for (let i = 3; i < 20; i++) rewritten.append(seen.id(i))
    grow(rewritten, 10)
    const checkpoints = [
      await sign(seen, { size: 2 }),
      await sign(seen, { size: 7 }),
      await sign(seen),
    ]
    const epoch = post(rewritten)
    // All of it fetched anew: the copy is what was posted, and does not begin as it once did.
    const [certain, ...rest] = diffLog({ checkpoints, cutoff, epoch, log: () => rewritten })
    expect(rest).toEqual([])
    expect(certain).toMatchObject({
      certain: true,
      remedy: { kind: 'checkpoint', checkpoint: { size: 7 } },
      why: 'rewritten-log',
    })
    // Only what is new fetched: the copy comes to another root.
    const grown = createLog(rewritten.ids())
    const own = createLog(seen.ids())
    for (let i = 20; i < 30; i++) own.append(grown.id(i))
    const [guess] = diffLog({ checkpoints, cutoff, epoch, log: () => own })
    expect(guess).toMatchObject({ certain: false, remedy: { checkpoint: { size: 20 } } })
    // What was posted before is cheaper to show.
    const earlier = [{ epoch: post(seen), window: 4 }]
    const [cheap] = diffLog({ checkpoints, cutoff, earlier, epoch, log: () => rewritten })
    expect(cheap).toMatchObject({ certain: true, remedy: { kind: 'consistency', shard: 0 } })
    if (cheap!.remedy.kind !== 'consistency') throw new Error(cheap!.remedy.kind)
    expect(toPoint(cheap!.remedy, network)).toEqual({
      kind: 'consistency',
      root: seen.root(),
      shard: 0,
      size: 20,
    })
  })

  test('behavior: a head that was signed is not the one that was posted', async () => {
    const other = grow(createLog(), 20, 1)
    const checkpoints = [await sign(seen)]
    const [fault] = diffLog({ checkpoints, cutoff, epoch: post(other), log: () => null })
    expect(fault).toMatchObject({ certain: true, remedy: { kind: 'checkpoint' } })
  })
})

test('findEquivocation', async () => {
  const signer = createTestSigner(5)
  const schema = schemas[0]
  const sent = (seq: number, value: number) =>
    signRows(signer, { schema, seq }, [{ time: 1000, values: [value, 1] }])
  const [a, b, c] = [await sent(3, 1), await sent(3, 2), await sent(4, 1)]
  const options = { network, publicKey: signer.publicKey }
  expect(findEquivocation(a, b, options)).toMatchObject({
    kind: 'equivocation',
    batches: [{ header: a.header }, { header: b.header }],
  })
  expect(findEquivocation(a, c, options)).toBe(null)
  // Signed again, it is still the same batch.
  expect(findEquivocation(a, await sent(3, 1), options)).toBe(null)
})
