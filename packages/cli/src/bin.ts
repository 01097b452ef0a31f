#!/usr/bin/env node
import { run } from './run.js'

const controller = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    // The first one drains, the second one exits.
    if (controller.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143)
    controller.abort()
  })
// A reader that closed the pipe, as `head` does, wants no more of it.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
})

const output = (stream: NodeJS.WriteStream) => ({
  columns: stream.columns ?? 0,
  isTTY: stream.isTTY === true,
  write: (text: string) => void stream.write(text),
})

process.exitCode = await run(process.argv.slice(2), {
  cwd: process.cwd(),
  env: process.env,
  onHangup: (listener) => void process.on('SIGHUP', listener),
  signal: controller.signal,
  stderr: output(process.stderr),
  stdin: process.stdin,
  stdout: output(process.stdout),
})
