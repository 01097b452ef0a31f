import {
  type DecodedCheckpoint,
  decodeCheckpoint,
  MalformedCheckpointError,
  verifyCheckpoint,
} from '@machinefi/proof'
import type { LogKeys } from './openAuditChain.js'

/** A head that an operator signed, with one of the keys that it answers for, and which that is; or undefined. */
export async function verifyHead(
  bytes: Uint8Array,
  { logKeys, network, operator }: verifyHead.Options,
): Promise<{ checkpoint: DecodedCheckpoint; publicKey: Uint8Array } | undefined> {
  let named: DecodedCheckpoint
  try {
    named = decodeCheckpoint(bytes)
  } catch (error) {
    if (error instanceof MalformedCheckpointError) return undefined
    throw error
  }
  const publicKey = logKeys(named)
  if (!publicKey) return undefined
  const verdict = await verifyCheckpoint(bytes, { network, operator, publicKey })
  return verdict.ok ? { checkpoint: verdict.checkpoint, publicKey } : undefined
}

export declare namespace verifyHead {
  type Options = {
    logKeys: LogKeys
    /** Network id, 32 bytes. */
    network: Uint8Array
    /** The operator's account, 20 bytes. */
    operator: Uint8Array
  }
}
