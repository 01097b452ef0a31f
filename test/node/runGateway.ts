import { createGateway } from '@machinefi/stream/gateway'

// A gateway in a process of its own, to be killed: its clock starts where it is told, and it cuts a
// batch as soon as it can. Prints where it is, then serves until it dies.

const [directory, node, startTime] = process.argv.slice(2) as [string, string, string]
const gateway = await createGateway({
  clock: () => Number(startTime) + performance.now(),
  directory,
  limits: { burst: 1e6, maxAgeMs: 20, messagesPerMinute: 1e6 },
  node,
  onError: (error) => {
    console.error(error)
    process.exit(1)
  },
  onRefused: (refused) => {
    console.error(refused)
    process.exit(1)
  },
})
const url = await gateway.listen({ port: 0 })
process.stdout.write(`${JSON.stringify({ url })}\n`)
