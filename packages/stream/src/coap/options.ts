import type { ParsedPacket } from 'coap-packet'

/** A Block1 or Block2 option (RFC 7959 §2.2): `size` is 16 to 1,024 bytes. */
export type Block = { more: boolean; number: number; size: number }

/** What a request asks for, as far as this server understands it. */
export type CoapRequest = {
  block1: Block | undefined
  block2: Block | undefined
  /** Content-Format; undefined where the request does not say. */
  format: number | undefined
  path: readonly string[]
  query: string
  /** Request-Tag (RFC 9175), hex. */
  tag: string
}

/** @returns the request, or undefined if a critical option is unknown or malformed (RFC 7252 §5.4.1). */
export function decodeRequest({ options }: ParsedPacket): CoapRequest | undefined {
  const path: string[] = []
  const query: string[] = []
  const request: CoapRequest = {
    block1: undefined,
    block2: undefined,
    format: undefined,
    path,
    query: '',
    tag: '',
  }
  for (const { name, value } of options) {
    if (name === 'Uri-Path') path.push(value.toString())
    else if (name === 'Uri-Query') query.push(value.toString())
    else if (name === 'Content-Format') request.format = decodeInteger(value)
    else if (name === 'Block1' || name === 'Block2') {
      const block = decodeBlock(value)
      if (block === undefined) return undefined
      request[name === 'Block1' ? 'block1' : 'block2'] = block
    } else if (`${name}` === requestTag) request.tag = value.toString('hex')
    else if (!harmless.has(`${name}`) && isCritical(`${name}`)) return undefined
  }
  request.query = query.join('&')
  return request
}

export function encodeBlock({ more, number, size }: Block): Buffer {
  return encodeInteger(number * 16 + (more ? 8 : 0) + Math.log2(size) - 4)
}

/** An unsigned integer in as few bytes as possible, none for 0 (RFC 7252 §3.2). */
export function encodeInteger(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Buffer.from(bytes)
}

function decodeBlock(value: Buffer): Block | undefined {
  if (value.length > 3) return undefined
  const integer = decodeInteger(value)
  const exponent = integer & 7
  // 7 is for TCP (RFC 8323).
  if (exponent === 7) return undefined
  return { more: (integer & 8) !== 0, number: integer >> 4, size: 16 << exponent }
}

function decodeInteger(value: Buffer): number {
  return value.length === 0 ? 0 : value.readUIntBE(0, Math.min(value.length, 6))
}

/** coap-packet has names for common options and numbers for the rest: the odd ones are critical. */
function isCritical(name: string): boolean {
  return critical.has(name) || Number(name) % 2 === 1
}

const requestTag = '292'
/** Where the request was sent is known already; what is accepted is what there is. */
const harmless = new Set(['Uri-Host', 'Uri-Port', 'Accept'])
const critical = new Set([
  'If-Match',
  'If-None-Match',
  'OSCORE',
  'Proxy-Scheme',
  'Proxy-Uri',
  'Q-Block1',
  'Q-Block2',
])
