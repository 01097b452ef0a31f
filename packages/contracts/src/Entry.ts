import { type Address, encodeAbiParameters, type Hex, keccak256, zeroAddress, zeroHash } from 'viem'

/** What a ledger has in a device's slot. */
export type Entry = {
  device: Address
  /** Reward of all windows so far. */
  cumulative: bigint
  /** Of the window. */
  value: bigint
  /** Batches in the trace. */
  steps: number
  traceRoot: Hex
}

/** An entry as it is redeemed: {@link entryDetail} in place of the day, which stays private. */
export type EntryDigest = { device: Address; cumulative: bigint; detail: Hex }

/** keccak256(abi.encode(int256 value, uint32 steps, bytes32 traceRoot)). */
export function entryDetail(entry: Pick<Entry, 'steps' | 'traceRoot' | 'value'>): Hex {
  const { steps, traceRoot, value } = entry
  return keccak256(
    encodeAbiParameters(
      [{ type: 'int256' }, { type: 'uint32' }, { type: 'bytes32' }],
      [value, steps, traceRoot],
    ),
  )
}

/** The entry as the contract takes it; null is an empty slot. */
export function toEntryDigest(entry: Entry | EntryDigest | null): EntryDigest {
  if (entry === null) return { device: zeroAddress, cumulative: 0n, detail: zeroHash }
  const { cumulative, device } = entry
  return { cumulative, detail: 'detail' in entry ? entry.detail : entryDetail(entry), device }
}
