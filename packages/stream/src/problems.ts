import type { BatchReason } from '@machinefi/telemetry'

/** Why the node says no: RFC 9457, with the last part of `type` as a stable code. */
export type Problem = {
  reason: ProblemReason
  status: number
  title: string
  detail?: string
  /** When it makes sense to come back, in seconds. */
  retryAfterSeconds?: number
}

/** What is wrong with a batch or a request, in a word. The codes are stable. */
export type ProblemReason = BatchReason | keyof typeof others

/** A problem with the status and the title of its reason. */
export function toProblem(
  reason: ProblemReason,
  detail?: string,
  retryAfterSeconds?: number,
): Problem {
  const [status, title] = reasons[reason]
  return {
    reason,
    status,
    title,
    ...(detail === undefined ? {} : { detail }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  }
}

/** Prefix of the `type` of every problem; each has its section in docs/protocol/node.md, or gateway.md. */
export const problemBase = 'https://machinefi.dev/problems/'

const batchReasons = {
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
} as const satisfies Record<BatchReason, readonly [number, string]>

const others = {
  'unknown-device': [403, 'the device is not a member of this network'],
  suspended: [403, 'the device is suspended'],
  future: [422, 'the batch ends in the future'],
  'too-old': [422, 'the batch starts before the retention period'],
  equivocation: [409, 'the device has signed another batch with this seq'],
  overloaded: [503, 'the node has more to do than it can take in'],
  unavailable: [503, 'the node takes nothing in at present'],
  clock: [503, 'the clock of the node runs behind its own log'],
  mac: [403, 'the message does not come from the device it names'],
  revoked: [403, 'the device is revoked'],
  replayed: [409, 'the counter is not above the newest one'],
  senml: [422, 'the SenML has no readings of this network'],
  time: [422, 'the time of a reading cannot be taken'],
  rate: [429, 'the device sends more often than it may'],
  registration: [422, 'the registration cannot be sent'],
  'relay-exhausted': [429, 'no more registrations are paid for today'],
  'unknown-network': [404, 'this node does not serve this network'],
  'not-found': [404, 'there is nothing here'],
  method: [405, 'the method is not allowed here'],
  'media-type': [415, 'the media type is not supported here'],
  encoding: [415, 'the content encoding is not supported'],
  parameter: [400, 'a parameter is missing or out of bounds'],
  body: [400, 'the body is not what its media type says'],
  'body-too-large': [413, 'the body is larger than this node accepts'],
  request: [400, 'the request is not one of HTTP/1.1'],
  'header-fields': [431, 'the header fields are too large'],
  timeout: [408, 'the request took too long to arrive'],
  unsigned: [401, 'the network is private: the request is not signed'],
  'request-signature': [401, 'the signature of the request cannot be taken'],
  repeated: [401, 'the request was made before'],
  reader: [403, 'the account may not read this'],
  authority: [421, 'the request is for another host than this node'],
  nonces: [429, 'the account, or all of them, make too many signed requests'],
  starting: [503, 'the node cannot take signed requests yet'],
  internal: [500, 'the node failed to answer'],
} as const satisfies Record<string, readonly [number, string]>

const reasons: Record<ProblemReason, readonly [number, string]> = { ...batchReasons, ...others }
