import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { fromHex, toHex } from '@machinefi/core'
import { encode } from 'cbor-x'
import { problemDocument } from '../http/splitSequence.js'
import type { Outcome, Pipeline } from '../ingest/createPipeline.js'
import { takeIn } from '../ingest/takeIn.js'
import type { OpenNetwork } from '../network/openNetwork.js'
import { type Problem, toProblem } from '../problems.js'
import type { Store } from '../store/openStore.js'

/**
 * What the node does with a message that was published to it, whoever the
 * broker is: the topics that devices may write, and what is said to them on
 * `machinefi/{network}/receipts/{device}`.
 *
 * Every answer names what it answers by the SHA-256 of the bytes that were
 * sent: whoever else may publish cannot make a device give up a batch by a
 * spoilt copy of it.
 */
export function createTopics(options: createTopics.Options): Topics {
  const { maxAckDelayMs, maxBatches, networks, pipeline, store } = options

  /** `machinefi/{network}/{kind}[/{device}]`; without a network where it is none of this node's. */
  function parseTopic(topic: string) {
    const [root, network = '', kind, device, ...rest] = topic.split('/')
    const open = root === 'machinefi' && rest.length === 0 ? networks.get(network) : undefined
    return { device, kind, open }
  }

  async function receiveBatches(open: OpenNetwork, payload: Uint8Array): Promise<Received> {
    const deadline = performance.now() + maxAckDelayMs
    for (let waitMs = 20; ; waitMs = Math.min(2 * waitMs, 1000)) {
      const taken = await takeIn(payload, { maxBatches, network: open.state, pipeline })
      if (taken.ok) {
        // A batch whose fate is open makes the message come again; the others are duplicates then.
        for (const outcome of taken.outcomes)
          if (!outcome.ok && outcome.problem.status >= 500)
            return { ok: false, problem: outcome.problem }
        return { ok: true, messages: toMessages(open, taken.items, taken.outcomes) }
      }
      // Bytes that are no batch have no device to be told.
      if (taken.problem.status !== 503) return { ok: true, messages: [] }
      if (taken.problem.reason !== 'overloaded' || performance.now() + waitMs > deadline)
        return { ok: false, problem: taken.problem }
      await sleep(waitMs, undefined, { ref: false })
    }
  }

  /** A nonce of the device's, answered with the seq the log expects of it next, and the final windows. */
  async function receiveQuestion(
    open: OpenNetwork,
    payload: Uint8Array,
    address: Uint8Array,
  ): Promise<Received> {
    if (payload.length > maxNonceBytes) return { ok: true, messages: [] }
    const { members } = open.state
    // It may have joined since, as when a batch of it comes in.
    if (!members.get(address)) await open.refreshSoon()
    const member = members.get(address)
    const { finalBefore = null } = open.status
    const answer = member
      ? encodeBytes(
          Buffer.from(JSON.stringify({ nextSeq: store.nextSeq(member.number), finalBefore })),
        )
      : encode(
          problemDocument(toProblem('not-found', 'The device is not a member of this network.')),
        )
    return {
      ok: true,
      messages: [
        {
          topic: receiptsTopic(open, address),
          payload: encodeAnswer(digestOf(payload), answer),
          isPrivate: open.network.isPrivate,
        },
      ],
    }
  }

  return {
    filters: [...networks.values()].flatMap(({ network }) => {
      const base = `machinefi/${network.id.toLowerCase()}`
      return [`${base}/batches`, `${base}/devices/+`]
    }),
    find(topic) {
      const { device, kind, open } = parseTopic(topic)
      if (open && kind === 'batches' && device === undefined)
        return (payload) => receiveBatches(open, payload)
      if (open && kind === 'devices' && isDevice(device))
        return (payload) => receiveQuestion(open, payload, fromHex(device))
      return undefined
    },
    isReceipts(topic) {
      const { device, kind, open } = parseTopic(topic)
      return open !== undefined && kind === 'receipts' && isDevice(device)
    },
  }
}

export declare namespace createTopics {
  type Options = {
    /** How long a message may wait for room until it is left unacknowledged. */
    maxAckDelayMs: number
    maxBatches: number
    /** By id, lower-case hex. */
    networks: ReadonlyMap<string, OpenNetwork>
    pipeline: Pipeline
    store: Store
  }
}

export type Topics = {
  /** What the node subscribes to at a broker. */
  readonly filters: readonly string[]
  /** What to do with a message; undefined for a topic that nobody may write. */
  find(topic: string): ((payload: Uint8Array) => Promise<Received>) | undefined
  /** Whether it is the topic of the receipts of one device, which anyone may subscribe to. */
  isReceipts(topic: string): boolean
}

/** `ok`: to be acknowledged; else nothing of it was taken in, and it must come again. */
export type Received = { ok: true; messages: readonly Message[] } | { ok: false; problem: Problem }

export type Message = {
  topic: string
  payload: Uint8Array
  /** For whoever sent what it answers alone: that there is an answer tells that the device sends. */
  isPrivate?: boolean
}

/** One message for each device, with an answer for each of its batches. */
function toMessages(
  open: OpenNetwork,
  items: Extract<takeIn.Result, { ok: true }>['items'],
  outcomes: readonly Outcome[],
): Message[] {
  const byTopic = new Map<string, Uint8Array[]>()
  for (const [i, item] of items.entries()) {
    if (!('bytes' in item)) continue
    const outcome = outcomes[i]!
    const answer = encodeAnswer(
      digestOf(item.bytes),
      outcome.ok ? encodeBytes(outcome.receipt) : encode(problemDocument(outcome.problem)),
    )
    const topic = receiptsTopic(open, item.device)
    const answers = byTopic.get(topic)
    if (answers) answers.push(answer)
    else byTopic.set(topic, [answer])
  }
  const { isPrivate } = open.network
  return [...byTopic].map(([topic, answers]) => ({
    isPrivate,
    payload: Buffer.concat(answers),
    topic,
  }))
}

function isDevice(text: string | undefined): text is `0x${string}` {
  return text !== undefined && /^0x[0-9a-f]{40}$/.test(text)
}

function receiptsTopic({ network }: OpenNetwork, device: Uint8Array): string {
  return `machinefi/${network.id.toLowerCase()}/receipts/${toHex(device)}`
}

/** [digest, answer] */
function encodeAnswer(digest: Uint8Array, answer: Uint8Array): Uint8Array {
  return Buffer.concat([answerHead, digest, answer])
}

/** As a plain byte string: cbor-x tags every array of bytes that is no Buffer. */
function encodeBytes({ buffer, byteLength, byteOffset }: Uint8Array): Uint8Array {
  return encode(Buffer.from(buffer, byteOffset, byteLength))
}

function digestOf(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}

/** An array of two, a byte string of 32. */
const answerHead = Buffer.from([0x82, 0x58, 0x20])
const maxNonceBytes = 64
