import {
  type Algorithm,
  BaseError,
  normalizeSignature,
  type Signer,
  verifySignature,
} from '@machinefi/core'
import { decodeCbor, encodeCbor, MalformedCborError } from '../cbor/generic.js'

/** A COSE header: labels (RFC 9052 §3) to values. */
export type CoseHeader = ReadonlyMap<number | string, unknown>

/** A decoded COSE_Sign1 (RFC 9052 §4.2). */
export type Sign1 = {
  /** The protected header as signed: the content of its byte string. */
  readonly protected: Uint8Array
  readonly protectedHeader: CoseHeader
  readonly unprotectedHeader: CoseHeader
  /** Null if detached. */
  readonly payload: Uint8Array | null
  readonly signature: Uint8Array
}

/** Why a COSE_Sign1 does not verify. */
export type Sign1Reason = 'malformed' | 'tag' | 'algorithm' | 'critical' | 'payload' | 'signature'

/**
 * Decodes a COSE_Sign1 of any sender, tagged (18) or not. Unlike a batch it need not be in
 * deterministic encoding; labels must be unique, also between the two headers.
 *
 * @throws {MalformedSign1Error}
 */
export function decodeSign1(bytes: Uint8Array): Sign1 {
  let untagged = bytes
  if (bytes[0]! >> 5 === 6) {
    if (bytes[0] !== 0xd2) throw new MalformedSign1Error('its tag is not 18', 'tag')
    untagged = bytes.subarray(1)
  }
  const parts = decode(untagged)
  if (!Array.isArray(parts) || parts.length !== 4)
    throw new MalformedSign1Error('it is not an array of 4')
  const [protectedBytes, unprotectedHeader, payload, signature] = parts as unknown[]
  if (!(protectedBytes instanceof Uint8Array))
    throw new MalformedSign1Error('the protected header is not a byte string')
  const protectedHeader = protectedBytes.length === 0 ? new Map() : decode(protectedBytes)
  assertHeader(protectedHeader)
  assertHeader(unprotectedHeader)
  for (const label of unprotectedHeader.keys())
    if (protectedHeader.has(label)) throw new MalformedSign1Error('a label is in both headers')
  if (payload !== null && !(payload instanceof Uint8Array))
    throw new MalformedSign1Error('the payload is neither a byte string nor null')
  if (!(signature instanceof Uint8Array))
    throw new MalformedSign1Error('the signature is not a byte string')
  return { protected: protectedBytes, protectedHeader, unprotectedHeader, payload, signature }
}

/** Encodes a COSE_Sign1; `tagged` (18) by default. */
export function encodeSign1(
  sign1: Pick<Sign1, 'protected' | 'payload' | 'signature'> & { unprotectedHeader?: CoseHeader },
  options: { tagged?: boolean } = {},
): Uint8Array {
  const { tagged = true } = options
  const { payload, signature, unprotectedHeader = new Map() } = sign1
  const bytes = encodeCbor([sign1.protected, unprotectedHeader, payload, signature])
  if (!tagged) return bytes
  const result = new Uint8Array(bytes.length + 1)
  result[0] = 0xd2
  result.set(bytes, 1)
  return result
}

/**
 * Signs a payload as a COSE_Sign1. `alg` (1) is put first into the protected header, the labels
 * given follow in their order; it is always the signer's. The signature is low-s.
 */
export async function signSign1(options: signSign1.Options): Promise<Uint8Array> {
  const {
    signer,
    payload,
    externalData,
    unprotectedHeader,
    detached = false,
    tagged = true,
  } = options
  const header = new Map<number | string, unknown>([[alg, algorithms[signer.algorithm]]])
  for (const [label, value] of options.protectedHeader ?? [])
    if (label !== alg) header.set(label, value)
  const protectedBytes = encodeCbor(header)
  const message = sign1Structure({ protected: protectedBytes, payload, externalData })
  const signature = normalizeSignature(await signer.sign(message), signer.algorithm)
  return encodeSign1(
    {
      protected: protectedBytes,
      payload: detached ? null : payload,
      signature,
      ...(unprotectedHeader && { unprotectedHeader }),
    },
    { tagged },
  )
}

export declare namespace signSign1 {
  type Options = {
    signer: Signer
    payload: Uint8Array
    protectedHeader?: CoseHeader | undefined
    unprotectedHeader?: CoseHeader | undefined
    /** COSE's external data: signed, not sent. */
    externalData?: Uint8Array | undefined
    /** Leaves the payload out of the message. */
    detached?: boolean | undefined
    tagged?: boolean | undefined
  }
}

/**
 * Verifies a COSE_Sign1, ES256 or ES256K. The algorithm is taken from the protected header, else
 * (RFC 9052 allows it) from the unprotected one. Critical labels (2) are refused unless named in
 * `understood`.
 */
export async function verifySign1(
  bytes: Uint8Array,
  options: verifySign1.Options,
): Promise<{ ok: true; sign1: Sign1; payload: Uint8Array } | { ok: false; reason: Sign1Reason }> {
  const { publicKey, externalData, understood = [] } = options
  let sign1: Sign1
  try {
    sign1 = decodeSign1(bytes)
  } catch (error) {
    if (error instanceof MalformedSign1Error) return { ok: false, reason: error.reason }
    throw error
  }
  const { protectedHeader, unprotectedHeader, signature } = sign1
  const id = protectedHeader.get(alg) ?? unprotectedHeader.get(alg)
  const algorithm = names.find((name) => algorithms[name] === id)
  if (!algorithm) return { ok: false, reason: 'algorithm' }
  const critical = protectedHeader.get(crit) ?? []
  if (unprotectedHeader.has(crit) || !Array.isArray(critical))
    return { ok: false, reason: 'critical' }
  if (protectedHeader.has(crit) && critical.length === 0) return { ok: false, reason: 'critical' }
  for (const label of critical)
    if (!protectedHeader.has(label) || (label !== alg && !understood.includes(label)))
      return { ok: false, reason: 'critical' }
  const payload = sign1.payload ?? options.payload
  // A detached payload given for a message that carries its own would be ignored in silence.
  if (!payload || (sign1.payload && options.payload)) return { ok: false, reason: 'payload' }
  const message = sign1Structure({ protected: sign1.protected, payload, externalData })
  if (!(await verifySignature({ algorithm, publicKey, message, signature })))
    return { ok: false, reason: 'signature' }
  return { ok: true, sign1, payload }
}

export declare namespace verifySign1 {
  type Options = {
    /** X‖Y, 64 bytes. */
    publicKey: Uint8Array
    externalData?: Uint8Array | undefined
    /** The payload of a detached message. */
    payload?: Uint8Array | undefined
    /** Critical labels that the caller processes. */
    understood?: readonly (number | string)[] | undefined
  }
}

/** The Sig_structure (RFC 9052 §4.4): the bytes that are signed. */
export function sign1Structure(options: {
  protected: Uint8Array
  payload: Uint8Array
  externalData?: Uint8Array | undefined
}): Uint8Array {
  const { payload, externalData = empty } = options
  // An empty map in the byte string counts as no bytes at all.
  const isEmpty = options.protected.length === 1 && options.protected[0] === 0xa0
  return encodeCbor(['Signature1', isEmpty ? empty : options.protected, externalData, payload])
}

/** The bytes are not a COSE_Sign1. */
export class MalformedSign1Error extends BaseError {
  override readonly name = 'MalformedSign1Error'
  readonly reason: 'malformed' | 'tag'
  constructor(problem: string, reason: 'malformed' | 'tag' = 'malformed', cause?: unknown) {
    super(`Not a COSE_Sign1: ${problem}.`, { kind: 'integrity', cause })
    this.reason = reason
  }
}

const alg = 1
const crit = 2
const algorithms = { ES256: -7, ES256K: -47 } as const
const names = Object.keys(algorithms) as Algorithm[]
const empty = new Uint8Array(0)

function decode(bytes: Uint8Array): unknown {
  try {
    return decodeCbor(bytes)
  } catch (cause) {
    if (cause instanceof MalformedCborError)
      throw new MalformedSign1Error('it is not well-formed', 'malformed', cause)
    throw cause
  }
}

function assertHeader(value: unknown): asserts value is CoseHeader {
  if (!(value instanceof Map)) throw new MalformedSign1Error('a header is not a map')
  for (const label of value.keys())
    if (typeof label !== 'string' && !Number.isInteger(label))
      throw new MalformedSign1Error('a label is neither an integer nor text')
}
