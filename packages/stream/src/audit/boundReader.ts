import { type NodeReader, NodeRefusedError } from './createNodeReader.js'

/**
 * Bounds how long a node is asked in all: one that answers everything, slowly,
 * must not hold up whoever has to act in time. Only the time that it takes
 * counts. What is asked for after that is refused at once.
 */
export function boundReader(reader: NodeReader, budgetMs: number): BoundedReader {
  let leftMs = Math.ceil(budgetMs)

  async function spend<result>(path: string, work: (leftMs: number) => Promise<result>) {
    if (leftMs <= 0) throw new NodeRefusedError(path, 'it was too slow before')
    const from = performance.now()
    try {
      return await work(leftMs)
    } finally {
      leftMs -= Math.ceil(performance.now() - from)
    }
  }

  const bound = <bounds extends { signal?: AbortSignal | undefined }>(
    bounds: bounds,
    leftMs: number,
  ) => ({
    ...bounds,
    signal: AbortSignal.any([
      AbortSignal.timeout(leftMs),
      ...(bounds.signal ? [bounds.signal] : []),
    ]),
  })

  return {
    fetch: reader.fetch,
    url: reader.url,
    read: (path, bounds) => spend(path, (leftMs) => reader.read(path, bound(bounds, leftMs))),
    readJson: (path, bounds) =>
      spend(path, (leftMs) => reader.readJson(path, bound(bounds, leftMs))),
    spend,
  }
}

export type BoundedReader = NodeReader & {
  /** Does other work with the node. @throws {NodeRefusedError} no time is left. */
  spend<result>(path: string, work: (leftMs: number) => Promise<result>): Promise<result>
}
