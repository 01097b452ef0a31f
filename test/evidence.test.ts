import { createECDH, createPrivateKey, sign } from 'node:crypto'
import {
  type Algorithm,
  concatBytes,
  keccak256,
  publicKeyToAddress,
  type Signer,
  sha256,
  verifySignature,
} from '@machinefi/core'
import {
  buildLedger,
  createLog,
  type Entry,
  encodeState,
  entryDetail,
  type Ledger,
  ledgerDepth,
  signCheckpoint,
  verifyConsistency,
  verifyInclusion,
  verifyLedgerProof,
  verifyRevealed,
  verifyTraceProof,
} from '@machinefi/proof'
import {
  BatchError,
  batchId,
  decodeHeader,
  decodeRows,
  encodeHeader,
  encodeProtected,
  type Header,
  sigStructure,
} from '@machinefi/telemetry'
import { encodeAbiParameters, type Hex, toHex } from 'viem'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createRandom, type Random } from './attacks/createRandom.js'
import { alterBatch, most, randomBatch, randomSchema, randomUint } from './evidence/randomBatch.js'
import { type Harness, startHarness, yes } from './evidence/startHarness.js'

// What disputes are decided with exists twice. Both must give the same answer to whatever is brought
// to them, above all to what is almost right: a batch that a node takes in and a contract refuses
// would cost an honest operator its bond.
// FUZZ_RUNS and FUZZ_SEED make it longer, or another one. A failure names the case.

const runs = Number(process.env.FUZZ_RUNS ?? 10_000)
const seed = Number(process.env.FUZZ_SEED ?? 1)
const no: Hex = `0x${'0'.repeat(64)}`

vi.setConfig({ testTimeout: 30_000 + 10 * runs })

let harness: Harness
beforeAll(async () => {
  harness = await startHarness({ evidence: true })
}, 120_000)
afterAll(() => harness?.close())

/** Arguments, and what must come back; null is a revert. */
type Case = { readonly args: readonly unknown[]; readonly expected: boolean | Hex | null }

/** Compares as many cases, and says how many there were of each answer. */
async function fuzz(
  name: string,
  create: (random: Random) => Case | Promise<Case>,
  count = runs,
): Promise<{ refused: number; accepted: number }> {
  let accepted = 0
  for (let from = 0; from < count; from += 1_000) {
    const cases: { args: readonly unknown[]; expected: Hex | null }[] = []
    for (let i = from; i < Math.min(count, from + 1_000); i++) {
      const random = createRandom(seed * 0x9e3779b1 + i * 0x85ebca6b + name.length)
      const { args, expected } = await create(random)
      if (expected) accepted++
      cases.push({ args, expected: expected === true ? yes : expected === false ? no : expected })
    }
    const returned = await harness.call(
      name,
      cases.map(({ args }) => args),
    )
    for (const [i, { expected }] of cases.entries())
      expect(returned[i], `${name}, case ${from + i} of seed ${seed}`).toBe(expected)
  }
  return { accepted, refused: count - accepted }
}

describe('headers', () => {
  test('behavior: rebuilt exactly where they can be decoded', async () => {
    const { accepted, refused } = await fuzz('encodeHeader', (random) => {
      const { bytes, evidence } = randomHeader(random)
      const decoded = decode(bytes)
      // There is one encoding.
      if (decoded) expect(encodeHeader(decoded)).toEqual(bytes)
      return { args: [evidence], expected: decoded && encodeBytes(bytes) }
    })
    expect(Math.min(accepted, refused)).toBeGreaterThan(runs / 5)
  })

  test('behavior: what is decoded from altered bytes is rebuilt to them', async () => {
    let altered = 0
    const { accepted } = await fuzz('encodeHeader', (random) => {
      // Until one can be decoded; most of the altered cannot.
      for (;;) {
        const { bytes } = randomHeader(random, true)
        const at = random.below(bytes.length)
        const changed = bytes.slice()
        if (!random.oneIn(4)) changed[at]! ^= 1 << random.below(8)
        const decoded = decode(changed)
        if (!decoded) continue
        if (changed[at] !== bytes[at]) altered++
        return { args: [toHeaderEvidence(decoded)], expected: encodeBytes(changed) }
      }
    })
    expect(accepted).toBe(runs)
    expect(altered).toBeGreaterThan(runs / 4)
  })

  test('behavior: batch ids', async () => {
    await fuzz('idOf', (random) => {
      const { header, evidence } = randomHeader(random, true)
      const algorithm = random.of(['ES256', 'ES256K'] as const)
      const device = random.bytes(20)
      const network = random.bytes(32)
      const batch = {
        payload: encodeHeader(header!),
        protected: encodeProtected(algorithm, device),
      }
      const unsigned = { ...zeroSignature, algorithm: algorithms.indexOf(algorithm) }
      return {
        args: [{ ...unsigned, header: evidence }, toHex(device), toHex(network)],
        expected: toHex(batchId(batch, network)),
      }
    })
  })
})

describe('records', () => {
  test('behavior: decoded to the same times and values, or refused', async () => {
    const { accepted, refused } = await fuzz('decodeRows', (random) => {
      const fields = random.oneIn(8) ? 1 + random.below(22) : 1 + random.below(3)
      const schema = randomSchema(random, fields)
      const start = random.oneIn(4) ? randomUint(random) : 1_700_000_000_000
      const genuine = randomBatch(random, { schema, seq: 0, start })
      const batch = random.oneIn(2) && genuine ? alterBatch(random, genuine) : genuine
      const { header, records } = batch ?? { header: beyond, records: new Uint8Array(0) }
      const other = random.oneIn(20) ? Math.max(1, fields - 1) : fields
      const { tickMs } = schema
      return {
        args: [
          toHex(records),
          pick(header),
          { schema: 7n, fields: other, tickMs, start: 0n, end: 0n },
        ],
        expected: encodeRowsResult(() => decodeRows(records, { ...header, fields: other, tickMs })),
      }
    })
    // A refusal is an answer here too.
    expect(accepted + refused).toBe(runs)
    expect(rows.ok).toBeGreaterThan(runs / 4)
    expect(rows.refused).toBeGreaterThan(runs / 5)
  })

  test('behavior: only those that the header hashes', async () => {
    const { accepted, refused } = await fuzz('hasRecords', (random) => {
      const records = random.bytes(random.below(90))
      const hash = sha256(records)
      if (random.oneIn(2)) hash[random.below(32)]! ^= 1 << random.below(8)
      const evidence = { ...pick(beyond), recordsHash: toHex(hash), commitment: '0x' }
      return {
        args: [evidence, toHex(records)],
        expected: Buffer.from(hash).equals(sha256(records)),
      }
    })
    expect(Math.min(accepted, refused)).toBeGreaterThan(runs / 5)
  })
})

describe('logs', () => {
  test('behavior: inclusion', async () => {
    const logs = [1, 2, 7, 64, 100, 257].map(createTestLog)
    const { accepted, refused } = await fuzz('verifyInclusion', (random) => {
      let id: Uint8Array
      let index: number
      let size: number
      let hashes: Uint8Array[]
      let root: Uint8Array
      if (random.oneIn(2)) {
        const log = random.of(logs)
        size = 1 + random.below(log.size)
        index = random.below(size)
        id = log.id(index)
        hashes = split(log.inclusionProof(index, size))
        root = log.root(size)
      } else {
        // Larger than any log that fits into memory, by the recursive words of RFC 9162.
        size = Math.max(1, randomUint(random))
        index = random.of([size - 1, 0, Math.floor((random.below(2 ** 32) / 2 ** 32) * size)])
        id = random.bytes(32)
        hashes = []
        root = climb(random, sha256(concatBytes(zero, id)), BigInt(index), BigInt(size), hashes)
      }
      if (random.oneIn(2)) {
        const kind = random.below(7)
        if (kind === 0) index = alterUint(random, index)
        else if (kind === 1) size = alterUint(random, size)
        else if (kind === 2) id = flip(random, id)
        else if (kind === 3) root = flip(random, root)
        else if (kind === 4) root = random.of(logs).root()
        else if (kind === 5) root = extend(random, hashes, root)[0]!
        else hashes = alterHashes(random, hashes)
      }
      const proof = concatBytes(...hashes)
      return {
        args: [
          toHex(id),
          BigInt(index),
          BigInt(size),
          hashes.map((hash) => toHex(hash)),
          toHex(root),
        ],
        expected: verifyInclusion({ id, index, proof, root, size }),
      }
    })
    expect(Math.min(accepted, refused)).toBeGreaterThan(runs / 5)
  })

  test('behavior: consistency', async () => {
    const logs = [1, 2, 7, 64, 100, 257].map(createTestLog)
    const { accepted, refused } = await fuzz('verifyConsistency', (random) => {
      let from: number
      let to: number
      let fromRoot: Uint8Array
      let toRoot: Uint8Array
      let hashes: Uint8Array[] = []
      if (random.oneIn(2)) {
        const log = random.of(logs)
        to = random.below(log.size + 1)
        from = random.below(to + 1)
        fromRoot = log.root(from)
        toRoot = log.root(to)
        hashes = split(log.consistencyProof(from, to))
      } else {
        to = Math.max(1, randomUint(random))
        from = Math.max(
          1,
          random.of([to, to - 1, 1, 2 ** random.below(53), Math.floor(to / (1 + random.below(9)))]),
        )
        if (from > to) from = to
        ;[fromRoot, toRoot] = grow(random, BigInt(from), BigInt(to), true, hashes)
      }
      if (random.oneIn(2)) {
        const kind = random.below(7)
        if (kind === 0) from = alterUint(random, from)
        else if (kind === 1) to = alterUint(random, to)
        else if (kind === 2) fromRoot = flip(random, fromRoot)
        else if (kind === 3) toRoot = flip(random, toRoot)
        else if (kind === 4) toRoot = random.of(logs).root()
        else if (kind === 5) [fromRoot, toRoot] = extend(random, hashes, fromRoot, toRoot)
        else hashes = alterHashes(random, hashes)
      }
      const proof = concatBytes(...hashes)
      return {
        args: [
          BigInt(from),
          BigInt(to),
          toHex(fromRoot),
          toHex(toRoot),
          hashes.map((hash) => toHex(hash)),
        ],
        expected: verifyConsistency({ from, fromRoot, proof, to, toRoot }),
      }
    })
    expect(Math.min(accepted, refused)).toBeGreaterThan(runs / 5)
  })

  test('behavior: sizes up to 2^64, which only contracts know', async () => {
    const numbers = (random: Random) =>
      (BigInt(random.below(2 ** 32)) << 32n) | BigInt(random.below(2 ** 32)) | (1n << 63n)
    const count = Math.ceil(runs / 10)
    const inclusion = await fuzz(
      'verifyInclusion',
      (random) => {
        const size = numbers(random)
        const index = numbers(random) % size
        const id = random.bytes(32)
        const hashes: Uint8Array[] = []
        const root = climb(random, sha256(concatBytes(zero, id)), index, size, hashes)
        const wrong = random.oneIn(2)
        if (wrong) hashes[random.below(hashes.length)] = random.bytes(32)
        return {
          args: [toHex(id), index, size, hashes.map((hash) => toHex(hash)), toHex(root)],
          expected: !wrong,
        }
      },
      count,
    )
    expect(Math.min(inclusion.accepted, inclusion.refused)).toBeGreaterThan(count / 5)
    await fuzz(
      'verifyConsistency',
      (random) => {
        const to = numbers(random)
        const from = 1n + (numbers(random) % to)
        const hashes: Uint8Array[] = []
        const [fromRoot, toRoot] = grow(random, from, to, true, hashes)
        return {
          args: [from, to, toHex(fromRoot), toHex(toRoot), hashes.map((hash) => toHex(hash))],
          expected: true,
        }
      },
      count,
    )
  })
})

describe('traces', () => {
  test('behavior: steps', async () => {
    const { accepted, refused } = await fuzz('verifyTrace', (random) => {
      let steps = random.of([
        1 + random.below(40),
        1 + random.below(40),
        2 ** random.below(32),
        1 + random.below(2 ** 32 - 1),
      ])
      let index = random.below(steps)
      const state = {
        nextSeq: randomUint(random),
        lastTime: randomUint(random),
        words: Array.from({ length: random.below(6) }, () => BigInt(random.below(2 ** 32))),
      }
      let seq = randomUint(random)
      let id = random.bytes(32)
      let encoded = encodeState(state)
      let hashes = Array.from({ length: ledgerDepth(steps) }, () => random.bytes(32))
      const seqBytes = new Uint8Array(8)
      new DataView(seqBytes.buffer).setBigUint64(0, BigInt(seq))
      let root = keccak256(concatBytes(zero, seqBytes, id, keccak256(encoded)))
      for (const [level, hash] of hashes.entries())
        root = keccak256(
          Math.floor(index / 2 ** level) % 2 === 0
            ? concatBytes(one, root, hash)
            : concatBytes(one, hash, root),
        )
      const step = { id, seq, state }
      if (random.oneIn(2)) {
        const kind = random.below(8)
        if (kind === 0) index = alterUint(random, index) % 2 ** 32
        else if (kind === 1) steps = alterUint(random, steps) % 2 ** 32
        else if (kind === 2) step.id = id = flip(random, id)
        else if (kind === 3) step.seq = seq = alterUint(random, seq)
        else if (kind === 4) {
          step.state = { ...state, nextSeq: alterUint(random, state.nextSeq) }
          encoded = encodeState(step.state)
        } else if (kind === 5) root = flip(random, root)
        else hashes = alterHashes(random, hashes)
      }
      const proof = concatBytes(...hashes)
      return {
        args: [
          BigInt(seq),
          toHex(id),
          toHex(encoded),
          index,
          steps,
          hashes.map((hash) => toHex(hash)),
          toHex(root),
        ],
        expected: verifyTraceProof({ index, proof, root, step, steps }),
      }
    })
    expect(Math.min(accepted, refused)).toBeGreaterThan(runs / 5)
  })
})

describe('ledgers', () => {
  const random = createRandom(seed)
  const ledgers = [0, 1, 2, 3, 8, 20, 33, 64, 100].flatMap((members) =>
    [0, 1].map((more) => {
      const entries = Array.from({ length: members }, () =>
        random.oneIn(4) ? null : randomEntry(random),
      )
      return buildLedger(entries, { depth: ledgerDepth(members) + more })
    }),
  )

  test('behavior: entries', async () => {
    const { accepted, refused } = await fuzz('verifyEntry', (random) => {
      let entry: Entry | null
      let depth: number
      let slot: number
      let siblings: Uint8Array
      let root: Uint8Array
      let total: bigint
      if (random.oneIn(2)) {
        const ledger = random.of(ledgers)
        ;({ depth, root, total } = ledger)
        slot = random.below(2 ** depth)
        ;({ entry, siblings } = ledger.proof(slot))
      } else {
        // A path through a larger one than can be built.
        depth = random.below(33)
        slot = random.below(2 ** depth)
        entry = random.oneIn(8) ? null : randomEntry(random)
        siblings = concatBytes(...Array.from({ length: depth }, () => randomNode(random)))
        ;[root, total] = climbLedger(entry, slot, siblings)
      }
      if (random.oneIn(2)) {
        const kind = random.below(10)
        if (kind === 0) slot = alterUint(random, slot) % 2 ** 32
        else if (kind === 1) depth = alterUint(random, depth) % 33
        else if (kind === 2) root = flip(random, root)
        else if (kind === 3) total = BigInt.asUintN(128, total + BigInt(random.below(5) - 2))
        else if (kind === 4) siblings = concatBytes(...alterHashes(random, split(siblings, 48), 48))
        else if (kind === 5 && siblings.length > 0) siblings = siblings.slice(random.below(3))
        else entry = alterEntry(random, entry ?? nobody)
      }
      return {
        args: [toEntryEvidence(entry, siblings), slot, BigInt(depth), toHex(root), total],
        expected: verifyLedgerProof({ depth, entry, proof: siblings, root, slot, total }),
      }
    })
    expect(Math.min(accepted, refused)).toBeGreaterThan(runs / 5)
  })

  test('behavior: nodes that were revealed', async () => {
    const { accepted, refused } = await fuzz('verifyNodes', (random) => {
      const ledger = random.of(ledgers)
      let { depth, root, total } = ledger
      let height = random.below(depth + 1)
      let index = random.below(2 ** (depth - height))
      let { nodes, siblings } = reveal(ledger, height, index)
      if (random.oneIn(2)) {
        const kind = random.below(9)
        if (kind === 0) height = Math.max(0, height + random.of([-1, 1]))
        else if (kind === 1) index = alterUint(random, index) % 2 ** 32
        else if (kind === 2) depth = alterUint(random, depth) % 33
        else if (kind === 3) root = flip(random, root)
        else if (kind === 4) total = BigInt.asUintN(128, total + BigInt(random.below(5) - 2))
        else if (kind === 5) siblings = concatBytes(...alterHashes(random, split(siblings, 48), 48))
        else if (kind === 6) nodes = concatBytes(...alterHashes(random, split(nodes, 48), 48))
        else if (kind === 7) nodes = flip(random, nodes)
        else nodes = nodes.slice(random.below(49))
      }
      return {
        args: [toHex(nodes), height, index, toHex(siblings), BigInt(depth), toHex(root), total],
        expected: verifyRevealed({ depth, height, index, nodes, root, siblings, total }),
      }
    })
    expect(Math.min(accepted, refused)).toBeGreaterThan(runs / 5)
  })
})

describe('checkpoints', () => {
  test('behavior: digests, and which have one', async () => {
    const { accepted, refused } = await fuzz('checkpointDigest', async (random) => {
      const network = random.bytes(32)
      const operator = random.bytes(20)
      const root = random.bytes(32)
      const publicKey = random.bytes(64)
      const shard = random.of([random.below(30), random.below(2 ** 32), 2 ** 32 - 1, 65_536])
      // Now and then what no number of JavaScript can hold.
      const size = random.oneIn(6)
        ? 2n ** 53n + BigInt(random.below(3))
        : BigInt(randomUint(random))
      const seconds = random.of([
        BigInt(random.below(2 ** 32)),
        BigInt(random.below(30)),
        (2n ** 53n - 1n) / 1000n + BigInt(random.below(2)),
        BigInt(randomUint(random)),
        2n ** 64n - 1n,
      ])
      let message: Uint8Array | null = null
      const signer: Signer = {
        algorithm: 'ES256',
        publicKey,
        async sign(bytes) {
          message = bytes
          return new Uint8Array(64)
        },
      }
      const time = Number(seconds) * 1000
      await signCheckpoint({
        network,
        operator,
        root,
        shard,
        signer,
        size: Number(size),
        time,
      }).catch((error) => expect(error.name).toBe('InvalidCheckpointError'))
      const evidence = {
        operator: toHex(operator),
        time: seconds,
        ...{ shard, size, root: toHex(root) },
        ...toKey(publicKey),
        r: no,
        s: no,
      }
      return {
        args: [evidence, toHex(network)],
        expected: message && toHex(sha256(message)),
      }
    })
    expect(Math.min(accepted, refused)).toBeGreaterThan(runs / 20)
  })

  test('behavior: signatures', async () => {
    const signers = [1, 2].map((number) => createSigner('ES256', number))
    const network = new Uint8Array(32).fill(9)
    const { accepted, refused } = await fuzz(
      'isSignedCheckpoint',
      async (random) => {
        const signer = random.of(signers)
        const { operator, root } = { operator: random.bytes(20), root: random.bytes(32) }
        let [size, time] = [random.below(2 ** 32), random.below(2 ** 31)]
        let message = new Uint8Array()
        const bytes = await signCheckpoint({
          ...{ network, operator, root, shard: 3, size, time: time * 1000 },
          signer: {
            ...signer,
            sign(bytes) {
              message = bytes.slice()
              return signer.sign(message)
            },
          },
        })
        const signature = alterSignature(random, 'ES256', bytes.slice(-64))
        const publicKey = random.oneIn(6) ? flip(random, signer.publicKey) : signer.publicKey
        const altered = random.oneIn(6)
        if (altered && random.oneIn(2)) size++
        else if (altered) time++
        // A genuine checkpoint by another key is nothing that this operator said.
        const owner = random.oneIn(6) ? random.of(signers) : signer
        const logKey = publicKeyToAddress(owner.publicKey)
        const genuine = publicKey === owner.publicKey && !altered
        return {
          args: [
            {
              operator: toHex(operator),
              ...{ time: BigInt(time), shard: 3, size: BigInt(size), root: toHex(root) },
              ...toKey(publicKey),
              ...toSignature(signature),
            },
            toHex(logKey),
            toHex(network),
          ],
          expected:
            genuine &&
            (await verifySignature({ algorithm: 'ES256', message, publicKey, signature })),
        }
      },
      signatures,
    )
    expect(Math.min(accepted, refused)).toBeGreaterThan(signatures / 5)
  })
})

describe('signatures of batches', () => {
  test('behavior: both curves, either s, anything altered', async () => {
    const signers = (['ES256', 'ES256K'] as const).map((algorithm, i) => createSigner(algorithm, i))
    const network = new Uint8Array(32).fill(9)
    const { accepted, refused } = await fuzz(
      'isSignedBatch',
      async (random) => {
        const signer = random.of(signers)
        const { header, evidence } = randomHeader(random, true)
        const device = publicKeyToAddress(signer.publicKey)
        const { algorithm } = signer
        const protectedHeader = encodeProtected(algorithm, device)
        const batch = { payload: encodeHeader(header!), protected: protectedHeader }
        const message = sigStructure(batch, network)
        const signature = alterSignature(random, algorithm, await signer.sign(message))
        const publicKey = random.oneIn(6) ? flip(random, signer.publicKey) : signer.publicKey
        // A genuine signature, said to be of another kind or by another device.
        const said = random.oneIn(8) ? random.of(algorithms) : algorithm
        const by = random.oneIn(8) ? publicKeyToAddress(publicKey) : device
        const genuine = said === algorithm && publicKey === signer.publicKey
        return {
          args: [
            {
              algorithm: algorithms.indexOf(said),
              header: evidence,
              ...toKey(publicKey),
              ...toSignature(signature),
            },
            toHex(by),
            toHex(network),
          ],
          expected:
            genuine && (await verifySignature({ algorithm, message, publicKey, signature })),
        }
      },
      signatures,
    )
    expect(Math.min(accepted, refused)).toBeGreaterThan(signatures / 5)
  })
})

/** P-256 in Solidity takes a while. */
const signatures = Math.ceil(runs / 20)
const algorithms: readonly Algorithm[] = ['ES256', 'ES256K']
const zero = Uint8Array.of(0)
const one = Uint8Array.of(1)
const zeroSignature = { x: no, y: no, r: no, s: no }
const beyond: Header = {
  schema: 7,
  seq: 0,
  start: most,
  span: 1,
  count: 1,
  recordsHash: new Uint8Array(32),
  commitment: null,
}

function decode(bytes: Uint8Array): Header | null {
  try {
    return decodeHeader(bytes)
  } catch (error) {
    if (error instanceof BatchError) return null
    throw error
  }
}

/** Numbers of 64 bits, valid or not, and the bytes that a device could write with them. */
function randomHeader(random: Random, valid = false) {
  const number = () =>
    valid || !random.oneIn(10)
      ? BigInt(randomUint(random))
      : random.of([2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n])
  const [schema, seq, count] = [number(), number(), number()] as [bigint, bigint, bigint]
  let [start, span] = [number(), number()] as [bigint, bigint]
  // On both sides of the sum's bound.
  if (start + span >= 2n ** 53n && (valid || random.oneIn(2))) {
    start %= 2n ** 53n
    span = 2n ** 53n - 1n - start + (valid ? 0n : BigInt(random.below(2)))
  }
  const recordsHash = random.bytes(32)
  const length = random.of(valid ? [0, 32] : [0, 0, 0, 32, 32, 32, 1, 31, 33])
  const commitment = random.bytes(length)
  const numbers = { schema, seq, start, span, count: valid && count === 0n ? 1n : count }
  const bytes = concatBytes(
    Uint8Array.of(0x88, 1),
    ...Object.values(numbers).map(encodeUint),
    Uint8Array.of(0x58, 32),
    recordsHash,
    length === 0
      ? Uint8Array.of(0xf6)
      : concatBytes(Uint8Array.from(length < 24 ? [0x40 + length] : [0x58, length]), commitment),
  )
  const evidence = { ...numbers, recordsHash: toHex(recordsHash), commitment: toHex(commitment) }
  return { bytes, evidence, header: decode(bytes) }
}

/** Shortest CBOR of 64 bits. */
function encodeUint(value: bigint): Uint8Array {
  if (value < 24n) return Uint8Array.of(Number(value))
  const size = [1, 2, 4, 8].find((size) => value < 1n << BigInt(8 * size))!
  const hex = value.toString(16).padStart(2 * size, '0')
  return Uint8Array.from([0x18 + Math.log2(size), ...Buffer.from(hex, 'hex')])
}

const pick = ({ schema, seq, start, span, count }: Header) => ({
  schema: BigInt(schema),
  seq: BigInt(seq),
  start: BigInt(start),
  span: BigInt(span),
  count: BigInt(count),
})

const toHeaderEvidence = (header: Header) => ({
  ...pick(header),
  recordsHash: toHex(header.recordsHash),
  commitment: header.commitment ? toHex(header.commitment) : '0x',
})

const encodeBytes = (bytes: Uint8Array) => encodeAbiParameters([{ type: 'bytes' }], [toHex(bytes)])

const rows = { ok: 0, refused: 0 }

function encodeRowsResult(decode: () => ReturnType<typeof decodeRows>): Hex {
  let ok = true
  let [times, values]: [bigint[], bigint[]] = [[], []]
  try {
    const decoded = decode()
    times = Array.from(decoded.times, BigInt)
    values = Array.from(decoded.values, (value) =>
      Number.isNaN(value) ? -(2n ** 255n) : BigInt(value),
    )
    rows.ok++
  } catch (error) {
    if (!(error instanceof BatchError)) throw error
    ok = false
    rows.refused++
  }
  return encodeAbiParameters(
    [{ type: 'bool' }, { type: 'uint256[]' }, { type: 'int256[]' }],
    [ok, times, values],
  )
}

function flip(random: Random, bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice()
  if (copy.length > 0) copy[random.below(copy.length)]! ^= 1 << random.below(8)
  return copy
}

function alterUint(random: Random, value: number): number {
  return random.of([
    Math.max(0, value - 1),
    Math.min(most, value + 1),
    Math.min(most, value * 2),
    Math.floor(value / 2),
    randomUint(random),
  ])
}

/** One altered, missing, more, or two swapped. */
function alterHashes(random: Random, hashes: readonly Uint8Array[], size = 32): Uint8Array[] {
  const copy = [...hashes]
  const at = random.below(copy.length + 1)
  const kind = random.below(5)
  if (kind === 0) copy.splice(at, 1)
  else if (kind === 1) copy.splice(at, 0, random.bytes(size))
  else if (kind === 2) copy.push(new Uint8Array(size))
  else if (copy.length > 0) copy[at % copy.length] = flip(random, copy[at % copy.length]!)
  return copy
}

/** One hash more, and roots to which it leads: of a log that is larger than is said. */
function extend<const roots extends readonly Uint8Array[]>(
  random: Random,
  hashes: Uint8Array[],
  ...roots: roots
): roots {
  const sibling = random.bytes(32)
  hashes.push(sibling)
  const right = random.oneIn(2)
  return roots.map((root) => (right ? node(root, sibling) : node(sibling, root))) as never
}

function split(bytes: Uint8Array, size = 32): Uint8Array[] {
  return Array.from({ length: bytes.length / size }, (_, i) =>
    bytes.slice(size * i, size * (i + 1)),
  )
}

function createTestLog(size: number) {
  const log = createLog()
  for (let i = 0; i < size; i++) log.append(sha256(Uint8Array.of(size, i >> 8, i)))
  return log
}

const node = (left: Uint8Array, right: Uint8Array) => sha256(concatBytes(one, left, right))

/** The largest power of two below n. */
function half(n: bigint): bigint {
  let k = 1n
  while (2n * k < n) k *= 2n
  return k
}

/** Root of a log of random neighbours, and the path of a leaf: RFC 9162 §2.1.3.1. */
function climb(
  random: Random,
  leaf: Uint8Array,
  index: bigint,
  size: bigint,
  hashes: Uint8Array[],
): Uint8Array {
  if (size === 1n) return leaf
  const k = half(size)
  const right = index >= k
  const below = right
    ? climb(random, leaf, index - k, size - k, hashes)
    : climb(random, leaf, index, k, hashes)
  const sibling = random.bytes(32)
  hashes.push(sibling)
  return right ? node(sibling, below) : node(below, sibling)
}

/** Roots of a random log and of its beginning, and the proof: RFC 9162 §2.1.4.1. */
function grow(
  random: Random,
  from: bigint,
  to: bigint,
  complete: boolean,
  hashes: Uint8Array[],
): [Uint8Array, Uint8Array] {
  if (from === to) {
    const root = random.bytes(32)
    if (!complete) hashes.push(root)
    return [root, root]
  }
  const k = half(to)
  const [before, after] =
    from <= k
      ? grow(random, from, k, complete, hashes)
      : grow(random, from - k, to - k, false, hashes)
  const sibling = random.bytes(32)
  hashes.push(sibling)
  return from <= k ? [before, node(after, sibling)] : [node(sibling, before), node(sibling, after)]
}

function randomEntry(random: Random): Entry {
  const wide = (bits: number) => BigInt(toHex(random.bytes(bits / 8)))
  return {
    device: random.bytes(20),
    cumulative: random.of([0n, wide(64), wide(112)]),
    value: random.of([0n, BigInt.asIntN(256, wide(256)), BigInt(random.below(1_000))]),
    steps: random.of([0, random.below(50), 2 ** 32 - 1]),
    traceRoot: random.oneIn(4) ? new Uint8Array(32) : random.bytes(32),
  }
}

/** The entry of an empty slot, which has no other form than null. */
const nobody: Entry = {
  ...{ device: new Uint8Array(20), cumulative: 0n, value: 0n, steps: 0 },
  traceRoot: new Uint8Array(32),
}

function alterEntry(random: Random, entry: Entry): Entry | null {
  const by = BigInt(1 + random.below(3))
  switch (random.below(7)) {
    case 0:
      return { ...entry, device: flip(random, entry.device) }
    case 1:
      return { ...entry, device: new Uint8Array(20), steps: entry.steps || 1 }
    case 2:
      return { ...entry, cumulative: BigInt.asUintN(128, entry.cumulative - by) }
    case 3:
      return { ...entry, value: BigInt.asIntN(256, entry.value + by) }
    case 4:
      return { ...entry, steps: (entry.steps + Number(by)) % 2 ** 32 }
    case 5:
      return { ...entry, traceRoot: flip(random, entry.traceRoot) }
    default:
      return null
  }
}

/** A hash and a sum; some sums do not leave room for another. */
function randomNode(random: Random): Uint8Array {
  if (random.oneIn(6)) return new Uint8Array(48)
  return concatBytes(
    random.bytes(32),
    random.oneIn(60) ? random.bytes(16) : concatBytes(new Uint8Array(8), random.bytes(8)),
  )
}

/** docs/protocol/claims.md, the sums added beyond 128 bits. */
function climbLedger(
  entry: Entry | null,
  slot: number,
  siblings: Uint8Array,
): [Uint8Array, bigint] {
  let hash: Uint8Array = new Uint8Array(32)
  let sum = entry?.cumulative ?? 0n
  if (entry) hash = keccak256(concatBytes(zero, entry.device, uint128(sum), entryDetail(entry)))
  for (const [level, sibling] of split(siblings, 48).entries()) {
    const own = concatBytes(hash, uint128(sum))
    hash = keccak256(
      Math.floor(slot / 2 ** level) % 2 === 0
        ? concatBytes(one, own, sibling)
        : concatBytes(one, sibling, own),
    )
    sum += BigInt(toHex(sibling.subarray(32)))
  }
  return [hash, BigInt.asUintN(128, sum)]
}

const uint128 = (value: bigint) =>
  Uint8Array.from(Buffer.from(BigInt.asUintN(128, value).toString(16).padStart(32, '0'), 'hex'))

/** The nodes five levels below, or the leaves, from paths to the entries. */
function reveal(ledger: Ledger, height: number, index: number) {
  const below = Math.min(5, height)
  const nodes: Uint8Array[] = []
  const first = index * 2 ** below
  for (let i = first; i < first + 2 ** below; i++) nodes.push(nodeOf(ledger, height - below, i))
  const siblings = Array.from({ length: ledger.depth - height }, (_, level) =>
    nodeOf(ledger, height + level, Math.floor(index / 2 ** level) ^ 1),
  )
  return { nodes: concatBytes(...nodes), siblings: concatBytes(...siblings) }
}

/** A node is the sibling on the path of a slot below its neighbour; the root has none. */
function nodeOf(ledger: Ledger, height: number, index: number): Uint8Array {
  if (height === ledger.depth) return concatBytes(ledger.root, uint128(ledger.total))
  const { siblings } = ledger.proof((index ^ 1) * 2 ** height)
  return siblings.slice(48 * height, 48 * (height + 1))
}

const toEntryEvidence = (entry: Entry | null, siblings: Uint8Array) => ({
  device: toHex(entry?.device ?? new Uint8Array(20)),
  cumulative: entry?.cumulative ?? 0n,
  value: entry?.value ?? 0n,
  steps: entry?.steps ?? 0,
  traceRoot: toHex(entry?.traceRoot ?? new Uint8Array(32)),
  siblings: toHex(siblings),
})

const toKey = (publicKey: Uint8Array) => ({
  x: toHex(publicKey.subarray(0, 32)),
  y: toHex(publicKey.subarray(32)),
})

const toSignature = (signature: Uint8Array) => ({
  r: toHex(signature.subarray(0, 32)),
  s: toHex(signature.subarray(32)),
})

const orders = {
  ES256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  ES256K: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
}

/** As it is, with the other s, or wrong in some way. */
function alterSignature(random: Random, algorithm: Algorithm, signature: Uint8Array): Uint8Array {
  const order = orders[algorithm]
  const [r, s] = [signature.slice(0, 32), signature.slice(32)]
  const word = (value: bigint) =>
    Uint8Array.from(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'))
  switch (random.below(10)) {
    case 0:
      return flip(random, signature)
    case 1:
      return concatBytes(word(random.of([0n, order, order - 1n])), s)
    case 2:
      return concatBytes(r, word(random.of([0n, order, order - 1n])))
    case 3:
    case 4:
    case 5:
      return concatBytes(r, word(order - BigInt(toHex(s))))
    default:
      return signature
  }
}

function createSigner(algorithm: Algorithm, number: number): Signer {
  const ecdh = createECDH(algorithm === 'ES256' ? 'prime256v1' : 'secp256k1')
  const d = Buffer.alloc(32, 7 + number)
  ecdh.setPrivateKey(d)
  const point = ecdh.getPublicKey()
  const [x, y] = [point.subarray(1, 33), point.subarray(33)]
  const key = createPrivateKey({
    format: 'jwk',
    key: {
      kty: 'EC',
      crv: algorithm === 'ES256' ? 'P-256' : 'secp256k1',
      d: d.toString('base64url'),
      x: x.toString('base64url'),
      y: y.toString('base64url'),
    },
  })
  return {
    algorithm,
    publicKey: Uint8Array.from(point.subarray(1)),
    sign: async (message) =>
      Uint8Array.from(sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' })),
  }
}
