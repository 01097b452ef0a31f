/**
 * Remembers which nonces were used, each until the request that it came with has expired. Bounded
 * for each account and in all: what cannot be remembered cannot be taken.
 */
export function createNonces(options: createNonces.Options): Nonces {
  const { clock, maxNonces, maxNoncesOfAccount } = options
  /** When each expires, by account. */
  const accounts = new Map<string, Map<string, number>>()
  let count = 0
  let sweptAt = Number.NEGATIVE_INFINITY

  function sweep(now: number) {
    // What is full stays full for as long as most of it lives: once a second is often enough.
    if (now >= sweptAt && now - sweptAt < 1000) return
    sweptAt = now
    for (const [account, nonces] of accounts) {
      for (const [nonce, expiresAt] of nonces)
        if (expiresAt <= now) {
          nonces.delete(nonce)
          count--
        }
      if (nonces.size === 0) accounts.delete(account)
    }
  }

  return {
    get count() {
      return count
    },
    use({ account, expiresAt, nonce }) {
      if (accounts.get(account)?.has(nonce)) return 'used'
      const isFull = () =>
        count >= maxNonces || (accounts.get(account)?.size ?? 0) >= maxNoncesOfAccount
      if (isFull()) sweep(clock())
      if (isFull()) return 'full'
      const nonces = accounts.get(account) ?? new Map<string, number>()
      accounts.set(account, nonces.set(nonce, expiresAt))
      count++
      return 'new'
    },
  }
}

export declare namespace createNonces {
  type Options = {
    /** ms */
    clock: () => number
    maxNonces: number
    maxNoncesOfAccount: number
  }
}

export type Nonces = {
  /** How many are remembered. */
  readonly count: number
  /** Uses a nonce up. `full`: it was not, for there is no room to remember it. */
  use(request: { account: string; expiresAt: number; nonce: string }): 'new' | 'used' | 'full'
}
