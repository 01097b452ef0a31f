/**
 * A map for what strangers make the node remember: entries leave when their
 * time is over, and the oldest ones as soon as all together are too large.
 */
export function createBoundedMap<value>(options: createBoundedMap.Options): BoundedMap<value> {
  const { lifeMs, maxBytes } = options
  /** In order of their last `set`. */
  const entries = new Map<string, { bytes: number; expires: number; value: value }>()
  let total = 0

  function remove(key: string) {
    const entry = entries.get(key)
    if (entry === undefined) return
    total -= entry.bytes
    entries.delete(key)
  }

  return {
    get bytes() {
      return total
    },
    get(key) {
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      if (entry.expires > performance.now()) return entry.value
      remove(key)
      return undefined
    },
    set(key, value, length) {
      remove(key)
      const now = performance.now()
      const bytes = length + overhead
      entries.set(key, { bytes, expires: now + lifeMs, value })
      total += bytes
      for (const [oldest, { expires }] of entries) {
        if (expires > now && total <= maxBytes) break
        remove(oldest)
      }
    },
    remove,
    clear() {
      entries.clear()
      total = 0
    },
  }
}

export declare namespace createBoundedMap {
  type Options = { lifeMs: number; maxBytes: number }
}

export type BoundedMap<value> = {
  /** Of all entries, give or take what the engine needs. */
  readonly bytes: number
  get(key: string): value | undefined
  /** Puts an entry in, as the youngest. `length`: its bytes. */
  set(key: string, value: value, length: number): void
  remove(key: string): void
  clear(): void
}

/** Key, map and object of an entry, about. */
const overhead = 300
