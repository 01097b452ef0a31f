import type { Context } from '../context.js'

/** One line on stderr that is rewritten in place; nothing where nobody watches. */
export type Progress = {
  update(text: string): void
  /** Clears the line. */
  clear(): void
}

/** Progress for people: only on a terminal that is no CI's. `--progress` forces plain lines. */
export function createProgress(context: Context, options: createProgress.Options = {}): Progress {
  const { force = false, intervalMs = 100 } = options
  const live = context.stderr.isTTY && !context.env.CI
  let shown = 0
  return {
    clear() {
      if (live && shown > 0) context.stderr.write('\r\u001b[K')
      shown = 0
    },
    update(text) {
      const now = Date.now()
      if (!live && !force) return
      if (now - shown < (live ? intervalMs : 2_000)) return
      shown = now
      if (live)
        context.stderr.write(`\r\u001b[K${text.slice(0, (context.stderr.columns || 80) - 1)}`)
      else context.stderr.write(`${text}\n`)
    },
  }
}

export declare namespace createProgress {
  type Options = {
    /** Also where stderr is no terminal: a line every two seconds. */
    force?: boolean
    intervalMs?: number
  }
}
