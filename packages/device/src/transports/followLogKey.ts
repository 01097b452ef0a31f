import type { verifyReceipt } from '@machinefi/proof'
import type { LogKeys } from './toDelivery.js'

/**
 * Verifies a receipt that is not by the log key that counts: perhaps the
 * operator has changed it. A key that was named beforehand takes the place of
 * those before it with its first valid receipt, so that what a thief of an old
 * key signs counts no more. Where none was named, the node is asked again: it
 * was believed the first time.
 */
export async function followLogKey(
  { ask, logKeys }: LogKeys,
  verify: (publicKey: Uint8Array) => Promise<verifyReceipt.Verdict>,
): Promise<verifyReceipt.Verdict> {
  let verdict: verifyReceipt.Verdict = { ok: false, reason: 'key' }
  const named = ask ? [(await ask()).logKey] : logKeys.slice(1)
  for (const publicKey of named) {
    verdict = await verify(publicKey)
    if (!verdict.ok && verdict.reason === 'key') continue
    // Another receipt may have moved it on meanwhile.
    if (verdict.ok && ask) logKeys[0] = publicKey
    else if (verdict.ok) logKeys.splice(0, Math.max(0, logKeys.indexOf(publicKey)))
    break
  }
  return verdict
}
