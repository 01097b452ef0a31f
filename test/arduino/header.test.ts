import {
  type ChildProcessWithoutNullStreams,
  execFileSync,
  spawn,
  spawnSync,
} from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  concatBytes,
  normalizeSignature,
  publicKeyToAddress,
  type Signer,
  sha256,
  toHex,
} from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import { decodeFrame, encodeFrame, type Frame } from '@machinefi/device/serial'
import { batchId, decodeBatch, defineSchema, encodeRows, signBatch } from '@machinefi/telemetry'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

// The C header against the TypeScript codec, on the same random input. RUNS for more of it.

// After a failure nothing more is asked: an answer that was not read would be the next one's.
const parameters = { endOnFailure: true, numRuns: Number(process.env.RUNS ?? 300), seed: 4 }
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const maxInteger = Number.MAX_SAFE_INTEGER

/** Why nothing can be compiled here. */
const missing = spawnSync('cc', ['--version']).status === 0 ? '' : ': needs a C compiler'

let folder: string
let program: ReturnType<typeof start>

beforeAll(() => {
  if (missing) return
  folder = mkdtempSync(join(tmpdir(), 'machinefi-header-'))
  const binary = join(folder, 'header')
  const strict = ['-std=c99', '-Wall', '-Wextra', '-Wconversion', '-pedantic', '-Werror']
  const checked = ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all']
  const source = fileURLToPath(new URL('header.c', import.meta.url))
  execFileSync('cc', [...strict, ...checked, '-o', binary, source])
  program = start(binary)
}, 60_000)

afterAll(() => {
  program?.child.kill()
  if (folder) rmSync(folder, { force: true, recursive: true })
})

/** The program of header.c, which is asked in bytes and answers in bytes. */
function start(binary: string) {
  const child = spawn(binary) as ChildProcessWithoutNullStreams
  child.stderr.pipe(process.stderr)
  const chunks = child.stdout[Symbol.asyncIterator]()
  let held: Uint8Array = new Uint8Array(0)
  const take = async (length: number) => {
    while (held.length < length) {
      const { done, value } = await chunks.next()
      if (done) throw new Error('The program ended.')
      held = concatBytes(held, value)
    }
    const taken = held.slice(0, length)
    held = held.slice(length)
    return taken
  }
  return {
    child,
    ask: (...parts: Uint8Array[]) => void child.stdin.write(concatBytes(...parts)),
    take,
    async takeSized() {
      return take(new DataView((await take(4)).buffer).getUint32(0))
    },
  }
}

/** Big-endian, in so many bytes; two's complement. */
function toBytes(value: number | bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, BigInt(value)))
  return bytes.slice(8 - length)
}

function toText(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** As `MFI_NULL`. */
const none = -(2n ** 63n)

type Input = {
  fields: number
  network: Uint8Array
  rows: { time: number; values: (number | null)[] }[]
  schemaId: number
  seq: number
  signer: Signer
  tickMs: number
}

/** Asks for a batch; `flip` gives back the other s, as half of all chips do. */
async function askBatch(input: Input, { flip = false } = {}) {
  const { fields, network, rows, schemaId, seq, signer, tickMs } = input
  const schema = defineSchema({
    id: schemaId,
    tickMs,
    fields: Object.fromEntries(Array.from({ length: fields }, (_, i) => [`f${i}`, { unit: '1' }])),
  })
  program.ask(
    toText('b'),
    network,
    publicKeyToAddress(signer.publicKey),
    ...[toBytes(schemaId, 4), toBytes(tickMs, 4), toBytes(fields, 1)],
    ...[toBytes(seq, 8), toBytes(rows.length, 2)],
    ...rows.flatMap(({ time, values }) => [
      toBytes(time, 8),
      ...values.map((value) => toBytes(value ?? none, 8)),
    ]),
  )
  const results = [...(await program.take(rows.length))]
  const taken = rows.filter((_, i) => results[i] === 0)
  if (taken.length === 0) return { bytes: undefined, results, sealed: (await program.take(1))[0]! }
  const aligned = taken.map(({ time, values }) => ({ time: time - (time % tickMs), values }))
  const batch = await signBatch({ network, rows: aligned, schema, seq, signer })
  expect(toHex(await program.take(32))).toBe(toHex(batchId(batch, network)))
  const s = BigInt(toHex(batch.signature.slice(32)))
  const other = toBytes32(order - s)
  program.ask(flip ? concatBytes(batch.signature.slice(0, 32), other) : batch.signature)
  const sealed = (await program.take(1))[0]!
  const bytes = await program.takeSized()
  expect(toHex(bytes)).toBe(toHex(batch.bytes))
  expect(toHex(await program.takeSized())).toBe(
    toHex(encodeFrame({ body: bytes, number: 0x1234, type: 3 })),
  )
  return { bytes, results, sealed }
}

function toBytes32(value: bigint): Uint8Array {
  return concatBytes(...[3, 2, 1, 0].map((i) => toBytes(value >> BigInt(64 * i), 8)))
}

/** Numbers of every length that CBOR has, those at the borders more often. */
function integers(most: number) {
  const edges = [0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, maxInteger]
  return fc.oneof(
    fc.constantFrom(...edges.filter((edge) => edge <= most)),
    fc.integer({ min: 0, max: Math.min(most, 1000) }),
    fc.maxSafeNat().map((value) => value % (most + 1)),
  )
}

const values = fc.oneof(
  fc.constant(null),
  integers(maxInteger),
  integers(maxInteger).map((value) => -value || 0),
)

const inputs = fc.integer({ min: 1, max: 22 }).chain((fields) =>
  fc.record({
    fields: fc.constant(fields),
    network: fc.uint8Array({ maxLength: 32, minLength: 32 }),
    rows: fc
      .tuple(
        integers(2 ** 42),
        fc.array(
          fc.record({
            step: integers(100_000),
            values: fc.array(values, { maxLength: fields, minLength: fields }),
          }),
          { maxLength: 20, minLength: 1, size: 'max' },
        ),
      )
      .map(([start, steps]) => {
        let time = start
        return steps.map(({ step, values }) => {
          time += step
          return { time, values }
        })
      }),
    schemaId: integers(2 ** 32 - 1),
    seq: integers(maxInteger),
    signer: fc.constantFrom(createSoftwareSigner(), createSoftwareSigner()),
    tickMs: fc.oneof(fc.constantFrom(1, 1000, 60_000), fc.integer({ min: 1, max: 100 })),
  }),
)

const walk: Input = {
  fields: 1,
  network: new Uint8Array(32).fill(7),
  rows: Array.from({ length: 60 }, (_, i) => ({
    time: 1_700_000_000_000 + 60_000 * i,
    values: [i % 7 === 0 ? null : i * 10],
  })),
  schemaId: 1,
  seq: 7,
  signer: createSoftwareSigner({ privateKey: new Uint8Array(32).fill(1) }),
  tickMs: 1000,
}

describe.skipIf(missing)(`mfi_batch${missing}`, () => {
  test('default', async () => {
    const { bytes, results, sealed } = await askBatch(walk)
    expect({ results: new Set(results), sealed }).toEqual({ results: new Set([0]), sealed: 0 })
    expect(decodeBatch(bytes!).header).toMatchObject({ count: 60, seq: 7, span: 59 * 60_000 })
  })

  test('behavior: the bytes of the TypeScript codec, whatever the readings', async () => {
    await fc.assert(
      fc.asyncProperty(inputs, fc.boolean(), async (input, flip) => {
        const { results } = await askBatch(input, { flip })
        let last = Number.NEGATIVE_INFINITY
        // 2 is MFI_TIME; nothing here is out of bounds or too much.
        for (const [i, { time }] of input.rows.entries()) {
          const tick = Math.floor(time / input.tickMs)
          expect(results[i]).toBe(tick > last ? 0 : 2)
          if (tick > last) last = tick
        }
      }),
      parameters,
    )
  })

  test('behavior: takes rows until there is no room', async () => {
    const rows = Array.from({ length: 900 }, (_, i) => ({
      time: 1_700_000_000_000 + 1000 * i,
      values: [300 + i],
    }))
    const { results } = await askBatch({ ...walk, rows })
    const room = results.indexOf(1)
    const { length } = encodeRows(rows.slice(0, room), { start: rows[0]!.time, tickMs: 1000 })
    // The array's head has a place of its own.
    expect(length - 3).toBeLessThanOrEqual(4096)
    expect(length - 3 + 5).toBeGreaterThan(4096)
    expect(new Set(results.slice(room))).toEqual(new Set([1]))
  })

  test('error: a value or a time out of bounds', async () => {
    const time = 1_700_000_000_000
    const outside = [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, none + 1n]
    for (const value of outside)
      expect(
        await askBatch({ ...walk, rows: [{ time, values: [value as unknown as number] }] }),
      ).toMatchObject({ results: [3], sealed: 4 })
    expect(await askBatch({ ...walk, rows: [{ time: 2 ** 53, values: [1] }] })).toMatchObject({
      results: [3],
      sealed: 4,
    })
  })
})

describe.skipIf(missing)(`frames${missing}`, () => {
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    // Stretches without a zero, around the length of a COBS block.
    fc.tuple(fc.integer({ min: 240, max: 520 }), fc.nat({ max: 519 })).map(([length, zero]) => {
      const body = new Uint8Array(length).fill(0x55)
      if (zero < length) body[zero] = 0
      return body
    }),
  )
  const frames: fc.Arbitrary<Frame> = fc.record({
    body: bodies,
    number: fc.nat({ max: 0xffff }),
    type: fc.nat({ max: 0xff }),
  })

  test('behavior: mfi_link writes what encodeFrame does, and decodeFrame reads it', async () => {
    await fc.assert(
      fc.asyncProperty(frames, async (frame) => {
        const { body, number, type } = frame
        program.ask(
          toText('f'),
          toBytes(type, 1),
          toBytes(number, 2),
          toBytes(body.length, 2),
          body,
        )
        const bytes = await program.takeSized()
        expect(toHex(bytes)).toBe(toHex(encodeFrame(frame)))
        expect(bytes.slice(1, -1)).not.toContain(0)
        expect(decodeFrame(bytes.slice(1, -1))).toEqual(frame)
      }),
      parameters,
    )
  })

  test('behavior: mfi_send_reading writes a row with its age', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(values, { maxLength: 22, minLength: 1 }),
        integers(2 ** 32 - 1),
        async (values, age) => {
          const sent = values.map((value) => toBytes(value ?? none, 8))
          program.ask(
            toText('r'),
            toBytes(9, 2),
            toBytes(age, 4),
            toBytes(values.length, 1),
            ...sent,
          )
          const records = encodeRows([{ time: age, values }], { start: 0, tickMs: 1 })
          expect(toHex(await program.takeSized())).toBe(
            toHex(encodeFrame({ body: records.slice(1), number: 9, type: 2 })),
          )
        },
      ),
      parameters,
    )
  })

  test('behavior: mfi_send_registration signs behind 1901, and 64 bytes alone', async () => {
    const { signer } = walk
    const address = publicKeyToAddress(signer.publicKey)
    const bodies = fc.oneof(
      fc.uint8Array({ maxLength: 64, minLength: 64 }),
      fc.uint8Array({ maxLength: 195 }),
    )
    await fc.assert(
      fc.asyncProperty(bodies, fc.boolean(), async (body, flip) => {
        const line = encodeFrame({ body, number: 0, type: 0x85 })
        program.ask(toText('s'), address, toBytes(line.length, 2), line)
        if (body.length !== 64) {
          expect([...(await program.take(1))]).toEqual([3])
          return
        }
        const message = concatBytes(Uint8Array.of(0x19, 0x01), body)
        expect(toHex(await program.take(32))).toBe(toHex(sha256(message)))
        const signature = await signer.sign(message)
        const r = signature.slice(0, 32)
        const other = toBytes32(order - BigInt(toHex(signature.slice(32))))
        program.ask(flip ? concatBytes(r, other) : signature)
        expect([...(await program.take(1))]).toEqual([0])
        const answer = concatBytes(address, normalizeSignature(signature, 'ES256'))
        expect(toHex(await program.takeSized())).toBe(
          toHex(encodeFrame({ body: answer, number: 0, type: 0x04 })),
        )
      }),
      parameters,
    )
  })

  test('behavior: mfi_inbox finds every whole frame, and nothing else', async () => {
    const short = fc.record({
      body: fc.uint8Array({ maxLength: 195 }),
      number: fc.nat({ max: 0xffff }),
      type: fc.nat({ max: 0xff }),
    })
    const stretches = fc.array(fc.oneof(short, fc.uint8Array({ maxLength: 300 })), {
      maxLength: 12,
    })
    await fc.assert(
      fc.asyncProperty(stretches, async (stretches) => {
        const line = concatBytes(...stretches.map((x) => ('type' in x ? encodeFrame(x) : x)))
        program.ask(toText('i'), toBytes(line.length, 2), line)
        const expected = stretches
          .filter((stretch) => 'type' in stretch)
          .map(({ body, number, type }) => concatBytes(toBytes(type, 1), toBytes(number, 2), body))
        expect(toHex(await program.takeSized())).toBe(toHex(concatBytes(...expected)))
      }),
      parameters,
    )
  })
})
