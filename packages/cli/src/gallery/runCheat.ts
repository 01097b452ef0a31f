import type { CheatReport } from './CheatReport.js'
import type { Cheat } from './cheats.js'
import { dayMs, openScene } from './openScene.js'
import { playLie } from './playLie.js'
import { playSpam } from './playSpam.js'

/**
 * Shows one way to cheat and what becomes of it: on a chain of its own, with real contracts, nodes
 * and signatures, on a clock that is moved. Nothing is asked of the network outside.
 */
export async function runCheat(options: runCheat.Options): Promise<CheatReport> {
  const { cheat, signal } = options
  const onStep = (topic: string, text: string) => {
    signal?.throwIfAborted()
    options.onStep?.(topic, text)
  }
  const started = performance.now()
  // The last days, so that dates look familiar.
  const firstDay = (Math.floor(Date.now() / dayMs) - 3) * dayMs
  const scene = await openScene({ firstDay })
  try {
    const play = cheat.kind === 'spam' ? playSpam : playLie
    const { caughtBy, slashed, ...report } = await play(scene, { cheat, onStep })
    const { kind, title, variant } = cheat
    return {
      ...{ kind, variant, title, caughtBy, slashed },
      ...report,
      elapsedMs: Math.round(performance.now() - started),
    }
  } finally {
    await scene.close()
  }
}

export declare namespace runCheat {
  type Options = {
    cheat: Cheat
    /** What is going on, for a person: a topic, and what is to be said of it. */
    onStep?: ((topic: string, text: string) => void) | undefined
    signal?: AbortSignal | undefined
  }
}
