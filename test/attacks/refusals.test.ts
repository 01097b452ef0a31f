import { request as httpRequest } from 'node:http'
import { suspendDevices } from '@machinefi/contracts'
import { concatBytes, equalBytes, publicKeyToAddress, sha256, toHex } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import {
  decodeBatch,
  defineSchema,
  encodeHeader,
  encodeProtected,
  encodeRows,
  type Header,
  type SignedBatch,
} from '@machinefi/telemetry'
import { Decoder } from 'cbor-x'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { byteString, craftBatch, flipSignature, head, signParts, uint } from './craftBatch.js'
import {
  firstWindow,
  graceMs,
  retentionMs,
  signSteps,
  startNetwork,
  startTime,
  type TestNetwork,
  windowMs,
} from './startNetwork.js'

// One node, one story: every test leaves the log as it found it, or says by how much it grew. The
// last one posts the window: what was refused has come to nothing.

const walker = createSoftwareSigner()
const other = createSoftwareSigner()
const koblitz = createSoftwareSigner({ algorithm: 'ES256K' })
const suspect = createSoftwareSigner()
const stranger = createSoftwareSigner()
const members = [walker, other, koblitz, suspect]

let net: TestNetwork
/** In the log from the start, one of each algorithm. */
let accepted: SignedBatch
let acceptedKoblitz: SignedBatch
let receipt: Uint8Array
let receiptKoblitz: Uint8Array
const errors: unknown[] = []
const hourMs = 3_600_000
/** Start of what the accepted batches hold. */
const start = startTime + 60_000

beforeAll(async () => {
  net = await startNetwork({ members, onError: (error) => errors.push(error) })
  const { client, id: network, network: contracts, node } = net
  accepted = await signSteps({ network, seq: 0, signer: walker, start, steps: [100, 200, 300] })
  acceptedKoblitz = await signSteps({ network, seq: 0, signer: koblitz, start, steps: [150] })
  receipt = await accept(accepted.bytes)
  receiptKoblitz = await accept(acceptedKoblitz.bytes)
  const devices = [toHex(publicKeyToAddress(suspect.publicKey))]
  await suspendDevices(client, { devices, network: contracts })
  await node.refresh()
  await net.setTime(net.now() + 600_000)
}, 60_000)

afterAll(async () => {
  await net?.close()
  expect(errors).toEqual([])
})

/** What a node says, by the last part of `type`. */
const problems = {
  truncated: [400, 'the batch is cut off'],
  'not-canonical': [400, 'the batch is not in its canonical encoding'],
  version: [400, 'the batch is of a version this node does not know'],
  algorithm: [400, 'the signature algorithm is neither ES256 nor ES256K'],
  header: [400, 'the batch header is malformed'],
  'records-missing': [400, 'the batch comes without its records'],
  'records-hash': [422, 'the records are not the ones the device signed'],
  records: [422, 'the records are malformed'],
  schema: [422, 'the schema is not one of this network'],
  fields: [422, 'the rows do not have the number of fields of their schema'],
  'too-large': [413, 'the batch is longer than this network allows'],
  signature: [403, 'altered, or signed for another network'],
  key: [403, 'the device is registered with a key of another algorithm'],
  'unknown-device': [403, 'the device is not a member of this network'],
  suspended: [403, 'the device is suspended'],
  future: [422, 'the batch ends in the future'],
  'too-old': [422, 'the batch starts before the retention period'],
  equivocation: [409, 'the device has signed another batch with this seq'],
  'unknown-network': [404, 'this node does not serve this network'],
  'not-found': [404, 'there is nothing here'],
  method: [405, 'the method is not allowed here'],
  'media-type': [415, 'the media type is not supported here'],
  encoding: [415, 'the content encoding is not supported'],
  parameter: [400, 'a parameter is missing or out of bounds'],
  body: [400, 'the body is not what its media type says'],
  'body-too-large': [413, 'the body is larger than this node accepts'],
} as const

type Reason = keyof typeof problems
type Case = {
  name: string
  reason: Reason
  /** What `detail` matches; undefined where the title says it all. */
  detail?: RegExp
  make(): Promise<Uint8Array> | Uint8Array
}

/** A batch that would be accepted, but for what is changed of it before or after it is signed. */
type Change = Partial<craftBatch.Parts> & {
  header?: Partial<Header>
  /** Signed in place of the header. */
  signedPayload?: Uint8Array
  /** Signed in place of the protected header. */
  signedProtected?: Uint8Array
  /** Signed, by their hash, in place of the rows. */
  signedRecords?: Uint8Array
  seq?: number
  signer?: typeof walker
}

async function craft(change: Change = {}): Promise<Uint8Array> {
  const { header, seq = 1, signedPayload, signedProtected, signer = walker, ...parts } = change
  const from = start + hourMs
  const rows = [0, 1, 2].map((i) => ({ time: from + i * 60_000, values: [900, i] }))
  const records = change.signedRecords ?? encodeRows(rows, { start: from, tickMs: 1000 })
  const payload =
    signedPayload ??
    encodeHeader({
      schema: 1,
      seq,
      start: from,
      span: 120_000,
      count: 3,
      recordsHash: sha256(records),
      commitment: null,
      ...header,
    })
  const signed = await signParts({
    network: net.id,
    payload,
    records,
    signer,
    ...(signedProtected ? { protected: signedProtected } : {}),
  })
  return craftBatch({ ...signed, ...parts })
}

/** A header, item by item. */
const headerItems = (change: Record<number, Uint8Array> = {}, count = 8) =>
  concatBytes(
    head(4, count),
    ...[
      uint(1),
      uint(1),
      uint(1),
      uint(start + hourMs),
      uint(0),
      uint(1),
      byteString(sha256(oneRow)),
      Uint8Array.of(0xf6),
    ]
      .map((item, i) => change[i] ?? item)
      .slice(0, count),
  )
const oneRow = Uint8Array.of(0x81, 0x83, 0, 10, 10)
const craftHeader = (change: Record<number, Uint8Array>, count?: number) =>
  craft({ signedPayload: headerItems(change, count), signedRecords: oneRow })
const craftRows = (records: readonly number[], header: Partial<Header> = {}) =>
  craft({
    header: { count: 1, span: 0, ...header },
    signedRecords: Uint8Array.from(records),
  })
const wide = defineSchema({
  id: 1,
  tickMs: 1000,
  fields: { a: { unit: 'count' }, b: { unit: 'count' }, c: { unit: 'count' } },
})
const kid = (signer: typeof walker) => publicKeyToAddress(signer.publicKey)
const es256 = (device: Uint8Array) => concatBytes(hex('a201260454'), device)
const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'))

const cases: Case[] = [
  // Another type, a longer form, something more, something less, something in another order.
  nonCanonical('an array of 3', { outer: [0x83] }),
  nonCanonical('a longer head of the array', { outer: [0x98, 0x02] }),
  nonCanonical('an array of indefinite length', { outer: [0x9f] }),
  nonCanonical('a tag around the batch', { outer: [0xd2, 0x82] }),
  nonCanonical('a tagged COSE_Sign1', { cose: [0xd2, 0x84] }),
  nonCanonical('a COSE_Sign1 of indefinite length', { cose: [0x9f] }),
  nonCanonical('an unprotected header', { unprotected: [0xa1, 0x05, 0x00] }),
  nonCanonical('an unprotected header of indefinite length', { unprotected: [0xbf, 0xff] }),
  nonCanonical('a protected header that is text', {
    protectedItem: concatBytes(head(3, 25), es256(kid(walker))),
  }),
  nonCanonical('a longer head of the protected header', {
    protectedItem: byteString(es256(kid(walker)), 2),
  }),
  nonCanonical('kid before alg', {
    signedProtected: concatBytes(hex('a20454'), kid(walker), hex('0126')),
  }),
  nonCanonical('a kid of 19 bytes', {
    signedProtected: concatBytes(hex('a201260453'), kid(walker).subarray(1)),
  }),
  nonCanonical('no kid', { signedProtected: hex('a10126') }),
  nonCanonical('a payload in a longer head', async () => {
    const { payload } = decodeBatch(await craft())
    return { payloadItem: byteString(payload, 2) }
  }),
  nonCanonical('a longer integer in the header', { signedPayload: headerItems({ 1: uint(1, 1) }) }),
  nonCanonical('a start of 8 bytes where 4 are enough', {
    signedPayload: headerItems({ 3: uint(1000, 8) }),
  }),
  nonCanonical('a signature of 63 bytes', { signatureItem: byteString(new Uint8Array(63)) }),
  nonCanonical('a signature of 65 bytes', { signatureItem: byteString(new Uint8Array(65)) }),
  nonCanonical('a DER signature', { signatureItem: byteString(hex(`3046${'02'.repeat(70)}`)) }),
  nonCanonical('records in a longer head', { recordsItem: byteString(new Uint8Array(9), 4) }),
  nonCanonical('records that are an array', { recordsItem: hex('80') }),
  nonCanonical('records undefined', { recordsItem: hex('f7') }),

  refused('not-canonical', 'JSON', () => Buffer.from('{"steps":100}'), /byte 0/),
  refused(
    'not-canonical',
    'an empty array',
    () => hex('80'),
    /array of 2 \(82\), not 80 at byte 0/,
  ),
  refused('not-canonical', 'no COSE_Sign1 but an integer', () => hex('8201f6'), /byte 1/),
  refused('not-canonical', 'nothing but zeros', () => hex('00'), /byte 0/),
  refused('truncated', 'an array and no more', () => hex('82'), /byte 1/),
  refused('truncated', 'a length with nothing behind', () => hex('8284581926'), undefined),

  refused(
    'algorithm',
    'EdDSA',
    () => craft({ signedProtected: concatBytes(hex('a201270454'), kid(walker)) }),
    /neither ES256 \(-7\) nor ES256K \(-47\)/,
  ),
  refused(
    'algorithm',
    'alg as text',
    () => craft({ signedProtected: concatBytes(hex('a201410454'), kid(walker)) }),
    /neither/,
  ),
  refused('version', 'version 2', () => craftHeader({ 0: uint(2) }), /not of version 1/),
  refused('version', 'version 0', () => craftHeader({ 0: uint(0) }), /not of version 1/),
  refused('header', 'a header that is text', () => craftHeader({ 1: hex('6131') }), /malformed/i),
  refused('header', 'no rows', () => craftHeader({ 5: uint(0) }), /at least one row/),
  refused('header', 'a time beyond 2^53', () => craftHeader({ 3: hex('1b0020000000000000') })),
  refused(
    'header',
    'an end beyond 2^53',
    () => craftHeader({ 3: uint(Number.MAX_SAFE_INTEGER), 4: uint(1) }),
    /start \+ span/,
  ),
  refused('header', 'a negative seq', () => craftHeader({ 2: hex('20') })),
  refused('header', 'a float for seq', () => craftHeader({ 2: hex('f93c00') })),
  refused(
    'header',
    'a hash of 31 bytes',
    () => craftHeader({ 6: byteString(new Uint8Array(31)) }),
    /byte string of 32/,
  ),
  refused('header', 'bytes after the header', () => craftHeader({ 7: hex('f6f6') }), /its end/),
  refused('header', 'a header of 7', () => craftHeader({}, 7), /array of 8/),

  refused('records-missing', 'records null', () => craft({ records: null })),
  refused('records-hash', 'other records', () => craft({ records: oneRow })),
  refused('records-hash', 'no records', () => craft({ records: new Uint8Array() })),
  refused('records-hash', 'a step more', () => {
    const records = accepted.records!.slice()
    records[records.length - 2]! += 1
    return craftBatch({ ...accepted, records })
  }),
  refused('records', 'a longer integer in a row', () => craftRows([0x81, 0x83, 0, 0x18, 10, 10])),
  refused('records', 'a row of indefinite length', () => craftRows([0x81, 0x9f, 0, 10, 10, 0xff])),
  refused('records', 'a float', () => craftRows([0x81, 0x83, 0, 0xf9, 0x3c, 0, 10])),
  refused('records', 'true', () => craftRows([0x81, 0x83, 0, 0xf5, 10])),
  refused(
    'records',
    'two rows in one tick',
    () => craftRows([0x82, 0x83, 0, 10, 10, 0x83, 0, 10, 10], { count: 2 }),
    /byte/,
  ),
  refused('records', 'more rows than counted', () =>
    craftRows([0x81, 0x83, 0, 1, 1], { count: 2 }),
  ),
  refused('records', 'a count of 2^53 − 1', () =>
    craftRows([0x81, 0x83, 0, 1, 1], { count: Number.MAX_SAFE_INTEGER }),
  ),
  refused('records', 'rows that end elsewhere', () => craftRows([...oneRow], { span: 1000 })),
  refused('records', 'a span of half a tick', () => craftRows([...oneRow], { span: 500 })),
  refused('records', 'bytes after the rows', () => craftRows([...oneRow, 0])),
  refused('records', 'rows cut off', () => craftRows([0x81, 0x83, 0, 10])),
  refused('records', 'no rows', () => craftRows([0x80])),
  refused('fields', 'a field too many', async () => {
    const batch = await signSteps({
      network: net.id,
      schema: wide,
      seq: 1,
      signer: walker,
      start: start + hourMs,
    })
    return batch.bytes
  }),
  refused('fields', 'a field too few', () => craftRows([0x81, 0x82, 0, 10])),
  refused(
    'schema',
    'an unknown schema',
    () => craft({ header: { schema: 2 } }),
    /^Schema 2 is not known here\.$/,
  ),
  refused(
    'too-large',
    'more rows than the network allows',
    async () => {
      const steps = Array.from({ length: 800 }, (_, i) => i % 900)
      const from = start - 24 * hourMs
      return (await signSteps({ network: net.id, seq: 1, signer: walker, start: from, steps }))
        .bytes
    },
    /^\d{4} bytes; at most 4096\.$/,
  ),
  refused(
    'too-large',
    'more rows than any network allows',
    () => craft({ recordsItem: byteString(new Uint8Array(65_536)) }),
    /65535 bytes/,
  ),
  refused(
    'too-large',
    'a header of 116 bytes',
    () => craft({ payloadItem: byteString(new Uint8Array(116)) }),
    /115 bytes/,
  ),
  refused(
    'too-large',
    'a protected header of 27 bytes',
    () => craft({ protectedItem: byteString(new Uint8Array(27)) }),
    /26 bytes/,
  ),

  refused(
    'future',
    'the future',
    async () => (await at(net.now() + 1000)).bytes,
    /^It ends 121000 ms after the node's clock\.$/,
  ),
  refused('future', 'a span into the future', async () => {
    const start = net.now()
    const records = concatBytes(hex('828300010183'), uint(3_600_000), hex('0101'))
    return craft({
      header: { count: 2, recordsHash: sha256(records), span: 3_600_000_000, start },
      signedRecords: records,
    })
  }),
  refused(
    'too-old',
    'before the retention period',
    async () => (await at(net.now() - retentionMs - 1000)).bytes,
    /^Retention is 2592000000 ms\.$/,
  ),
  refused('too-old', '1970', async () => (await at(0)).bytes),

  refused('unknown-device', 'an unregistered key', () => craft({ signer: stranger })),
  refused('suspended', 'a suspended device', async () => {
    const { id: network } = net
    const start = net.now() - 300_000
    return (await signSteps({ network, seq: 0, signer: suspect, start })).bytes
  }),
  refused('signature', 'a batch for another network', async () => {
    const network = sha256(net.id)
    return (await signSteps({ network, seq: 1, signer: walker, start: start + hourMs })).bytes
  }),
  refused('signature', 'a batch for no network', async () => {
    const network = new Uint8Array(32)
    return (await signSteps({ network, seq: 1, signer: walker, start: start + hourMs })).bytes
  }),
  refused('signature', 'the kid of another device', () =>
    craft({ signedProtected: encodeProtected('ES256', kid(other)) }),
  ),
  refused('signature', 'a signature of another batch', () =>
    craft({ signature: accepted.signature }),
  ),
  refused('signature', 'r and s of 0', () => craft({ signature: new Uint8Array(64) })),
  refused('signature', 'r and s of 2^256 − 1', () =>
    craft({ signature: new Uint8Array(64).fill(255) }),
  ),
  refused('signature', 's + n', async () => {
    // 2^256 − n is small, so this is no 32-byte number for most s: r and s swapped instead.
    const { signature } = decodeBatch(await craft())
    return craft({ signature: concatBytes(signature.subarray(32), signature.subarray(0, 32)) })
  }),
  ...(['ES256', 'ES256K'] as const).flatMap((algorithm) => {
    const signer = algorithm === 'ES256' ? walker : koblitz
    const forge = async () => {
      const { signature } = decodeBatch(await craft({ signer }))
      const forged = signature.slice()
      forged[40]! ^= 1
      return forged
    }
    return [
      refused('signature', `a forged ${algorithm} signature`, async () =>
        craft({ signature: await forge(), signer }),
      ),
      refused('signature', `a forged ${algorithm} signature, its other s`, async () =>
        craft({ signature: flipSignature(await forge(), algorithm), signer }),
      ),
    ]
  }),
  refused(
    'key',
    'ES256K in the header of a P-256 key',
    () => craft({ signedProtected: encodeProtected('ES256K', kid(walker)) }),
    /^It signs with ES256\.$/,
  ),
  refused(
    'key',
    'ES256 in the header of a secp256k1 key',
    () => craft({ signedProtected: encodeProtected('ES256', kid(koblitz)), signer: koblitz }),
    /^It signs with ES256K\.$/,
  ),
]

function refused(reason: Reason, name: string, make: Case['make'], detail?: RegExp): Case {
  return { name, reason, make, ...(detail ? { detail } : {}) }
}

function nonCanonical(name: string, change: Change | (() => Promise<Change>)): Case {
  return refused(
    'not-canonical',
    name,
    async () => craft(typeof change === 'function' ? await change() : change),
    /^Not a canonical batch: expected .* at byte \d+\.$|^Malformed/,
  )
}

/** A genuine batch of three minutes from some time on. */
function at(time: number) {
  return signSteps({ network: net.id, seq: 1, signer: walker, start: time })
}

describe('what is refused', () => {
  let before: Awaited<ReturnType<typeof readCounts>>
  beforeEach(async () => {
    before = await readCounts()
  })
  afterEach(async () => {
    expect(await readCounts()).toEqual(before)
  })

  test.each(cases)('error: $reason: $name', async ({ detail, make, reason }) => {
    const response = await post(await make())
    await expectProblem(response, reason, detail)
  })

  test('error: every one of them in its place in a sequence', async () => {
    const bodies: { bytes: Uint8Array; reason: Reason | undefined }[] = []
    for (const { make, name, reason } of cases) {
      const bytes = await make()
      // Where an item ends can only be told of CBOR of definite lengths.
      if (/indefinite/.test(name) || !isOneItem(bytes)) continue
      bodies.push({ bytes, reason }, { bytes: accepted.bytes, reason: undefined })
    }
    expect(bodies.length).toBeGreaterThan(120)
    const response = await post(
      concatBytes(...bodies.map(({ bytes }) => bytes)),
      'application/cbor-seq',
    )
    expect(response.status).toBe(200)
    const answers = decodeSequence(await response.bytes())
    expect(answers).toHaveLength(bodies.length)
    for (const [i, { reason }] of bodies.entries())
      if (reason) expect(answers[i]).toMatchObject(problemOf(reason))
      else expect(equalBytes(answers[i] as Uint8Array, receipt)).toBe(true)
  })

  test('error: every beginning of a batch', async () => {
    for (let length = 1; length < accepted.bytes.length; length++)
      await expectProblem(await post(accepted.bytes.subarray(0, length)), 'truncated')
  })

  test('error: every byte of a batch changed', async () => {
    const reasons = new Set<string>()
    for (let i = 0; i < accepted.bytes.length; i++) {
      const bytes = accepted.bytes.slice()
      bytes[i]! ^= 1 << (i % 8)
      const response = await post(bytes)
      const { type } = (await response.json()) as { type: string }
      const reason = type.split('/').at(-1) as Reason
      expect(problems[reason]?.[0]).toBe(response.status)
      expect(reason).not.toBe('equivocation')
      reasons.add(reason)
    }
    expect([...reasons].sort()).toEqual(
      expect.arrayContaining(['not-canonical', 'records-hash', 'signature', 'unknown-device']),
    )
  })

  test('error: bytes after a batch', async () => {
    const more = async (...bytes: number[]) =>
      post(concatBytes(accepted.bytes, Uint8Array.from(bytes)))
    for (const bytes of [[0], [0xff], accepted.bytes, [...accepted.bytes, ...accepted.bytes]])
      await expectProblem(await more(...bytes), 'body', /^There are bytes after the batch;/)
  })

  test('error: a sequence that stops being one', async () => {
    const body = concatBytes(accepted.bytes, accepted.bytes.subarray(0, 50))
    await expectProblem(await post(body, 'application/cbor-seq'), 'body', /^Item 1 /)
  })

  test('error: no body, a large body, a sequence too long', async () => {
    await expectProblem(await post(new Uint8Array()), 'body', /empty/)
    await expectProblem(await post(new Uint8Array(9 * 2 ** 20)), 'body-too-large', /8388608/)
    await expectProblem(
      await post(new Uint8Array(1001), 'application/cbor-seq'),
      'body-too-large',
      /1000 batches/,
    )
  })

  test('error: a body that is larger than it may be, and does not say so', async () => {
    const response = await new Promise<{ status: number; text: string }>((resolve, reject) => {
      const { hostname, port } = new URL(net.url)
      const request = httpRequest({
        headers: { 'content-type': 'application/cose', 'transfer-encoding': 'chunked' },
        hostname,
        method: 'POST',
        path: `/networks/${net.network.id}/batches`,
        port,
      })
      let answered = false
      request.on('response', (response) => {
        answered = true
        let text = ''
        response.setEncoding('utf8').on('data', (chunk) => {
          text += chunk
        })
        response.on('end', () => resolve({ status: response.statusCode!, text }))
      })
      request.on('error', (error) => answered || reject(error))
      const chunk = Buffer.alloc(2 ** 20)
      const send = (left: number) => {
        if (left === 0 || answered) return request.end()
        request.write(chunk, () => setImmediate(send, left - 1))
      }
      send(10)
    })
    expect(response.status).toBe(413)
    expect(JSON.parse(response.text)).toMatchObject(problemOf('body-too-large'))
  })

  test('error: media types and encodings', async () => {
    for (const type of ['', 'application/json', 'application/cbor', 'text/plain', 'a/b;c'])
      await expectProblem(await post(accepted.bytes, type), 'media-type')
    await expectProblem(
      await post(accepted.bytes, 'application/cose', { 'content-encoding': 'gzip' }),
      'encoding',
    )
  })

  test('error: networks, paths and methods', async () => {
    const batches = (id: string) =>
      fetch(`${net.url}/networks/${id}/batches`, {
        body: accepted.bytes as Uint8Array<ArrayBuffer>,
        headers: { 'content-type': 'application/cose' },
        method: 'POST',
      })
    for (const id of ['0x', 'null', '__proto__', toHex(sha256(net.id)), '%00', 'x'.repeat(5000)])
      await expectProblem(await batches(id), 'unknown-network', /^There is no ".*"\.$/)
    await expectProblem(await batches('%ff'), 'parameter', /percent-encoded/)
    await expectProblem(await fetch(`${net.url}/networks/`), 'unknown-network')
    await expectProblem(await fetch(`${net.url}/nothing`), 'not-found')
    const path = `${net.url}/networks/${net.network.id}/batches`
    const response = await fetch(path, { method: 'DELETE' })
    expect(response.headers.get('allow')).toBe('POST, OPTIONS')
    await expectProblem(response, 'method')
  })

  test.each([
    ['devices/0x12', /neither a DID nor an address/],
    ['devices/did:io:0x', /neither a DID nor an address/],
    ['log/entries?from=-1', /^from: "-1" is no integer/],
    ['log/entries?to=99', /not in 0 … 2/],
    ['log/entries?from=2&to=1', /not in 2 … 2/],
    ['log/batches/1e3', /no integer/],
    ['log/inclusion', /index is missing/],
    ['log/inclusion?index=2', /not in 0 … 1/],
    ['log/inclusion?index=0&size=0', /not in 1 … 2/],
    ['log/consistency?to=1', /from is missing/],
    ['log/consistency?from=2&to=1', /not in 0 … 1/],
    ['log/checkpoints?limit=0', /not in 1 … 10000/],
    ['log/checkpoint?size=9007199254740993', /no integer/],
    ['log/checkpoint?siez=1', /^There is no parameter "siez"\.$/],
    ['log/checkpoint?constructor=1', /^There is no parameter "constructor"\.$/],
    ['log/checkpoint?__proto__=1', /^There is no parameter "__proto__"\.$/],
    ['epochs/yesterday', /is no window/],
    ['epochs/2024-13-01', /is no window/],
    ['epochs?from=', /is no window/],
  ])('error: parameter: %s', async (path, detail) => {
    await expectProblem(
      await fetch(`${net.url}/networks/${net.network.id}/${path}`),
      'parameter',
      detail,
    )
  })

  test.each([
    `devices/${toHex(kid(stranger))}`,
    'log/batches/2',
    'log/checkpoint?size=3',
    'epochs/20000',
    'epochs/9999999999',
    'epochs/20000/bundle',
    `epochs/20000/claims/${toHex(kid(walker))}`,
  ])('error: not-found: %s', async (path) => {
    await expectProblem(
      await fetch(`${net.url}/networks/${net.network.id}/${path}`),
      'not-found',
      /./,
    )
  })

  test('behavior: a replay gets the first receipt again, alone and in a sequence', async () => {
    for (let i = 0; i < 3; i++) {
      expect(equalBytes(await accept(accepted.bytes), receipt)).toBe(true)
      // Whatever else was asked in between.
      const list = await fetch(`${net.url}/networks/${net.network.id}/log/checkpoints`)
      expect(decodeSequence(new Uint8Array(await list.arrayBuffer()))).toHaveLength(2)
    }
    const first = await accept(acceptedKoblitz.bytes)
    expect(equalBytes(first, receiptKoblitz)).toBe(true)
    const response = await post(
      concatBytes(...Array(50).fill(accepted.bytes)),
      'application/cbor-seq',
    )
    const answers = decodeSequence(await response.bytes())
    expect(answers).toHaveLength(50)
    for (const answer of answers) expect(equalBytes(answer as Uint8Array, receipt)).toBe(true)
  })
})

test('behavior: a genuine signature is good in both forms of s, and counts once', async () => {
  let { size } = await readCounts()
  for (const [signer, seq] of [
    [walker, 10],
    [koblitz, 10],
    [walker, 11],
    [koblitz, 11],
  ] as const) {
    const low = await craft({ header: { start: start + seq * hourMs }, seq, signer }).then(
      decodeBatch,
    )
    const high = craftBatch({ ...low, signature: flipSignature(low.signature, signer.algorithm) })
    const [first, second] = seq === 10 ? [low.bytes, high] : [high, low.bytes]
    await net.setTime(Math.max(net.now(), start + (seq + 1) * hourMs))
    const receipt = await accept(first)
    expect(equalBytes(await accept(second), receipt)).toBe(true)
    expect((await readCounts()).size).toBe(++size)
  }
  expect(await readEvidence(walker)).toEqual([])
})

test('error: equivocation: the second batch of a seq is refused, and kept as evidence', async () => {
  const before = await readCounts()
  const forgery = await signSteps({
    network: net.id,
    seq: 0,
    signer: walker,
    start,
    steps: [900, 900, 900],
  })
  for (let i = 0; i < 2; i++)
    await expectProblem(
      await post(forgery.bytes),
      'equivocation',
      /^Seq 0 is entry 0 of the log\.$/,
    )
  const [evidence, ...more] = await readEvidence(walker)
  expect(more).toEqual([])
  expect(evidence).toMatchObject({
    seq: 0,
    logged: { index: 0, batch: toHex(accepted.bytes) },
    other: { batch: toHex(forgery.bytes) },
  })
  expect(await readCounts()).toEqual(before)
})

test('error: equivocation: two of one seq at once, one is in the log and one is evidence', async () => {
  const { size } = await readCounts()
  const both = await Promise.all(
    [100, 200].map((steps) =>
      signSteps({ network: net.id, seq: 12, signer: other, start, steps: [steps] }),
    ),
  )
  const response = await post(
    concatBytes(...both.map(({ bytes }) => bytes)),
    'application/cbor-seq',
  )
  const answers = decodeSequence(await response.bytes())
  expect(answers[0]).toBeInstanceOf(Uint8Array)
  expect(answers[1]).toMatchObject(problemOf('equivocation'))
  expect((await readCounts()).size).toBe(size + 1)
  expect(await readEvidence(other)).toMatchObject([
    { logged: { batch: toHex(both[0]!.bytes) }, other: { batch: toHex(both[1]!.bytes) } },
  ])
})

test('behavior: what was refused has come to nothing', async () => {
  await net.setTime(startTime + windowMs + graceMs)
  const [epoch] = await net.node.settle()
  const response = await fetch(`${net.url}/networks/${net.network.id}/epochs/${firstWindow}/ledger`)
  const { entries } = (await response.json()) as {
    entries: { device: string; value: string; steps: number }[]
  }
  expect(entries.map(({ steps, value }) => ({ steps, value }))).toEqual([
    // 600 in the first batch, then twice three times 900.
    { steps: 3, value: '6000' },
    { steps: 1, value: '100' },
    { steps: 3, value: '5550' },
  ])
  expect(epoch?.ledgerTotal).toBe(11_650n)
})

/** All that would show that something was counted. */
async function readCounts() {
  const at = `${net.url}/networks/${net.network.id}`
  const { members: _, ...network } = await readJson<{ members: number; size: number }>(at)
  const metrics = await (await fetch(`${net.url}/metrics`)).text()
  const devices = []
  for (const { publicKey } of members) {
    const device = `${at}/devices/${toHex(publicKeyToAddress(publicKey))}`
    const { evidence: __, ...state } = await readJson<{ evidence: number }>(device)
    devices.push(state, await readJson(`${device}/records`), await readJson(`${device}/claims`))
  }
  return {
    size: network.size,
    devices,
    epochs: await readJson(`${at}/epochs`),
    metrics: metrics.match(
      /^machinefi_(batches_accepted|batches_late|log_size|commits_total).*$/gm,
    ),
    healthy: (await readJson<{ ok: boolean }>(`${net.url}/health`)).ok,
  }
}

async function readEvidence(signer: typeof walker) {
  const device = toHex(publicKeyToAddress(signer.publicKey))
  const url = `${net.url}/networks/${net.network.id}/devices/${device}/evidence`
  return (await readJson<{ evidence: unknown[] }>(url)).evidence
}

async function readJson<value>(url: string): Promise<value> {
  const response = await fetch(url)
  expect(response.status).toBe(200)
  return (await response.json()) as value
}

async function post(
  body: Uint8Array,
  type = 'application/cose',
  headers: Record<string, string> = {},
) {
  const response = await fetch(`${net.url}/networks/${net.network.id}/batches`, {
    body: body as Uint8Array<ArrayBuffer>,
    headers: { 'content-type': type, ...headers },
    method: 'POST',
  })
  return Object.assign(response, {
    bytes: async () => new Uint8Array(await response.arrayBuffer()),
  })
}

/** Posts a batch that is taken; resolves to its receipt. */
async function accept(body: Uint8Array): Promise<Uint8Array> {
  const response = await post(body)
  if (response.status !== 200) throw new Error(await response.text())
  expect(response.headers.get('content-type')).toBe('application/cose')
  return response.bytes()
}

function problemOf(reason: Reason) {
  const [status, title] = problems[reason]
  return { status, title, type: `https://machinefi.dev/problems/${reason}` }
}

async function expectProblem(response: Response, reason: Reason, detail?: RegExp) {
  const problem = (await response.json()) as { detail?: string }
  expect(problem).toMatchObject(problemOf(reason))
  expect(response.status).toBe(problems[reason][0])
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  if (detail) expect(problem.detail).toMatch(detail)
}

function decodeSequence(bytes: Uint8Array): unknown[] {
  const items = new Decoder({ mapsAsObjects: true, useRecords: false }).decodeMultiple(bytes)
  return items as unknown[]
}

function isOneItem(bytes: Uint8Array): boolean {
  try {
    return decodeSequence(bytes).length === 1
  } catch {
    return false
  }
}
