import { concatBytes } from '@machinefi/core'
import type { Random } from './createRandom.js'

/** One thing that is done to a node. */
export type Input =
  | {
      type: 'request'
      method: string
      path: string
      fields: Record<string, string>
      body: Uint8Array | undefined
    }
  /** Bytes on a connection of their own. */
  | {
      type: 'raw'
      bytes: Uint8Array
      /** Who ends the connection: the node, after its answer, or the client, at once. */
      end: 'node' | 'client'
    }

/** What inputs are made of. */
export type Material = {
  /** Batches that change nothing when they are sent: in the log already, or refused. */
  batches: readonly Uint8Array[]
  /** Operations of the node's own OpenAPI document. */
  operations: readonly { method: string; path: string; query: readonly string[] }[]
  /** Values for the variables of paths, by name, that exist. */
  values: Readonly<Record<string, readonly string[]>>
}

/** An input that changes nothing, whatever it is. */
export function createInput(random: Random, material: Material): Input {
  const kind = random.below(100)
  if (kind < 40) return createIngest(random, material)
  if (kind < 75) return createCall(random, material)
  if (kind < 87) return createStray(random, material)
  return createRaw(random, material)
}

/** A body for the operation that takes batches. */
function createIngest(random: Random, material: Material): Input {
  const sequence = random.oneIn(3)
  const body = sequence ? createSequence(random, material) : createBody(random, material)
  const type = random.oneIn(20)
    ? random.of(['', 'application/json', 'application/cbor', 'application/cose; x=y', 'a', '*/*'])
    : random.oneIn(8) !== sequence
      ? 'application/cbor-seq'
      : 'application/cose'
  const network = fill('{network}', random, material, 40)
  return {
    type: 'request',
    method: 'POST',
    path: `/networks/${network}/batches`,
    fields: { 'content-type': type, ...createFields(random, 10) },
    body,
  }
}

/** An operation that there is, with parameters good and bad, by another method now and then. */
function createCall(random: Random, material: Material): Input {
  const { method, path, query } = random.of(material.operations)
  const pairs: string[] = []
  for (const name of query) if (random.oneIn(2)) pairs.push(`${name}=${createValue(random)}`)
  while (random.oneIn(6)) pairs.push(`${random.of(names)}=${createValue(random)}`)
  const isPost = method === 'POST'
  return {
    type: 'request',
    method: random.oneIn(10) ? random.of(methods) : method,
    path: fill(path, random, material, 4) + (pairs.length > 0 ? `?${pairs.join('&')}` : ''),
    fields: {
      ...(isPost ? { 'content-type': 'application/cose' } : {}),
      ...createFields(random, 5),
    },
    body: isPost || random.oneIn(20) ? createBody(random, material) : undefined,
  }
}

/** A path that is none, or one that was. */
function createStray(random: Random, material: Material): Input {
  const { path } = random.of(material.operations)
  const whole = fill(path, random, material, 3)
  const at = random.below(whole.length)
  const stray = random.of([
    `/${random.text(random.below(40), printable)}`,
    whole.slice(0, at) + random.text(1 + random.below(5), printable) + whole.slice(at + 1),
    whole.slice(0, at) || '/',
    `${whole}/${random.text(random.below(9), printable)}`,
    `/${whole}`,
    whole.replaceAll('/', '//'),
    `/${'/..'.repeat(random.below(50))}/etc/passwd`,
    `/${'a/'.repeat(random.below(3000))}`,
    `${whole}?${random.text(random.below(4000), printable)}`,
    whole.toUpperCase(),
  ])
  return {
    type: 'request',
    method: random.of(methods),
    path: stray,
    fields: createFields(random, 3),
    body: random.oneIn(4) ? random.bytes(random.below(300)) : undefined,
  }
}

/** What no HTTP client would send. */
function createRaw(random: Random, material: Material): Input {
  const { method, path, query } = random.of(material.operations)
  const target = fill(path, random, material, 4)
  const body = createBody(random, material).subarray(0, 2000)
  const start = (fields: readonly string[], verb = method, version = 'HTTP/1.1') =>
    Buffer.from(
      `${verb} ${target}${query.length > 0 && random.oneIn(4) ? `?${query[0]}=0` : ''} ${version}\r\n${[
        'host: node',
        'content-type: application/cose',
        ...fields,
      ]
        .map((field) => `${field}\r\n`)
        .join('')}\r\n`,
      'latin1',
    )
  const length = `content-length: ${body.length}`
  /** Whatever came before, this is no request: the node ends the connection. */
  const garbage = Buffer.from('\0\0\0\0\r\n\r\n')
  const node = (...parts: Uint8Array[]): Input => ({
    type: 'raw',
    bytes: concatBytes(...parts),
    end: 'node',
  })
  const client = (...parts: Uint8Array[]): Input => ({
    type: 'raw',
    bytes: concatBytes(...parts),
    end: 'client',
  })
  switch (random.below(12)) {
    case 0:
      return node(random.bytes(1 + random.below(200)), garbage)
    case 1: {
      // A head that was good.
      const head = Uint8Array.from(start([]))
      for (let i = random.below(4); i >= 0; i--) head[random.below(head.length)] = random.below(256)
      return node(head, garbage, garbage)
    }
    case 2:
      // Lengths that are none, or contradict each other.
      return node(
        start([
          random.of([
            'content-length: -1',
            'content-length: 1e3',
            'content-length: 0x10',
            'content-length: 1, 2',
            'content-length: 99999999999999999999999',
            `content-length: ${body.length}\r\ncontent-length: ${body.length + 1}`,
            `transfer-encoding: chunked\r\n${length}`,
            `${length}\r\ntransfer-encoding: chunked`,
            'transfer-encoding: gzip',
            'transfer-encoding: chunked, identity',
          ]),
        ]),
        body,
        garbage,
      )
    case 3:
      // Chunks that are none.
      return node(
        start(['transfer-encoding: chunked']),
        Buffer.from(
          random.of([
            'zz\r\n',
            '-1\r\n',
            'fffffffffffffffff\r\n',
            '5;x\r\nabcdeX',
            '\r\n',
            '1\nab',
          ]),
        ),
        garbage,
      )
    case 4:
      // A length that is never reached: the client hangs up, or waits.
      return (random.oneIn(10) ? node : client)(
        Buffer.from(
          `POST /networks/${material.values.network![0]}/batches HTTP/1.1\r\nhost: node\r\ncontent-type: application/cose\r\ncontent-length: ${
            body.length + 1 + random.below(random.of([10, 1e6, 8e6]))
          }\r\n\r\n`,
        ),
        body,
      )
    case 5:
      // A length that is too large by itself.
      return node(
        start([`content-length: ${random.of([8_388_609, 2 ** 31, 2 ** 32, 2 ** 53 - 1])}`], 'POST'),
        body,
        // Unless the path is not one that reads a body, or reads on after it.
      )
    case 6:
      return client(start([]).subarray(0, 1 + random.below(80)))
    case 7: {
      // Good requests in a row, then none.
      const parts: Uint8Array[] = []
      for (let i = random.below(6); i >= 0; i--) parts.push(start([length]), body)
      return node(...parts, random.bytes(1 + random.below(50)), garbage, garbage)
    }
    case 8:
      return node(
        start(
          random.of([
            [`x: ${'y'.repeat(17_000)}`],
            Array.from({ length: 3000 }, (_, i) => `h${i}: v`),
            [`cookie: ${random.text(100, printable)}`, 'expect: 100-continue', 'connection: close'],
            ['expect: nothing', 'connection: close'],
            ['upgrade: h2c', 'connection: upgrade, http2-settings, close'],
            ['upgrade: websocket', 'connection: upgrade'],
          ]),
          'GET',
        ),
        garbage,
      )
    case 9:
      return node(
        start([], random.of(['CONNECT', 'GET', 'BREW', 'get', 'PRI', 'G\0T']), 'HTTP/9.9'),
        garbage,
      )
    case 10:
      return node(start([], 'GET', random.of(['HTTP/1.0', 'HTTP/0.9', 'HTTP/1.2', 'ICY'])), garbage)
    default:
      // Chunks that are good, and a body that is not.
      return node(
        start(['transfer-encoding: chunked', 'connection: close']),
        Buffer.from(`${body.length.toString(16)}\r\n`),
        body.length === 0 ? Uint8Array.of() : body,
        Buffer.from(body.length === 0 ? '\r\n' : '\r\n0\r\n\r\n'),
        garbage,
      )
  }
}

function createSequence(random: Random, material: Material): Uint8Array {
  const items = Array.from({ length: random.below(12) }, () =>
    random.oneIn(3) ? random.of(material.batches) : createBody(random, material),
  )
  const all = concatBytes(...items)
  return random.oneIn(4) ? mutate(random, all, material) : all
}

/** Something in place of a batch. */
function createBody(random: Random, material: Material): Uint8Array {
  const kind = random.below(40)
  if (kind < 26) return mutate(random, random.of(material.batches), material)
  if (kind < 29) return random.of(material.batches)
  if (kind < 32) return random.bytes(random.below(400))
  switch (kind) {
    case 32:
      return Uint8Array.of()
    case 33:
      // Nesting, deeper than any stack.
      return new Uint8Array(random.below(100_000)).fill(random.of([0x81, 0x82, 0xc0, 0xa1, 0x9f]))
    case 34:
      // A length that nobody could hold.
      return concatBytes(
        Uint8Array.of(random.of([0x5b, 0x7b, 0x9b, 0xbb])),
        random.bytes(8),
        random.bytes(random.below(50)),
      )
    case 35:
      return new Uint8Array(random.below(3000)).fill(random.of([0, 0x20, 0xf6, 0x80]))
    case 36:
      return Buffer.from(JSON.stringify({ steps: random.below(1000), a: [[[[[{}]]]]] }))
    case 37:
      // Larger than any body may be, though seldom.
      return random.oneIn(100) ? new Uint8Array(8_388_609) : random.bytes(random.below(5000))
    case 38:
      return concatBytes(random.of(material.batches), random.bytes(1 + random.below(5)))
    default:
      return concatBytes(
        Uint8Array.of(0x82, 0x84),
        ...Array.from({ length: random.below(20) }, () => randomItem(random)),
      )
  }
}

function mutate(random: Random, bytes: Uint8Array, { batches }: Material): Uint8Array {
  let result: Uint8Array = bytes.slice()
  for (let i = random.below(3); i >= 0; i--) {
    const at = random.below(result.length + 1)
    const to = Math.min(result.length, at + 1 + random.below(random.of([2, 8, 100])))
    switch (random.below(8)) {
      case 0:
      case 1:
        if (at < result.length) result[at]! ^= 1 << random.below(8)
        break
      case 2:
        if (at < result.length) result[at] = random.of(heads)
        break
      case 3:
        result = result.slice(0, at)
        break
      case 4:
        result = concatBytes(result.subarray(0, at), result.subarray(to))
        break
      case 5:
        result = concatBytes(
          result.subarray(0, at),
          random.oneIn(2) ? randomItem(random) : random.bytes(1 + random.below(8)),
          result.subarray(at),
        )
        break
      case 6:
        result = concatBytes(result.subarray(0, to), result.subarray(at))
        break
      default: {
        const other = random.of(batches)
        const from = Math.min(at, other.length)
        result = concatBytes(result.subarray(0, at), other.subarray(from))
      }
    }
  }
  return result
}

function randomItem(random: Random): Uint8Array {
  return concatBytes(Uint8Array.of(random.of(heads)), random.bytes(random.below(9)))
}

/** A template with its variables filled; one of `oneIn` by something that does not exist. */
function fill(template: string, random: Random, { values }: Material, oneIn: number): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) =>
    random.oneIn(oneIn) ? createValue(random) : random.of(values[name] ?? ['0']),
  )
}

function createValue(random: Random): string {
  return random.oneIn(3)
    ? encodeURIComponent(random.text(random.below(30), printable))
    : random.of(strange)
}

function createFields(random: Random, oneIn: number): Record<string, string> {
  const fields: Record<string, string> = {}
  while (random.oneIn(oneIn))
    fields[random.of(fieldNames)] = random.oneIn(2)
      ? random.text(random.below(50), printable)
      : random.of(['0', '-1', 'gzip', 'identity', '*', 'bytes=0-', 'close', 'null', ','])
  return fields
}

/** Heads that say much about what follows. */
const heads = [
  0x00, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1f, 0x20, 0x38, 0x3b, 0x40, 0x58, 0x59, 0x5a, 0x5b, 0x5f,
  0x60, 0x78, 0x80, 0x81, 0x82, 0x84, 0x88, 0x98, 0x9b, 0x9f, 0xa0, 0xa1, 0xb8, 0xbf, 0xc0, 0xd2,
  0xd8, 0xf4, 0xf6, 0xf7, 0xf8, 0xf9, 0xfb, 0xff,
]
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']
const names = ['from', 'to', 'limit', 'size', 'index', 'seq', '__proto__', 'constructor', '', 'a']
const fieldNames = [
  'accept',
  'accept-encoding',
  'content-encoding',
  'if-none-match',
  'origin',
  'range',
  'x-forwarded-for',
  'x-http-method-override',
  'authorization',
  'access-control-request-method',
]
const strange = [
  ...['', '0', '1', '2', '-1', '-0', '+1', '01', '1.5', '1e3', '0x10', 'NaN', 'Infinity', 'null'],
  ...['4294967295', '4294967296', '9007199254740991', '9007199254740992', '99999999999999999999'],
  ...[
    '20000',
    '20001',
    '2024-10-04',
    '2024-10-04T00:00',
    '2024-13-41',
    '275760-09-13',
    '0000-01-01',
  ],
  ...['9999-12-31', '1970-01-01', '-000001-01-01', 'today', '2024-10-04T99:99:99Z', '4e999'],
  ...['%00', '%', '%ff', '%2f', '%2e%2e', '..', '.', '%E2%82%AC', '%F0%9F%98%80', '%ED%A0%80'],
  ...['did:io:', 'did:io:0x', 'did:web:a', '0x', `0x${'0'.repeat(40)}`, `0x${'f'.repeat(64)}`],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'a'.repeat(300),
    "';DROP TABLE batches;--",
    '[object]',
  ],
].map((value) => value.replaceAll(/[ ']/g, encodeURIComponent))
const printable =
  'abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-._~!$&\'()*+,;=:@%/?[]{}|^`<>"\\'.replaceAll(' ', '')
