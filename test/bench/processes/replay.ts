import { run } from '../../../packages/cli/src/run.js'
import { cpuMicros } from '../cpu.js'
import type { Replayed } from '../replay.js'

// `machinefi demo` in a process of its own: node, fleet and command line; only the chain is another.

const controller = new AbortController()
let stdout = ''
const output = (write: (text: string) => void) => ({ columns: 0, isTTY: false, write })
const exitCode = await run(['demo', ...process.argv.slice(2), '--json'], {
  cwd: process.cwd(),
  env: process.env,
  signal: controller.signal,
  stderr: output((text) => void process.stderr.write(text)),
  onHangup: () => {},
  stdin: process.stdin,
  stdout: output((text) => {
    stdout += text
  }),
})
if (exitCode !== 0) process.exit(exitCode)
const { batches, minted, readings, totalSupply } = JSON.parse(stdout)
const replayed: Replayed = { batches, cpu: cpuMicros(), minted, readings, totalSupply }
process.send!(replayed, undefined, undefined, () => process.exit())
