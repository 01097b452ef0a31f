import type { isLogKey } from '@machinefi/contracts'
import { toHex } from '@machinefi/core'
import type { verifyBundle } from '@machinefi/proof'

/** Who signed the log heads of a bundle, and when, for {@link isLogKey}; at any time where there is none. */
export function toSigned({
  logKey,
  signedAt,
}: Pick<Extract<verifyBundle.Verdict, { ok: true }>, 'logKey' | 'signedAt'>): isLogKey.Checkpoint {
  return { logKey: toHex(logKey), time: (signedAt ?? 0) / 1000 }
}
