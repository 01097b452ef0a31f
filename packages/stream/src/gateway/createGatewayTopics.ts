import { setTimeout as sleep } from 'node:timers/promises'
import { ProblemError, problemReply } from '../http/openServer.js'
import type { Message, Received, Topics } from '../mqtt/createTopics.js'
import type { Intake } from './createIntake.js'

/**
 * What the gateway does with a message that is published to it. The topic has
 * what HTTP has in its request line:
 * `machinefi/readings/{device}/{counter}/{mac}`; the answer is on
 * `machinefi/answers/{device}`, which begins with the counter.
 */
export function createGatewayTopics(options: createGatewayTopics.Options): Topics {
  const { intake, maxAckDelayMs } = options
  /** The last message of each device that has any under way. */
  const tails = new Map<string, Promise<Received>>()

  /**
   * One after the other: a message that waits must not be overtaken by one with a higher counter.
   * What is behind one that has to come again comes again after it.
   */
  function receiveInTurn(message: Intake.Message): Promise<Received> {
    const before = tails.get(message.device)
    const received = (before ?? Promise.resolve(undefined)).then(
      (previous) => (previous?.ok === false ? previous : receive(message)),
      () => receive(message),
    )
    tails.set(message.device, received)
    const forget = () => {
      if (tails.get(message.device) === received) tails.delete(message.device)
    }
    received.then(forget, forget)
    return received
  }

  async function receive(message: Intake.Message): Promise<Received> {
    const deadline = performance.now() + maxAckDelayMs
    for (;;) {
      try {
        return toAnswer(message, JSON.stringify(await intake.take(message)))
      } catch (error) {
        if (!(error instanceof ProblemError)) throw error
        const { problem } = error
        // Who is not known is told nothing on a topic of a device that is.
        if (problem.reason === 'mac' || problem.reason === 'parameter')
          return { ok: true, messages: [] }
        const { retryAfterSeconds, status } = problem
        if (status < 500 && status !== 429)
          return toAnswer(message, String(problemReply(problem).body))
        const waitMs = 1000 * (retryAfterSeconds ?? 1)
        if (performance.now() + waitMs > deadline) return { ok: false, problem }
        await sleep(waitMs, undefined, { ref: false })
      }
    }
  }

  return {
    filters: ['machinefi/readings/+/+/+'],
    find(topic) {
      const [root, kind, device, counter, mac, ...rest] = topic.split('/')
      if (root !== 'machinefi' || kind !== 'readings' || rest.length > 0) return undefined
      if (!device || !counter || !mac) return undefined
      return (body) => receiveInTurn({ body, counter, device, mac })
    },
    isReceipts(topic) {
      return /^machinefi\/answers\/0x[0-9a-f]{40}$/.test(topic)
    },
  }
}

export declare namespace createGatewayTopics {
  type Options = {
    intake: Intake
    /** How long a message may wait for room until it is left unacknowledged. */
    maxAckDelayMs: number
  }
}

function toAnswer({ counter, device }: Intake.Message, json: string): Received {
  const payload: Message['payload'] = Buffer.from(`${counter} ${json}`)
  return { ok: true, messages: [{ topic: `machinefi/answers/${device}`, payload }] }
}
