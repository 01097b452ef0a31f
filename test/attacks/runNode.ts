import { setImmediate } from 'node:timers/promises'
import { toHex } from '@machinefi/core'
import { graceMs, signSteps, startNetwork, startTime, windowMs } from './startNetwork.js'
import { fuzzDevices, type Question } from './startNodeProcess.js'

// A node in a process of its own, with a chain of its own: a window with data of all devices but
// the last has been posted. Answers questions of the process that started it, and ends with it.

const errors: string[] = []
const net = await startNetwork({
  limits: { keepAliveTimeoutMs: 5000, requestTimeoutMs: 5000 },
  members: fuzzDevices,
  onError: (error) => errors.push(String((error as Error).stack ?? error)),
})
const batches = await Promise.all(
  fuzzDevices
    .slice(0, -1)
    .flatMap((signer) =>
      [0, 1, 2].map((seq) =>
        signSteps({ network: net.id, seq, signer, start: startTime + seq * 3_600_000 }),
      ),
    ),
)
await net.node.ingest(
  net.network.id,
  batches.map(({ bytes }) => bytes),
)
await net.setTime(startTime + windowMs + graceMs)
await net.node.settle()

process.on('disconnect', () => process.exit())
process.on('message', async (question: Question) => {
  if (question === 'memory') {
    // Pages go back some time after what was on them.
    for (let i = 0; i < 5; i++) {
      globalThis.gc?.()
      await setImmediate()
    }
    const { external, heapUsed, rss } = process.memoryUsage()
    process.send!({ live: heapUsed + external, resident: rss })
  } else if (question === 'errors') process.send!(errors)
  else {
    await net.close()
    process.send!(null, undefined, undefined, () => process.exit())
  }
})
process.send!({
  batches: batches.map(({ bytes }) => toHex(bytes)),
  network: net.network.id,
  now: net.now(),
  url: net.url,
})
