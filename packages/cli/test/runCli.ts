import { tmpdir } from 'node:os'
import type { Context } from '../src/context.js'
import { run } from '../src/run.js'

/** Runs one command line in this process; resolves when it is over. */
export async function runCli(
  argv: readonly string[],
  options: runCli.Options = {},
): Promise<runCli.Result> {
  const cli = startCli(argv, options)
  return { code: await cli.exit, stderr: cli.stderr(), stdout: cli.stdout() }
}

/** Starts one that runs until it is told to stop. */
export function startCli(argv: readonly string[], options: runCli.Options = {}) {
  const { cwd = tmpdir(), env = {}, stdin = new Uint8Array() } = options
  const controller = new AbortController()
  const hangups: (() => void)[] = []
  let stdout = ''
  let stderr = ''
  const waiting: { resolve: () => void; text: string }[] = []
  const context: Context = {
    cwd,
    env: { CI: 'true', ...env },
    onHangup: (listener) => void hangups.push(listener),
    signal: controller.signal,
    stderr: {
      columns: 0,
      isTTY: false,
      write: (text) => {
        stderr += text
      },
    },
    stdin: (async function* () {
      yield stdin
    })(),
    stdout: {
      columns: 80,
      isTTY: false,
      write: (text) => {
        stdout += text
        for (const { resolve, text } of waiting) if (stdout.includes(text)) resolve()
      },
    },
  }
  const exit = run(argv, context)
  return {
    exit,
    /** As Ctrl-C does. */
    stop: () => controller.abort(),
    /** As SIGHUP does; how many listened. */
    hangup: () => hangups.map((listener) => listener()).length,
    stderr: () => stderr,
    stdout: () => stdout,
    /** Resolves when stdout has the text; rejects if the command ends without it. */
    async until(text: string): Promise<void> {
      if (stdout.includes(text)) return
      const seen = new Promise<void>((resolve) => waiting.push({ resolve, text }))
      const ended = exit.then((code) => {
        throw new Error(`exit code ${code}\n${stderr}`)
      })
      await Promise.race([seen, ended])
    },
  }
}

export declare namespace runCli {
  type Options = {
    cwd?: string
    env?: Record<string, string>
    stdin?: Uint8Array
  }
  type Result = { code: number; stderr: string; stdout: string }
}
