import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatDid, fromHex, publicKeyToAddress, toHex } from '@machinefi/core'
import { createSoftwareSigner, type SoftwareSigner } from '@machinefi/device'
import { decodeBundle, verifyBundle, verifyClaim } from '@machinefi/proof'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '../../packages/cli/src/run.js'
import { createRandom } from './createRandom.js'
import {
  firstWindow,
  graceMs,
  signSteps,
  startNetwork,
  startTime,
  type TestNetwork,
  windowMs,
} from './startNetwork.js'

// The evidence of a real run: three devices of both algorithms, one of them silent in the window,
// one that never sent anything, and one that joined too late to be paid.

const walker = createSoftwareSigner()
const koblitz = createSoftwareSigner({ algorithm: 'ES256K' })
const resting = createSoftwareSigner()
const silent = createSoftwareSigner()
const late = createSoftwareSigner({ algorithm: 'ES256K' })
const hourMs = 3_600_000
const secondWindow = firstWindow + 1
const secondStart = startTime + windowMs

let net: TestNetwork
let bundle: Uint8Array
let epochHash: Uint8Array
let directory: string
const errors: unknown[] = []

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'machinefi-bundle-'))
  net = await startNetwork({
    members: [walker, koblitz, resting, silent],
    onError: (error) => errors.push(error),
  })
  await send(walker, 0, startTime + hourMs, [100, 200])
  await send(koblitz, 0, startTime + hourMs, [50])
  await send(resting, 0, startTime + hourMs, [300, 300, 300])
  await net.setTime(secondStart + graceMs)
  await net.node.settle()
  await net.setTime(secondStart + 2 * hourMs)
  await net.join([late])
  // One goes over midnight, one has a gap before it, and they do not come in their order.
  await send(walker, 1, secondStart - 60_000, [10, 20])
  await send(walker, 4, secondStart + hourMs, [70])
  await send(walker, 2, secondStart + hourMs / 2, [400, 500])
  await send(koblitz, 1, secondStart + hourMs, [99, 901])
  await send(late, 0, secondStart + hourMs, [700])
  await net.setTime(secondStart + windowMs + graceMs)
  const [epoch] = await net.node.settle()
  epochHash = fromHex(epoch!.posted!.epochHash)
  bundle = await fetchBundle(`epochs/${secondWindow}/bundle`)
}, 120_000)

afterAll(async () => {
  await net?.close()
  rmSync(directory, { force: true, recursive: true })
  expect(errors).toEqual([])
})

test('default', async () => {
  const verdict = await verifyBundle(bundle, { epochHash })
  if (!verdict.ok) throw new Error(`${verdict.at}: ${verdict.reason}`)
  expect(
    verdict.claims.map(({ cumulative, device, reward, steps, value }) => [
      toHex(device),
      { cumulative, reward, steps, value },
    ]),
  ).toEqual([
    // 300 the day before; of the batch over midnight, the second row counts.
    [hexOf(walker), { cumulative: 1290n, reward: 990n, steps: 3, value: 990n }],
    // 901 steps a minute are none.
    [hexOf(koblitz), { cumulative: 0n, reward: 0n, steps: 1, value: 99n }],
    [hexOf(resting), { cumulative: 900n, reward: 0n, steps: 0, value: 0n }],
    [hexOf(silent), { cumulative: 0n, reward: 0n, steps: 0, value: 0n }],
  ])
  expect(verdict).toMatchObject({
    complete: true,
    epochHash,
    network: net.id,
    window: { number: secondWindow, start: secondStart },
  })
  expect(toHex(verdict.logKey)).toBe(toHex(net.logKey))
})

test('behavior: every claim alone', async () => {
  for (const signer of [walker, koblitz, resting, silent]) {
    const device = formatDid(publicKeyToAddress(signer.publicKey))
    const whole = await verifyClaim(bundle, { device, epochHash })
    const alone = await fetchBundle(`epochs/${secondWindow}/claims/${device}/bundle`)
    expect(alone.length).toBeLessThan(bundle.length)
    expect(await verifyClaim(alone, { device, epochHash })).toEqual(whole)
    expect(whole.ok).toBe(true)
  }
  const missing = await verifyClaim(bundle, { device: hexOf(late) })
  expect(missing).toMatchObject({ ok: false, reason: expect.stringMatching(/no claim/) })
})

test('error: another epoch', async () => {
  expect(await verifyBundle(bundle, { epochHash: new Uint8Array(32) })).toMatchObject({
    ok: false,
    at: 'epoch hash',
  })
})

test('error: every byte of the bundle changed', async () => {
  const random = createRandom(1)
  const places = new Map<string, number>()
  const check = async (i: number, mask: number) => {
    const changed = bundle.slice()
    changed[i]! ^= mask
    const verdict = await verifyBundle(changed)
    if (verdict.ok) throw new Error(`Byte ${i} of ${bundle.length} is not bound (${mask}).`)
    expect(verdict.reason).not.toBe('')
    const place = verdict.at.replace(/0x[0-9a-f]+|\d+/g, '*')
    places.set(place, (places.get(place) ?? 0) + 1)
  }
  for (let i = 0; i < bundle.length; i++) {
    if (i % 16 === 0) for (let bit = 0; bit < 8; bit++) await check(i, 1 << bit)
    else await check(i, 1 << random.below(8))
  }
  expect([...places.keys()]).toEqual(
    expect.arrayContaining([
      'byte *',
      'checkpoint *: signature',
      'claim *: batch *: encoding',
      'claim *: batch *: inclusion',
      'claim *: batch *: records',
      'claim *: batch *: signature',
      'claim *: key',
      'claim *: ledger path',
      'claim *: reward',
      'config',
      'digest',
      'epoch hash',
      'metric',
      'policy',
      'schema',
    ]),
  )
}, 120_000)

test('error: every end of the bundle cut off, or something put behind it', async () => {
  for (let length = 0; length < bundle.length; length += length < 200 ? 1 : 37)
    expect((await verifyBundle(bundle.subarray(0, length))).ok).toBe(false)
  expect(await verifyBundle(Uint8Array.from([...bundle, 0]))).toMatchObject({ ok: false })
})

test('behavior: machinefi claim verify', async () => {
  const file = write('epoch.bundle', bundle)
  const { code, stderr, stdout } = await machinefi('claim', 'verify', file, '--json')
  expect([code, stderr]).toEqual([0, ''])
  expect(JSON.parse(stdout)).toMatchObject({
    ok: true,
    epochHash: toHex(epochHash),
    claims: [{ value: '990' }, { value: '99' }, { value: '0' }, { value: '0' }],
  })
  const onChain = await machinefi(
    ...['claim', 'verify', file, '--check-chain', '--rpc', net.anvil.url],
    ...['--network', net.network.id],
    ...['--device', formatDid(publicKeyToAddress(walker.publicKey))],
  )
  expect([onChain.code, onChain.stderr]).toEqual([0, ''])
  expect(onChain.stdout).toMatch(/as on the chain/)
  expect(onChain.stdout).toMatch(/990/)
})

test('error: machinefi claim verify: exit code 3, and where', async () => {
  const { claims, epochHash: _, ...rest } = decodeBundle(bundle)
  expect(rest.window).toBe(secondWindow)
  const at = (part: Uint8Array) => Buffer.from(bundle).indexOf(part)
  const [first] = claims
  const batch = first!.batches[0]!
  const signature = at(batch.bytes) + 100
  const places: [offset: number, at: RegExp][] = [
    // An array of 9 is no array of 8: that is seen behind its head.
    [0, /^byte \d$/],
    [bundle.length - 1, /^digest$/],
    [at(rest.ledgerRoot), /^epoch hash$/],
    [at(rest.checkpoints[0]!) + rest.checkpoints[0]!.length - 1, /^checkpoint 0: signature$/],
    [at(first!.siblings), /^claim 0x[0-9a-f]{40}: ledger path$/],
    [at(batch.proof), /^claim 0x[0-9a-f]{40}: batch 0: inclusion$/],
    [at(batch.bytes) + batch.bytes.length - 1, /^claim 0x[0-9a-f]{40}: batch 0: records$/],
    [signature, /^claim 0x[0-9a-f]{40}: batch 0: /],
  ]
  for (const [offset, where] of places) {
    const changed = bundle.slice()
    changed[offset]! ^= 1
    const file = write('changed.bundle', changed)
    const json = await machinefi('claim', 'verify', file, '--json')
    expect([json.code, offset]).toEqual([3, offset])
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, at: expect.stringMatching(where) })
    const text = await machinefi('claim', 'verify', file)
    expect([text.code, text.stdout]).toEqual([3, ''])
    expect(text.stderr).toMatch(/^machinefi: Does not check out at .+: .+\n$/)
    expect(text.stderr).toContain(JSON.parse(json.stdout).at)
  }
  // A good bundle of an epoch that was never posted.
  const file = write('epoch.bundle', bundle)
  const other = await machinefi('claim', 'verify', file, '--epoch', toHex(new Uint8Array(32)))
  expect(other.code).toBe(3)
  expect(other.stderr).toMatch(/epoch hash/)
  // What is no bundle at all.
  for (const bytes of [new Uint8Array(), Buffer.from('{}'), createRandom(2).bytes(5000)]) {
    const result = await machinefi('claim', 'verify', write('garbage.bundle', bytes))
    expect([result.code, result.stdout]).toEqual([3, ''])
    expect(result.stderr).toMatch(/^machinefi: Does not check out at byte \d+: /)
  }
})

const hexOf = ({ publicKey }: SoftwareSigner) => toHex(publicKeyToAddress(publicKey))

async function send(signer: SoftwareSigner, seq: number, start: number, steps: readonly number[]) {
  const batch = await signSteps({ network: net.id, seq, signer, start, steps })
  const [outcome] = await net.node.ingest(net.network.id, [batch.bytes])
  if (!outcome?.ok) throw new Error(outcome?.problem.title)
}

async function fetchBundle(path: string): Promise<Uint8Array> {
  const response = await fetch(`${net.url}/networks/${net.network.id}/${path}`)
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/cbor'])
  return new Uint8Array(await response.arrayBuffer())
}

function write(name: string, bytes: Uint8Array): string {
  const path = join(directory, name)
  writeFileSync(path, bytes)
  return path
}

/** The command line, in this process. */
async function machinefi(...argv: string[]) {
  let stdout = ''
  let stderr = ''
  const output = (write: (text: string) => void) => ({ columns: 0, isTTY: false, write })
  const code = await run(argv, {
    cwd: directory,
    env: {},
    signal: new AbortController().signal,
    stderr: output((text) => {
      stderr += text
    }),
    onHangup: () => {},
    stdin: (async function* () {})(),
    stdout: output((text) => {
      stdout += text
    }),
  })
  return { code, stderr, stdout }
}
