import { evidenceVerifierAbi } from '@machinefi/contracts/abis'
import * as bytecode from '@machinefi/contracts/bytecode'
import { type Answer, buildAnswer, type Point, verifyAnswer } from '@machinefi/proof'
import {
  type Address,
  BaseError,
  type ContractFunctionArgs,
  type ContractFunctionName,
  ContractFunctionRevertedError,
  encodeFunctionData,
  getContractAddress,
  hexToBytes,
  toHex,
  zeroAddress,
} from 'viem'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import {
  toBatchEvidence,
  toEntryEvidence,
  toEpochEvidence,
  toInclusionEvidence,
  toWords,
} from '../packages/contracts/src/Dispute.js'
import { type Chain, deploy, startChain } from '../packages/contracts/test/startChain.js'
import { answersTo, lies } from '../packages/proof/test/createLie.js'
import {
  createRandom,
  createTestNetwork,
  network,
  pointsOf,
  type TestEpoch,
  windowSeconds,
} from '../packages/proof/test/createTestNetwork.js'

// `verifyAnswer` is what an operator asks before it pays for an answer, and what an auditor trusts
// when it calls a challenge certain: it must say what the contract says. Over random epochs, about
// honest answers, answers with something altered, and all that a liar could say.

const seeds = Number(process.env.FUZZ_SEEDS ?? 12)
vi.setConfig({ testTimeout: 30_000 + 20_000 * seeds })

let chain: Chain
let verifier: Address
let contracts: NonNullable<Parameters<typeof createTestNetwork>[1]>['contracts']
beforeAll(async () => {
  chain = await startChain({ args: ['--disable-block-gas-limit'], hardfork: 'osaka' })
  const place = async (code: `0x${string}`) => hexToBytes(await deploy(chain.client, code))
  contracts = {
    metrics: {
      average: await place(bytecode.averageMetricBytecode),
      count: await place(bytecode.countMetricBytecode),
      coverage: await place(bytecode.coverageMetricBytecode),
      distance: await place(bytecode.distanceMetricBytecode),
      sum: await place(bytecode.sumMetricBytecode),
    },
    policy: await place(bytecode.thresholdPolicyBytecode),
  }
  // The implementation of disputes makes the one that it asks.
  const from = await deploy(chain.client, bytecode.disputesBytecode)
  verifier = getContractAddress({ from, nonce: 1n })
}, 60_000)
afterAll(() => chain?.close())

type Name = ContractFunctionName<typeof evidenceVerifierAbi, 'pure' | 'view'>

/** Null where the contract takes an answer, else the error that it reverts with. */
async function ask(point: Point, answer: Answer, epoch: TestEpoch): Promise<string | null> {
  const call = toCall(point, answer, epoch)
  try {
    await chain.client.readContract({ abi: evidenceVerifierAbi, address: verifier, ...call })
    return null
  } catch (error) {
    if (!(error instanceof BaseError)) throw error
    const reverted = error.walk((e) => e instanceof ContractFunctionRevertedError)
    if (reverted instanceof ContractFunctionRevertedError)
      return reverted.data?.errorName ?? 'panic'
    throw error
  }
}

function toCall(point: Point, answer: Answer, { context, parent }: TestEpoch) {
  const read = <const name extends Name>(
    functionName: name,
    args: ContractFunctionArgs<typeof evidenceVerifierAbi, 'pure' | 'view', name>,
  ) => ({ args: args as never, functionName: functionName as Name })
  const target = {
    networkId: toHex(network),
    posted: toPosted(context),
    window: context.window,
    windowSeconds,
  }
  const isPaid = (device: Uint8Array | null) =>
    device !== null && context.member(device)?.paid === true
  if (point.kind === 'step' && answer.kind === 'step') {
    const { slot, step } = point
    const epoch = toEpochEvidence(answer.epoch)
    const entry = toEntryEvidence(answer.entry)
    if (answer.step === null) {
      const paid = isPaid(answer.entry.entry?.device ?? null)
      return read('checkEntry', [target, slot, step, epoch, entry, paid])
    }
    const { batch, before, inclusion, proof, records } = answer.step
    const evidence = {
      batch: toBatchEvidence(batch),
      before: {
        batchId: toHex(before?.batchId ?? new Uint8Array(32)),
        proof: toWords(before?.proof ?? new Uint8Array()),
        seq: BigInt(before?.seq ?? 0),
        state: toHex(before?.state ?? new Uint8Array()),
      },
      inclusion: toInclusionEvidence(inclusion),
      proof: toWords(proof),
      rows: toHex(records),
    }
    return read('checkStep', [target, slot, step, epoch, entry, evidence])
  }
  if (point.kind === 'carry' && answer.kind === 'carry') {
    const { device, slot } = point
    const evidence = [toEpochEvidence(answer.epoch), toEntryEvidence(answer.entry)] as const
    const before = toEntryEvidence(answer.before)
    const address = device === null ? zeroAddress : toHex(device)
    const posted = toPosted(parent?.context)
    return read('checkCarry', [target, posted, slot, address, ...evidence, before, isPaid(device)])
  }
  if (point.kind === 'omission' && answer.kind === 'omission') {
    const { earlier, entry, epoch, leaf, step } = answer
    const { batchId, device, index, seq, shard } = point
    return read('checkTraced', [
      target,
      context.member(device)?.slot ?? 0,
      {
        batchId: toHex(batchId),
        device: toHex(device),
        index: BigInt(index),
        seq: BigInt(seq),
        shard,
      },
      toEpochEvidence(epoch),
      toEntryEvidence(entry),
      {
        batchId: toHex(leaf.batchId),
        earlier: toInclusionEvidence(earlier),
        proof: toWords(leaf.proof),
        stateHash: toHex(leaf.stateHash),
        step,
      },
    ])
  }
  if (point.kind === 'consistency' && answer.kind === 'consistency') {
    const { root, shard, size } = point
    const epoch = toEpochEvidence(answer.epoch)
    const proof = toWords(answer.proof)
    return read('checkConsistency', [target, shard, BigInt(size), toHex(root), epoch, proof])
  }
  if (point.kind === 'reveal' && answer.kind === 'reveal') {
    const { height, index } = point
    const [nodes, siblings] = [toHex(answer.nodes), toHex(answer.siblings)]
    return read('checkNodes', [toPosted(context), height, index, nodes, siblings])
  }
  throw new Error(`${point.kind}, and an answer to ${answer.kind}`)
}

function toPosted(context: verifyAnswer.Context | undefined) {
  return {
    attempt: context?.attempt ?? 0,
    challengeEndsAt: 0,
    depth: context?.ledger.depth ?? 0,
    epochHash: toHex(context?.epochHash ?? new Uint8Array(32)),
    ledgerRoot: toHex(context?.ledger.root ?? new Uint8Array(32)),
    ledgerTotal: context?.ledger.total ?? 0n,
    openChallenges: 0,
    operatorId: 1,
  }
}

type Tally = { accepted: number; named: number; refused: number }

/** Asks both, many at once. */
async function compare(
  cases: readonly { answer: Answer; epoch: TestEpoch; point: Point }[],
  tally: Tally = { accepted: 0, named: 0, refused: 0 },
): Promise<Tally> {
  for (let from = 0; from < cases.length; from += 40)
    await Promise.all(
      cases.slice(from, from + 40).map(async ({ answer, epoch, point }) => {
        const here = await verifyAnswer(point, answer, epoch.context)
        const there = await ask(point, answer, epoch)
        const what = JSON.stringify({ here, there, point, answer }, (_, value) =>
          value instanceof Uint8Array
            ? toHex(Uint8Array.from(value))
            : typeof value === 'bigint'
              ? String(value)
              : value,
        )
        if (here.ok !== (there === null)) throw new Error(what)
        if (here.ok) tally.accepted++
        else tally.refused++
        if (!here.ok && here.reason === there) tally.named++
      }),
    )
  return tally
}

test('behavior: honest answers are taken by both, to every challenge of random epochs', async () => {
  const tally: Tally = { accepted: 0, named: 0, refused: 0 }
  for (let seed = 1; seed <= seeds; seed++)
    for (const epoch of await createTestNetwork(1000 + seed, { contracts })) {
      const points = pointsOf(epoch)
      await compare(
        points.map((point) => ({ answer: buildAnswer(point, epoch.source), epoch, point })),
        tally,
      )
    }
  expect(tally.refused).toBe(0)
  expect(tally.accepted).toBeGreaterThan(40 * seeds)
})

test('behavior: an altered answer is taken by both or by none', async () => {
  const tally: Tally = { accepted: 0, named: 0, refused: 0 }
  for (let seed = 1; seed <= seeds; seed++) {
    const random = createRandom(seed)
    for (const epoch of await createTestNetwork(2000 + seed, { contracts })) {
      const points = pointsOf(epoch)
      if (points.length === 0) continue
      const cases: { answer: Answer; epoch: TestEpoch; point: Point }[] = []
      for (let i = 0; i < 60; i++) {
        const point = random.pick(points)
        const answer = alter(buildAnswer(point, epoch.source), random) as Answer
        // Or an answer to another point of the kind.
        const others = points.filter(({ kind }) => kind === point.kind)
        const asked = random.chance(0.2) ? random.pick(others) : point
        cases.push({ answer, epoch, point: asked })
      }
      await compare(cases.filter(isEncodable), tally)
    }
  }
  expect(tally.refused).toBeGreaterThan(50 * seeds)
  // Most often for the same reason; the order of the checks is not the same.
  expect(tally.named / tally.refused).toBeGreaterThan(0.8)
})

test('behavior: whatever a liar says is taken by both or by none', async () => {
  const tally: Tally = { accepted: 0, named: 0, refused: 0 }
  for (let seed = 1; seed <= Math.ceil(seeds / 3); seed++)
    for (const honest of await createTestNetwork(3000 + seed, { contracts, members: 4 }))
      for (const [slot, { batches, paid }] of honest.claims.entries()) {
        if (!paid || batches.length < 2) continue
        for (const make of Object.values(lies)) {
          const random = createRandom(seed)
          const lie = await make(honest, slot, random)
          if (lie === null) continue
          const { epoch } = lie
          const steps = Math.min(lie.steps.length, 5)
          const points: Point[] = Array.from({ length: steps + 1 }, (_, step) => ({
            kind: 'step',
            slot,
            step,
          }))
          points.push({ kind: 'carry', device: honest.members[slot]!.device, slot })
          points.push(
            ...pointsOf(honest)
              .filter(({ kind }) => kind === 'omission')
              .slice(0, 3),
          )
          const point = random.pick(points)
          const answers = [...answersTo(point, lie)].slice(0, 12)
          await compare(
            answers.map((answer) => ({ answer, epoch, point })).filter(isEncodable),
            tally,
          )
        }
        break
      }
  expect(tally.refused).toBeGreaterThan(100)
})

/** Changes one number, byte or length somewhere in an answer. */
function alter(value: unknown, random: ReturnType<typeof createRandom>): unknown {
  if (value instanceof Uint8Array) {
    const bytes = Uint8Array.from(value)
    const unit = bytes.length % 48 === 0 ? 48 : bytes.length % 32 === 0 ? 32 : 1
    if (bytes.length === 0) return new Uint8Array(32 * random.below(2))
    if (random.chance(0.2)) return bytes.slice(unit)
    bytes[random.below(bytes.length)]! ^= 1 << random.below(8)
    return bytes
  }
  if (typeof value === 'number') return Math.max(0, value + random.pick([-1, 1, 2 ** 20]))
  if (typeof value === 'bigint') return value + random.pick([-1n, 1n, 10n ** 9n])
  if (typeof value === 'string')
    return value === 'ES256' ? 'ES256K' : value === 'ES256K' ? 'ES256' : value
  if (value === null) return null
  if (Array.isArray(value)) {
    if (value.length === 0) return value
    const at = random.below(value.length)
    return random.chance(0.2) ? value.toSpliced(at, 1) : value.with(at, alter(value[at], random))
  }
  const entries = Object.entries(value as object).filter(([key]) => key !== 'kind')
  const [key, inner] = random.pick(entries)
  const changed = (key === 'step' || key === 'earlier' || key === 'entry') && random.chance(0.05)
  return { ...(value as object), [key]: changed ? null : alter(inner, random) }
}

/** Whether an answer can be sent at all: some alterations are no words, or no uint. */
function isEncodable({ answer, epoch, point }: { answer: Answer; epoch: TestEpoch; point: Point }) {
  try {
    const { args, functionName } = toCall(point, answer, epoch)
    encodeFunctionData({ abi: evidenceVerifierAbi, args, functionName })
    return true
  } catch {
    return false
  }
}
