import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Folder of the checkout. `scripts/bench.mjs` compiles to node_modules/.cache/machinefi/bench. */
export const root = fileURLToPath(new URL('../../../../', import.meta.url))

/** Starts `test/bench/processes/<name>.ts`; what it says on stderr is shown. */
export function startProcess(name: string, args: readonly string[]): ChildProcess {
  const path = fileURLToPath(new URL(`./${name}.mjs`, import.meta.url))
  return fork(path, args, { serialization: 'advanced', stdio: [0, 2, 2, 'ipc'] })
}

/** Ends a process, which exits when nobody listens to it any more. */
export async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise((resolve) => child.once('exit', resolve))
  if (child.connected) child.disconnect()
  await exited
}

/** The next message of a process; rejects if it ends instead. */
export function nextMessage<message>(child: ChildProcess): Promise<message> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`The process ended with ${code}.`))
    child.once('exit', onExit)
    child.once('message', (message) => {
      child.off('exit', onExit)
      resolve(message as message)
    })
  })
}
