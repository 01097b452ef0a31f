/**
 * Work that goes on in the background: `step` runs again while it returns
 * true, and after a jittered, exponentially growing pause when it throws.
 */
export function createLoop(step: () => Promise<boolean>, options: createLoop.Options): Loop {
  const { minMs, maxMs, onError } = options
  let running: Promise<void> | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let kicked = false
  let stopped = false
  let failures = 0

  async function run() {
    try {
      do {
        kicked = false
        while (!stopped && (await step())) failures = 0
      } while (kicked && !stopped)
    } catch (error) {
      if (!stopped) pause(error)
    }
    running = undefined
  }

  function pause(error: unknown) {
    failures++
    const ceiling = Math.min(maxMs, minMs * 2 ** Math.min(failures - 1, 30))
    // Half of it is random, so that a fleet does not come back all at once.
    const delay = ceiling * (0.5 + Math.random() / 2) + retryAfterMs(error)
    const resume = () => {
      timer = undefined
      kick()
    }
    timer = setTimeout(resume, Math.min(delay, 2 ** 31 - 1))
    onError(error, Date.now() + delay)
  }

  function kick() {
    kicked = true
    if (!stopped && running === undefined && timer === undefined) running = run()
  }

  return {
    kick,
    progress() {
      failures = 0
    },
    stop() {
      stopped = true
      clearTimeout(timer)
      timer = undefined
      return running ?? Promise.resolve()
    },
  }
}

export declare namespace createLoop {
  type Options = {
    /** First pause, ms. */
    minMs: number
    /** Longest pause, ms; a node's Retry-After comes on top. */
    maxMs: number
    onError(error: unknown, retryAt: number): void
  }
}

export type Loop = {
  /** Runs the step soon, unless it is running or paused. */
  kick(): void
  /** Something got through: should the step fail all the same, its pause is the first again. */
  progress(): void
  /** Ends the loop; resolves when the step in flight is done. */
  stop(): Promise<void>
}

/** A node that asks for more than an hour is not believed. */
const maxRetryAfterMs = 3_600_000

function retryAfterMs(error: unknown): number {
  const asked = (error as { retryAfterMs?: unknown } | null)?.retryAfterMs
  return typeof asked === 'number' && asked > 0 ? Math.min(asked, maxRetryAfterMs) : 0
}
