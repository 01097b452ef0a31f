import type pkcs11js from 'pkcs11js'
import { ModuleError, Pkcs11MissingError } from './errors.js'

/** A PKCS#11 module in this process. It belongs to the process, so all signers share one. */
export type Module = {
  readonly constants: typeof pkcs11js
  readonly library: pkcs11js.PKCS11
  /** How often it was started: handles of an earlier start mean nothing, or something else. */
  readonly starts: number
  /** Runs one thing at a time: a session takes one operation, and many chips do no better. */
  run<value>(step: () => Promise<value> | value): Promise<value>
  /** Starts the module, where a restart failed. @throws {ModuleError} */
  start(): void
  /** Ends the module and starts it again: what a token that was gone needs. @throws {ModuleError} */
  restart(): void
  /** The last to close ends the module. */
  close(): Promise<void>
}

const modules = new Map<string, { module: Module; users: number }>()

/**
 * Loads and starts a module, or shares the one that runs.
 *
 * @throws {Pkcs11MissingError}
 * @throws {ModuleError}
 */
export async function openModule(path: string): Promise<Module> {
  const constants = await importPkcs11()
  const known = modules.get(path)
  if (known !== undefined) {
    known.users++
    const { module } = known
    try {
      await module.run(() => module.start())
    } catch (error) {
      await module.close()
      throw error
    }
    return module
  }
  const module = startModule(path, constants)
  modules.set(path, { module, users: 1 })
  return module
}

async function importPkcs11(): Promise<typeof pkcs11js> {
  try {
    return (await import('pkcs11js')).default
  } catch (cause) {
    throw new Pkcs11MissingError(cause)
  }
}

function startModule(path: string, constants: typeof pkcs11js): Module {
  const library = new constants.PKCS11()
  let starts = 0
  let started = false
  /** Started by other code in this process: not ours to end. */
  let foreign = false
  let running = false
  let last: Promise<unknown> = Promise.resolve()

  function start() {
    if (started) return
    try {
      library.C_Initialize({ flags: constants.CKF_OS_LOCKING_OK })
    } catch (error) {
      if (!isCode(error, 'CKR_CRYPTOKI_ALREADY_INITIALIZED')) throw new ModuleError(path, error)
      foreign = true
    }
    started = true
    starts++
  }

  function stop() {
    if (!started) return
    started = false
    if (foreign) return
    try {
      library.C_Finalize()
    } catch {
      // Of a token that is gone; starting again shows whether it matters.
    }
  }

  function run<value>(step: () => Promise<value> | value): Promise<value> {
    const result = last.then(async () => {
      running = true
      try {
        return await step()
      } finally {
        running = false
      }
    })
    last = result.catch(() => {})
    return result
  }

  /** A TPM keeps what a process leaves loaded. While a call is under way, nothing can be done. */
  const onExit = () => {
    if (!running) stop()
  }

  try {
    library.load(path)
  } catch (error) {
    throw new ModuleError(path, error)
  }
  start()
  process.once('exit', onExit)

  return {
    constants,
    library,
    get starts() {
      return starts
    },
    run,
    start,
    restart() {
      stop()
      start()
    },
    // In its turn: whoever opens it before that keeps it alive.
    close: () =>
      run(() => {
        if (--modules.get(path)!.users > 0) return
        modules.delete(path)
        process.off('exit', onExit)
        stop()
        library.close()
      }),
  }
}

/** Whether an error is PKCS#11's of this name. */
export function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && codes.includes(error.message)
}
