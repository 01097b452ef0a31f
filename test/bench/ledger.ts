import { createHash, randomBytes } from 'node:crypto'
import { toHex } from '@machinefi/core'
import { buildLedger, type Entry } from '@machinefi/proof'
import { StandardMerkleTree } from '@openzeppelin/merkle-tree'
import { MerkleTree } from 'merkletreejs'
import { type Benchmark, speedup } from './Benchmark.js'
import { compare } from './cpu.js'

const members = 4_096

/** Builds the ledger of an epoch, against the libraries that dApps build such trees with. */
export const ledger: Benchmark = {
  name: 'ledger',
  async run() {
    const entries: Entry[] = Array.from({ length: members }, (_, slot) => ({
      cumulative: BigInt(slot) * 10n ** 18n,
      device: new Uint8Array(randomBytes(20)),
      steps: 24,
      traceRoot: new Uint8Array(randomBytes(32)),
      value: BigInt(slot),
    }))
    const pairs = entries.map(({ cumulative, device }): [string, bigint] => [
      toHex(device),
      cumulative,
    ])
    const leaves = pairs.map(([device, cumulative]) =>
      Buffer.from(device.slice(2) + cumulative.toString(16).padStart(32, '0'), 'hex'),
    )
    const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest()
    const micros = await compare({
      // Repeated, since one takes a time that the clock of the CPU hardly sees.
      ours: () => {
        for (let i = 0; i < repeats; i++) buildLedger(entries)
      },
      openzeppelin: () => StandardMerkleTree.of(pairs, ['address', 'uint256']),
      // Its own keccak is slower still: with OpenSSL's SHA-256 nobody can say it was held back.
      merkletreejs: () => new MerkleTree(leaves, sha256, { hashLeaves: true }),
    })
    const value = micros.ours / repeats / 1000
    const name = `ledger of ${members.toLocaleString('en-US')} entries`
    return [
      speedup({
        against: '@openzeppelin/merkle-tree',
        baseline: micros.openzeppelin / 1000,
        budget: 30,
        name: `${name}: OpenZeppelin`,
        unit: 'ms',
        value,
      }),
      speedup({
        against: 'merkletreejs',
        baseline: micros.merkletreejs / 1000,
        budget: 1,
        name: `${name}: merkletreejs`,
        unit: 'ms',
        value,
      }),
    ]
  },
}

const repeats = 20
