import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build } from 'tsup'

const root = new URL('../..', import.meta.url).pathname

/** Bundles a script of this folder, to be started as a process that can be killed at any moment. */
export async function buildProcess(script: string) {
  // Below the repository, so that what is not bundled resolves.
  const directory = mkdtempSync(join(root, 'node_modules/.kill-'))
  await build({
    bundle: true,
    clean: false,
    config: false,
    dts: false,
    entry: [join(root, 'test/node', script)],
    esbuildOptions: (options) => {
      options.conditions = ['@machinefi/source', 'node']
    },
    external: ['libsql', 'cbor-x', 'coap-packet', /^mqtt/, /^viem/],
    format: ['esm'],
    noExternal: [/^@machinefi\//, /^#/],
    outDir: directory,
    platform: 'node',
    silent: true,
    target: 'es2022',
  })
  return {
    /** Resolves to the line of JSON that it prints first. */
    async start(...args: readonly string[]) {
      const child = spawn(
        process.execPath,
        [join(directory, basename(script).replace(/\.ts$/, '.js')), ...args],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
      return { child, exited, ...(await readLine(child, exited)) }
    },
    remove: () => rmSync(directory, { force: true, recursive: true }),
  }
}

async function readLine(child: ChildProcess, exited: Promise<void>): Promise<{ url: string }> {
  let text = ''
  return Promise.race([
    new Promise<{ url: string }>((resolve) => {
      child.stdout!.on('data', (chunk) => {
        text += chunk
        if (text.includes('\n')) resolve(JSON.parse(text.split('\n')[0]!))
      })
    }),
    exited.then(() => {
      throw new Error('The node did not start.')
    }),
  ])
}
