import { BaseError, equalBytes } from '@machinefi/core'
import { encodeWords } from '../abi/encodeWords.js'
import { readUint } from '../abi/readWord.js'
import { keccak } from '../keccak/keccak.js'

/** What a ledger has in a member's slot. */
export type Entry = {
  /** Reward of all windows so far, uint128. */
  readonly cumulative: bigint
  /** 20 bytes. */
  readonly device: Uint8Array
  /** Batches in the trace, uint32. */
  readonly steps: number
  /** 32 bytes. */
  readonly traceRoot: Uint8Array
  /** Of the window, int256. */
  readonly value: bigint
}

/** What a slot has after a window that does not pay its member, given what it had before. */
export function carryEntry(before: Entry | null): Entry | null {
  return before && { ...before, steps: 0, traceRoot: new Uint8Array(32), value: 0n }
}

/** Whether two slots hold the same. */
export function equalEntry(a: Entry | null, b: Entry | null): boolean {
  if (a === null || b === null) return a === b
  return (
    a.cumulative === b.cumulative &&
    a.steps === b.steps &&
    a.value === b.value &&
    equalBytes(a.device, b.device) &&
    equalBytes(a.traceRoot, b.traceRoot)
  )
}

const maxUint128 = 2n ** 128n - 1n

/** keccak(abi.encode(int256 value, uint32 steps, bytes32 traceRoot)): what redeeming shows in place of the day. */
export function entryDetail(entry: Pick<Entry, 'steps' | 'traceRoot' | 'value'>): Uint8Array {
  return keccak.hash(encodeWords(entry.value, entry.steps, entry.traceRoot))
}

/** A ledger node is 48 bytes: its hash, then the sum below it as uint128. */
export const nodeBytes = 48

/**
 * Writes the leaf node of a slot: hash keccak(00 ‖ device ‖ uint128 cumulative
 * ‖ detail) and sum. An empty slot is 48 zero bytes.
 *
 * @throws {InvalidEntryError}
 */
export function writeLeaf(entry: Entry | null, nodes: Uint8Array, offset: number): void {
  if (entry === null) {
    nodes.fill(0, offset, offset + nodeBytes)
    return
  }
  const { cumulative, device, steps, traceRoot, value } = entry
  if (device.length !== 20) throw new InvalidEntryError('the device must have 20 bytes')
  if (device.every((byte) => byte === 0))
    throw new InvalidEntryError('the zero device stands for an empty slot')
  if (traceRoot.length !== 32) throw new InvalidEntryError('the trace root must have 32 bytes')
  if (!Number.isInteger(steps) || steps < 0 || steps > 0xffffffff)
    throw new InvalidEntryError('the steps must be an integer below 2^32')
  if (cumulative < 0n || cumulative > maxUint128)
    throw new InvalidEntryError('the cumulative reward must be below 2^128')
  if (BigInt.asIntN(256, value) !== value)
    throw new InvalidEntryError('the value must fit 256 bits')

  const { input, view } = keccak
  // The detail first: abi.encode(value, steps, traceRoot).
  view.setBigInt64(0, value >> 192n)
  view.setBigInt64(8, value >> 128n)
  view.setBigInt64(16, value >> 64n)
  view.setBigInt64(24, value)
  input.fill(0, 32, 60)
  view.setUint32(60, steps)
  input.set(traceRoot, 64)
  keccak.hashInput(96, nodes, offset)

  input[0] = 0
  input.set(device, 1)
  view.setBigUint64(21, cumulative >> 64n)
  view.setBigUint64(29, cumulative)
  for (let i = 0; i < 16; i++) nodes[offset + 32 + i] = input[21 + i] as number
  for (let i = 0; i < 32; i++) input[37 + i] = nodes[offset + i] as number
  keccak.hashInput(69, nodes, offset)
}

/**
 * Writes the node above two adjacent ones: hash keccak(01 ‖ left ‖ right),
 * each with its sum, and the sum of both.
 *
 * @returns whether the sum fits uint128.
 */
export function writeNode(
  children: Uint8Array,
  childrenOffset: number,
  nodes: Uint8Array,
  offset: number,
): boolean {
  const { input } = keccak
  input[0] = 1
  for (let i = 0; i < 2 * nodeBytes; i++) input[1 + i] = children[childrenOffset + i] as number
  let carry = 0
  for (let i = nodeBytes - 1; i >= 32; i--) {
    carry +=
      (children[childrenOffset + i] as number) +
      (children[childrenOffset + nodeBytes + i] as number)
    nodes[offset + i] = carry
    carry >>= 8
  }
  keccak.hashInput(1 + 2 * nodeBytes, nodes, offset)
  return carry === 0
}

/** The sum in a node. */
export function readSum(nodes: Uint8Array, offset: number): bigint {
  return readUint(nodes.subarray(offset + 32, offset + nodeBytes))
}

/** A number in a ledger entry is out of bounds. */
export class InvalidEntryError extends BaseError {
  override readonly name = 'InvalidEntryError'
  constructor(reason: string) {
    super(`Not a ledger entry: ${reason}.`, { kind: 'input' })
  }
}
