import { concatBytes, publicKeyToAddress, type Signer, sha256 } from '@machinefi/core'
import {
  type BatchReason,
  defineSchema,
  encodeHeader,
  encodeProtected,
  encodeRows,
  type Header,
  maxRecordsBytes,
} from '@machinefi/telemetry'
import {
  byteString,
  craftBatch,
  flipSignature,
  head,
  signParts,
  uint,
} from '../attacks/craftBatch.js'

/** The schema of all cases but those that say otherwise. */
export const schema = defineSchema({ id: 1, tickMs: 1000, fields: { steps: { unit: 'count' } } })

/** A batch that a genuine key signed, and what everybody has to make of it. */
export type CorpusCase = {
  readonly name: string
  /** Null where it is accepted. */
  readonly reason: BatchReason | null
  /** What a node answers where it has a rule of its own: it may refuse more than a contract, never less. */
  readonly nodeReason?: string
  readonly bytes: Uint8Array
  readonly signer: Signer
  /** As they were sent. */
  readonly parts: Parts
}

type Parts = craftBatch.Parts & { readonly network: Uint8Array }

/**
 * Batches of every kind that was ever thought of, by name; those that are accepted have a seq each.
 * What is wrong with the others is signed: a device may sign anything.
 *
 * @param options.start of the first batch, in ms; all end within three hours of it.
 */
export async function createCorpus(options: {
  network: Uint8Array
  signer: Signer
  /** With a secp256k1 key. */
  koblitz: Signer
  /** Of another device. */
  other: Signer
  start: number
}): Promise<CorpusCase[]> {
  const { network, other } = options
  const cases: CorpusCase[] = []
  let seq = 0
  let start = options.start

  /** Signs a batch that would be accepted, but for what is changed of it before or after. */
  async function add(name: string, reason: BatchReason | null, change: Change = {}) {
    const { signer = options.signer } = change
    const records = change.rows ? Uint8Array.from(change.rows) : encode([[0, 5]])
    const payload =
      change.payload ??
      encodeHeader({
        ...{ schema: schema.id, seq, start, span: 0, count: 1, commitment: null },
        recordsHash: sha256(records),
        ...change.header,
      })
    const signed = await signParts({
      ...{ network: change.network ?? network, payload, records, signer },
      ...(change.protected && { protected: change.protected }),
    })
    const parts = { ...signed, ...change.sent?.(signed), network: change.network ?? network }
    const { nodeReason } = change
    cases.push({
      ...{ name, reason, parts, signer, bytes: craftBatch(parts) },
      ...(nodeReason && { nodeReason }),
    })
    if (reason === null && nodeReason === undefined) {
      seq++
      start += 60_000
    }
  }

  /** Rows of (ticks, value), with their header. */
  function encode(rows: readonly (readonly [number, number | null])[]): Uint8Array {
    let time = start
    const timed = rows.map(([dt, value]) => {
      time += dt * schema.tickMs
      return { time, values: [value] }
    })
    return encodeRows(timed, { start, tickMs: schema.tickMs })
  }
  const rows = (items: readonly (readonly [number, number | null])[]): Change => ({
    rows: encode(items),
    header: {
      count: items.length,
      span: items.reduce((sum, [dt]) => sum + dt, 0) * schema.tickMs,
    },
  })
  /** A header, item by item, over the records of one row. */
  const header = (change: Record<number, Uint8Array>, count = 8): Change => {
    const items = [
      ...[uint(1), uint(schema.id), uint(seq), uint(start), uint(0), uint(1)],
      ...[byteString(sha256(encode([[0, 5]]))), hex('f6')],
    ]
    const changed = items.map((item, i) => change[i] ?? item).slice(0, count)
    return { payload: concatBytes(head(4, count), ...changed, ...(change[8] ? [change[8]] : [])) }
  }
  /** Whatever bytes in the place of records, under a header that describes them. */
  const records = (text: string, header: Partial<Header> = {}): Change => ({
    rows: hex(text),
    header,
  })

  // Accepted.
  await add('one row', null)
  await add(
    'three rows',
    null,
    rows([
      [0, 12],
      [60, 300],
      [60, 0],
    ]),
  )
  await add(
    'a first row after the start',
    null,
    rows([
      [3, 12],
      [1, 1],
    ]),
  )
  await add('a row without a value', null, rows([[0, null]]))
  await add(
    'the smallest and largest values',
    null,
    rows([
      [0, -most],
      [1, most],
    ]),
  )
  await add('values around the borders of the encoding', null, rows(borders))
  await add('23 rows', null, rows(count(23)))
  await add('24 rows', null, rows(count(24)))
  await add('256 rows', null, rows(count(256)))
  await add('a commitment', null, { header: { commitment: new Uint8Array(32).fill(3) } })
  await add('the other s', null, {
    sent: ({ signature }) => ({ signature: flipSignature(signature, 'ES256') }),
  })
  await add('secp256k1', null, { signer: options.koblitz })
  await add('secp256k1, the other s', null, {
    signer: options.koblitz,
    sent: ({ signature }) => ({ signature: flipSignature(signature, 'ES256K') }),
  })
  await add('65,535 bytes', null, largest(maxRecordsBytes))
  await add('a time up to 2^53 − 1', null, {
    ...rows([[0, 1]]),
    header: { start: most },
    nodeReason: 'future',
  })
  await add('a time of 0', null, { header: { start: 0 }, nodeReason: 'too-old' })
  await add('the largest seq', null, { header: { seq: most } })

  // Headers.
  await add('version 0', 'version', header({ 0: uint(0) }))
  await add('version 2', 'version', header({ 0: uint(2) }))
  for (const [i, name] of ['schema', 'seq', 'start', 'span', 'count'].entries()) {
    const at = i + 1
    await add(`${name} in a longer form`, 'not-canonical', header({ [at]: uint(5, 1) }))
    await add(`${name} of 2^53`, 'header', header({ [at]: hex('1b0020000000000000') }))
    await add(`${name} of 2^64 − 1`, 'header', header({ [at]: hex('1bffffffffffffffff') }))
    await add(`${name} negative`, 'header', header({ [at]: hex('20') }))
    await add(`${name} null`, 'header', header({ [at]: hex('f6') }))
    await add(`${name} a float`, 'header', header({ [at]: hex('f93c00') }))
    await add(`${name} a bignum`, 'header', header({ [at]: hex('c24101') }))
    await add(`${name} text`, 'header', header({ [at]: hex('6131') }))
    await add(`${name} nested`, 'header', header({ [at]: hex('8101') }))
  }
  await add('a count of 0', 'header', header({ 5: uint(0) }))
  await add('an end of 2^53', 'header', header({ 3: uint(most), 4: uint(1) }))
  await add('start and span of 2^53 − 1', 'header', header({ 3: uint(most), 4: uint(most) }))
  await add('a hash of 31 bytes', 'header', header({ 6: byteString(new Uint8Array(31)) }))
  await add('a hash of 33 bytes', 'header', header({ 6: byteString(new Uint8Array(33)) }))
  await add(
    'a hash in a longer head',
    'not-canonical',
    header({ 6: byteString(new Uint8Array(32), 2) }),
  )
  await add('a hash that is null', 'header', header({ 6: hex('f6') }))
  await add('a commitment of 0 bytes', 'header', header({ 7: hex('40') }))
  await add('a commitment of 31 bytes', 'header', header({ 7: byteString(new Uint8Array(31)) }))
  await add('a commitment of 33 bytes', 'header', header({ 7: byteString(new Uint8Array(33)) }))
  await add('a commitment undefined', 'header', header({ 7: hex('f7') }))
  await add('a header of 7', 'header', header({}, 7))
  await add('a header of 9', 'header', {
    payload: concatBytes(hex('89'), header({}).payload!.subarray(1), hex('f6')),
  })
  await add('a header of indefinite length', 'header', {
    payload: concatBytes(hex('9f'), header({}).payload!.subarray(1), hex('ff')),
  })
  await add('a header in a longer head', 'header', {
    payload: concatBytes(hex('9808'), header({}).payload!.subarray(1)),
  })
  await add('a tagged header', 'header', {
    payload: concatBytes(hex('d8'), hex('18'), header({}).payload!),
  })
  await add('a byte after the header', 'header', header({ 8: uint(0) }))
  await add('a header cut off', 'header', { payload: header({}).payload!.slice(0, -1) })
  await add('no header', 'header', { payload: new Uint8Array(0) })

  // What names the device.
  const device = publicKeyToAddress(options.signer.publicKey)
  const named = (bytes: Uint8Array): Change => ({ protected: bytes })
  await add('EdDSA', 'algorithm', named(concatBytes(hex('a201270454'), device)))
  await add('alg in a longer form', 'algorithm', named(concatBytes(hex('a20138060454'), device)))
  await add(
    'kid before alg',
    'not-canonical',
    named(concatBytes(hex('a20454'), device, hex('0126'))),
  )
  await add(
    'a kid of 19 bytes',
    'not-canonical',
    named(concatBytes(hex('a201260453'), device.subarray(1))),
  )
  await add('no kid', 'not-canonical', named(hex('a10126')))
  await add('the kid of another device', 'key', {
    ...named(encodeProtected('ES256', publicKeyToAddress(other.publicKey))),
    nodeReason: 'signature',
  })
  await add('the other algorithm', 'signature', {
    ...named(encodeProtected('ES256K', device)),
    nodeReason: 'key',
  })

  // Records.
  const two = { count: 2, span: 1000 }
  const one = '81820005'
  await add('another schema', 'schema', { header: { schema: 2 } })
  await add('no rows', 'records', records('80'))
  await add('no bytes', 'records', records(''))
  await add('fewer rows than counted', 'records', records(one, { count: 2 }))
  await add(
    'more rows than counted',
    'records',
    records('82820005820105', { count: 1, span: 1000 }),
  )
  await add('a count of 2^53 − 1', 'records', records(one, { count: most }))
  await add(
    'rows that end before span',
    'records',
    records('82820005820105', { count: 2, span: 2000 }),
  )
  await add('rows that end after span', 'records', records('82820005820105', { count: 2, span: 0 }))
  await add('a span of half a tick', 'records', records('82820005820105', { count: 2, span: 1500 }))
  await add(
    'dt whose sum is beyond 2^53',
    'records',
    records('8382000582011b001fffffffffffff05', { count: 3 }),
  )
  await add(
    'dt × tick beyond 2^64',
    'records',
    records('82820005821b001fffffffffffff05', { count: 2, span: 0 }),
  )
  await add(
    'dt × tick that wraps around 2^64',
    'records',
    records('82820005821b004189374bc6a7f005', two),
  )
  await add('dt of 2^53', 'records', records('82820005821b002000000000000005', two))
  await add('dt of 0 after the first row', 'records', records('82820005820005', { count: 2 }))
  await add('dt negative', 'records', records('82820005822005', two))
  await add('dt null', 'records', records('8282000582f605', two))
  await add('dt of the first row null', 'records', records('8182f605'))
  await add('dt in a longer form', 'records', records('8282000582180105', two))
  await add('a value in a longer form', 'records', records('8182001805'))
  await add('a value in 8 bytes for 4', 'records', records('8182001b0000000080000000'))
  await add('a value of 2^53', 'records', records('8182001b0020000000000000'))
  await add('a value of −2^53', 'records', records('8182003b001fffffffffffff'))
  await add('a value of 2^64 − 1', 'records', records('8182001bffffffffffffffff'))
  await add('a float', 'records', records('818200f93c00'))
  await add('true', 'records', records('818200f5'))
  await add('undefined', 'records', records('818200f7'))
  await add('a tag', 'records', records('818200c105'))
  await add('text', 'records', records('8182006135'))
  await add('a nested array', 'records', records('8182008105'))
  await add('a row in a row', 'fields', records('8181820005'))
  await add('a field too many', 'fields', records('8183000506'))
  await add('a field too few', 'fields', records('818100'))
  await add('23 fields', 'fields', records(`819818${'00'.repeat(24)}`))
  await add('a row of 2^16 items', 'fields', records(`819a00010000${'00'.repeat(40)}`))
  await add('a row in a longer head', 'records', records('8198020005'))
  await add('a row of indefinite length', 'records', records('819f0005ff'))
  await add('a row that is a map', 'records', records('81a10005'))
  await add('rows in a longer head', 'records', records('9801820005'))
  await add('rows of indefinite length', 'records', records('9f820005ff'))
  await add('rows of reserved length', 'records', records('9c820005'))
  await add('a byte after the rows', 'records', records(`${one}00`))
  await add('a row after the rows', 'records', records(`${one}820105`))
  await add('rows cut off in an item', 'records', records('8182001903'))
  await add('rows cut off before an item', 'records', records('818200'))
  await add('a string of rows', 'records', records('4482000505'))
  await add('65,536 bytes', 'too-large', largest(maxRecordsBytes + 1))
  await add('records null', 'records-missing', { sent: () => ({ records: null }) })
  await add('other records', 'records-hash', { sent: () => ({ records: encode([[0, 6]]) }) })

  // Signatures.
  const forged = (sent: NonNullable<Change['sent']>, signer = options.signer): Change => ({
    sent,
    signer,
  })
  for (const signer of [options.signer, options.koblitz]) {
    const { algorithm } = signer
    await add(
      `${algorithm}: altered`,
      'signature',
      forged(({ signature }) => ({ signature: flip(signature) }), signer),
    )
    await add(
      `${algorithm}: altered, the other s`,
      'signature',
      forged(({ signature }) => ({ signature: flipSignature(flip(signature), algorithm) }), signer),
    )
    await add(
      `${algorithm}: zeros`,
      'signature',
      forged(() => ({ signature: new Uint8Array(64) }), signer),
    )
    await add(
      `${algorithm}: 2^256 − 1`,
      'signature',
      forged(() => ({ signature: new Uint8Array(64).fill(255) }), signer),
    )
    await add(
      `${algorithm}: r and s swapped`,
      'signature',
      forged(
        ({ signature }) => ({
          signature: concatBytes(signature.subarray(32), signature.subarray(0, 32)),
        }),
        signer,
      ),
    )
  }
  await add('signed for another network', 'signature', { network: sha256(network) })
  await add('signed for no network', 'signature', { network: new Uint8Array(32) })
  return cases.map((each) => ({ ...each, parts: { ...each.parts, network } }))

  /** Rows of so many bytes: 3 of their head, 11 of each with a value that needs 9, others to fill up. */
  function largest(bytes: number): Change {
    const most = Math.floor(bytes / 11) - 3
    const sizes = [...Array<number>(most).fill(11), ...fill(bytes - 3 - 11 * most)!]
    return rows(sizes.map((size, i) => [i === 0 ? 0 : 1, values.get(size)!] as const))
  }
}

/** The least value with which a row has so many bytes. */
const values = new Map([
  [11, 2 ** 32],
  [7, 65_536],
  [5, 256],
  [4, 24],
  [3, 5],
])

function fill(bytes: number): number[] | null {
  if (bytes === 0) return []
  for (const size of values.keys()) {
    const more = size <= bytes ? fill(bytes - size) : null
    if (more) return [size, ...more]
  }
  return null
}

/** What is changed of a batch before it is signed, and after. */
type Change = {
  header?: Partial<Header>
  network?: Uint8Array
  nodeReason?: string
  payload?: Uint8Array
  protected?: Uint8Array
  /** Bytes of the records. */
  rows?: Uint8Array
  sent?: (signed: craftBatch.Parts) => Partial<craftBatch.Parts>
  signer?: Signer
}

const most = Number.MAX_SAFE_INTEGER
const count = (n: number) => Array.from({ length: n }, (_, i) => [i === 0 ? 0 : 1, i] as const)
const borders = [0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32]
  .flatMap((value) => [value, -value - 1])
  .map((value, i) => [i === 0 ? 0 : 1, value] as const)

function flip(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice()
  copy[40]! ^= 1
  return copy
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'))
}
