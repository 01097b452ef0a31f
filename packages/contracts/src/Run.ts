import {
  BaseError,
  compareBytes,
  concatBytes,
  formatDid,
  fromHex,
  keccak256,
  parseDid,
  toHex,
} from '@machinefi/core'
import type { Address, Hex } from 'viem'

/** A production run: the devices that a maker endorses by one root. */
export type Run = {
  /** What the maker endorses. */
  root: Hex
  /** In lower case, in the order of every proof. */
  devices: readonly Address[]
  /**
   * Proves that devices are of the run, all at once.
   *
   * @throws {NotInRunError}
   * @throws {DuplicateDeviceError}
   */
  prove(devices: readonly Address[]): RunProof
}

export type RunProof = {
  /** Those that were asked for, in the order that the proof wants. */
  devices: Address[]
  proof: Hex[]
  flags: boolean[]
}

/**
 * Builds the tree of a production run: OpenZeppelin's `StandardMerkleTree` over
 * `['address']`, so that the order of the devices does not matter and other tools find the
 * same root (docs/protocol/settlement.md). 100,000 devices take 3 s
 * and 120 MB: make several runs of more.
 *
 * @throws {EmptyRunError}
 * @throws {DuplicateDeviceError}
 * @throws {InvalidAddressError}
 *
 * @example
 * const run = buildRun(parseRun(await readFile('run.txt', 'utf8')))
 * await endorseRun(client, { registry, model, root: run.root })
 */
export function buildRun(devices: readonly Address[]): Run {
  if (devices.length === 0) throw new EmptyRunError()
  const leaves = devices
    .map((device) => {
      const address = parseDid(device)
      return { device: toHex(address), hash: toLeaf(address) }
    })
    .sort((a, b) => compareBytes(a.hash, b.hash))
  // A heap with its root in front; the least leaf is its last node.
  const tree = new Array<Uint8Array>(2 * leaves.length - 1)
  const places = new Map<Address, number>()
  for (const [i, { device, hash }] of leaves.entries()) {
    const place = tree.length - 1 - i
    if (places.has(device)) throw new DuplicateDeviceError(device)
    places.set(device, place)
    tree[place] = hash
  }
  for (let place = leaves.length - 2; place >= 0; place--)
    tree[place] = toNode(tree[2 * place + 1]!, tree[2 * place + 2]!)
  const deviceAt = (place: number) => leaves[tree.length - 1 - place]!.device

  return {
    devices: leaves.map(({ device }) => device),
    root: toHex(tree[0]!),
    prove(asked) {
      if (asked.length === 0) throw new EmptyRunError()
      const queue = asked
        .map((device) => {
          const place = places.get(device.toLowerCase() as Address)
          if (place === undefined) throw new NotInRunError(device)
          return place
        })
        .sort((a, b) => b - a)
      const ordered = queue.map(deviceAt)
      const twice = ordered.find((device, i) => device === ordered[i - 1])
      if (twice !== undefined) throw new DuplicateDeviceError(twice)
      const proof: Hex[] = []
      const flags: boolean[] = []
      for (let head = 0; queue[head]! > 0; head++) {
        const place = queue[head]!
        const sibling = place % 2 === 0 ? place - 1 : place + 1
        const isComputed = queue[head + 1] === sibling
        if (isComputed) head++
        else proof.push(toHex(tree[sibling]!))
        flags.push(isComputed)
        queue.push(Math.floor((place - 1) / 2))
      }
      return { devices: ordered, flags, proof }
    },
  }
}

/**
 * Parses what {@link formatRun} writes: a DID or an address a line, in any order. Empty lines
 * are passed over.
 *
 * @throws {InvalidRunError}
 */
export function parseRun(text: string): Address[] {
  const devices = new Map<Address, number>()
  for (const [i, line] of text.split('\n').entries()) {
    const item = line.trim()
    if (item === '') continue
    const device = toDevice(item, i + 1)
    const first = devices.get(device)
    if (first !== undefined) throw new InvalidRunError(i + 1, `it is line ${first} again`)
    devices.set(device, i + 1)
  }
  if (devices.size === 0) throw new EmptyRunError()
  return [...devices.keys()]
}

/** Formats devices as the file that their maker publishes: a DID a line. Nothing in it is secret. */
export function formatRun(devices: readonly Address[]): string {
  return devices.map((device) => `${formatDid(fromHex(device))}\n`).join('')
}

export class EmptyRunError extends BaseError {
  override readonly name = 'EmptyRunError'
  constructor() {
    super('A run without devices endorses nothing.', { kind: 'input' })
  }
}

export class DuplicateDeviceError extends BaseError {
  override readonly name = 'DuplicateDeviceError'
  constructor(device: Address) {
    super(`${device} is there twice.`, { kind: 'input' })
  }
}

export class NotInRunError extends BaseError {
  override readonly name = 'NotInRunError'
  constructor(device: Address) {
    super(`${device.toLowerCase()} is not of this run.`, {
      kind: 'input',
      metaMessages: ['Its maker did not put it in, or this is the file of another run.'],
    })
  }
}

export class InvalidRunError extends BaseError {
  override readonly name = 'InvalidRunError'
  constructor(line: number, reason: string) {
    super(`Line ${line} of the run: ${reason}.`, {
      kind: 'input',
      metaMessages: ['A run is a list of devices: a DID or an address a line, each once.'],
    })
  }
}

function toDevice(item: string, line: number): Address {
  try {
    return toHex(parseDid(item))
  } catch {
    throw new InvalidRunError(line, 'it is neither a DID nor an address')
  }
}

/** Hashed twice, so that no leaf can be taken for a node. */
function toLeaf(address: Uint8Array): Uint8Array {
  return keccak256(keccak256(concatBytes(new Uint8Array(12), address)))
}

function toNode(a: Uint8Array, b: Uint8Array): Uint8Array {
  return keccak256(compareBytes(a, b) < 0 ? concatBytes(a, b) : concatBytes(b, a))
}
