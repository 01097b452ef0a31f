import { splitSequence } from '../http/splitSequence.js'
import { type Problem, toProblem } from '../problems.js'
import type { NetworkState, Outcome, Pipeline } from './createPipeline.js'

/**
 * Takes in what one message of any transport carries: a batch, or a CBOR
 * sequence of them. Resolves once every batch is decided; `ok: false` says that
 * nothing of it was taken in. Never rejects.
 */
export async function takeIn(body: Uint8Array, options: takeIn.Options): Promise<takeIn.Result> {
  const { maxBatches, network, pipeline } = options
  if (body.length === 0) return { ok: false, problem: toProblem('body', 'The body is empty.') }
  const split = splitSequence(
    body,
    options.single
      ? {
          maxItems: 1,
          tooMany: toProblem(
            'body',
            'There are bytes after the batch; a sequence of batches is application/cbor-seq.',
          ),
        }
      : {
          maxItems: maxBatches,
          tooMany: toProblem('body-too-large', `More than ${maxBatches} batches.`),
        },
  )
  if (!split.ok) {
    await pipeline.submit(network, [split.problem])
    return split
  }
  const outcomes = await pipeline.submit(network, split.items)
  const [first] = outcomes
  // Nothing was taken in: said of all at once, where every client looks.
  if (
    !first!.ok &&
    first!.problem.status === 503 &&
    outcomes.every((outcome) => !outcome.ok && outcome.problem === first!.problem)
  )
    return { ok: false, problem: first!.problem }
  return { ok: true, items: split.items, outcomes }
}

export declare namespace takeIn {
  type Options = {
    maxBatches: number
    network: NetworkState
    pipeline: Pipeline
    /** Exactly one batch, and nothing after it. @default false */
    single?: boolean
  }
  type Result =
    | {
        ok: true
        items: Extract<splitSequence.Result, { ok: true }>['items']
        outcomes: readonly Outcome[]
      }
    | { ok: false; problem: Problem }
}
