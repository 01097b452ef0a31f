import {
  answerChallenge,
  bondOperator,
  type Challenge,
  ContractError,
  challengeId,
  createNetwork,
  type Deployment,
  deployMachinefi,
  type Epoch,
  encodePolicyParams,
  joinDevices,
  listOperator,
  type Network,
  type NetworkConfig,
  openChallenge,
  type Point,
  postEpoch,
  proveFraud,
  readChallenge,
  readChallengeBond,
  readChallenges,
  readCredit,
  readEpochStatus,
  readMembers,
  readNextWindow,
  readOperator,
  readRevealed,
  readShownEntries,
  refundChallenge,
  registerDevices,
  signRegistration,
  suspendDevices,
  upholdChallenge,
  withdrawCredit,
} from '@machinefi/contracts'
import { publicKeyToAddress, type Signer } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import * as proof from '@machinefi/proof'
import {
  batchId,
  defineSchema,
  type Row,
  type SignedBatch,
  schemaHash,
  signBatch,
} from '@machinefi/telemetry'
import { type Address, type Hex, hexToBytes, parseEther, toHex, zeroAddress, zeroHash } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Chain, devAccount, startChain } from '../packages/contracts/test/startChain.js'

const schema = defineSchema({ id: 1, tickMs: 1000, fields: { steps: { unit: 'count' } } })
const metric = { type: 'sum', field: 0, min: 0, max: 500 } as const
const policy = { threshold: 10n, rate: 3n, cap: 5_000n }
const bond = parseEther('2')
const challengeBond = parseEther('0.1')
const day = 86_400
const zero = new Uint8Array(32)

const [, operator, challenger, rival, successor] = [0, 1, 2, 3, 4].map(
  (index) => devAccount(index).address.toLowerCase() as Address,
) as [Address, Address, Address, Address, Address]

type Logged = proof.LoggedBatch & { batch: SignedBatch }

/** What a node keeps of an epoch that it made, honestly or not. */
type Made = {
  window: number
  evidence: proof.EpochEvidence
  ledger: proof.Ledger
  logs: proof.Log[]
  source: proof.AnswerSource
}
type Posted = Made & { epoch: Epoch }

/** What a dishonest operator does to the claim of a slot. */
type Lie = (honest: { batches: Logged[]; entry: proof.Entry | null }) => {
  batches?: Logged[]
  entry?: proof.Entry | null
}

// One network of one operator and its five devices:
//   0 works · 1 works, is suspended in the second window · 2 has no data · 3 is suspended in the
//   first window · 4 joins in the first window
// and three windows: `first`, in which all but the last joined, and two with data.
describe.each(['prague', 'osaka'])('disputes on %s', (hardfork) => {
  let chain: Chain
  let deployment: Deployment
  let network: Network
  let id: Uint8Array
  let config: NetworkConfig
  let configBytes: Uint8Array
  let slots: { joinedAt: number; suspendedAt: number }[]
  let first: Posted
  /** The batches of the log in order, both shards together. */
  let logged: Logged[]
  let sizes: { [window: number]: number[] }
  const signers = (['ES256', 'ES256K', 'ES256', 'ES256', 'ES256'] as const).map((algorithm) =>
    createSoftwareSigner({ algorithm }),
  )
  const logSigner = createSoftwareSigner()
  const otherLogSigner = createSoftwareSigner()
  const as = (index: number) => chain.createClient(index)

  async function toTime(seconds: number) {
    await chain.client.setNextBlockTimestamp({ timestamp: BigInt(seconds) })
    await chain.client.mine({ blocks: 1 })
  }
  async function passTime(seconds: number) {
    const { timestamp } = await chain.client.getBlock()
    await toTime(Number(timestamp) + seconds)
  }
  /** Runs `scene` and takes everything back that it did to the chain. */
  async function inScene(scene: () => Promise<void>) {
    const snapshot = await chain.client.snapshot()
    try {
      // Not part of what is taken back.
      await chain.client.setNextBlockBaseFeePerGas({ baseFeePerGas: 10n ** 9n })
      await chain.client.mine({ blocks: 1 })
      await scene()
    } finally {
      await chain.client.revert({ id: snapshot })
    }
  }
  const errorOf = async (promise: Promise<unknown>) => {
    const error = await promise.then(
      () => undefined,
      (error) => error,
    )
    expect(error).toBeInstanceOf(ContractError)
    return error as ContractError
  }
  const refused = async (promise: Promise<unknown>, name: string) =>
    expect(await errorOf(promise)).toMatchObject({ revert: { name } })
  const balanceOf = (address: Address) => chain.client.getBalance({ address })
  const msOf = (window: number) => ({ start: window * 60_000, end: (window + 1) * 60_000 })

  const rowsAt = (start: number, values: number[]): Row[] =>
    values.map((value, i) => ({ time: start + 1000 * i, values: [value] }))
  const sign = (signer: Signer, seq: number, rows: Row[], of = id) =>
    signBatch({ network: of, rows, schema, seq, signer })

  const logOf = (shard: number, batches = logged) =>
    proof.createLog(
      Buffer.concat(batches.filter((one) => one.shard === shard).map((one) => one.id)),
    )

  const deviceOf = (slot: number) => publicKeyToAddress(signers[slot]!.publicKey)

  function isPaid(slot: number, window: number) {
    const { joinedAt, suspendedAt } = slots[slot]!
    const [start, end] = [window * 60, (window + 1) * 60]
    return joinedAt < start && (suspendedAt === 0 || suspendedAt >= end)
  }

  /** Makes an epoch by the rules, but for what `lies` say about slots; beyond the members', too. */
  function make(
    window: number,
    parent: Posted | null,
    lies: { [slot: number]: Lie } = {},
    logs = [logOf(0), logOf(1)],
  ): Made {
    const claims = new Map<number, Logged[]>()
    const heads = sizes[window]!.map((size, shard) => ({
      root: logs[shard]!.root(size),
      shard,
      size,
    })).filter(({ size }) => size > 0)
    const inLog = logged.filter(({ index, shard }) => index < (heads[shard]?.size ?? 0))
    const entries = Array.from({ length: 8 }, (_, slot): proof.Entry | null => {
      const device = slot < signers.length ? deviceOf(slot) : zero.slice(12)
      const before = parent?.ledger.entry(slot) ?? null
      const options = { device, schema: schema.id, window: msOf(window) }
      let batches = proof.selectBatches(inLog, options)
      let entry: proof.Entry | null = before && {
        ...before,
        steps: 0,
        traceRoot: new Uint8Array(32),
        value: 0n,
      }
      const fold = () => {
        const trace = proof.buildTrace({ batches, metric, schema, window: msOf(window) })
        const { root: traceRoot, steps, value } = trace
        const cumulative = (before?.cumulative ?? 0n) + proof.reward({ ...policy, value })
        return { cumulative, device, steps, traceRoot, value }
      }
      if (slot < signers.length && isPaid(slot, window)) entry = fold()
      const lie = lies[slot]?.({ batches, entry })
      if (lie?.batches) {
        batches = lie.batches
        entry = fold()
      }
      claims.set(slot, batches)
      return lie?.entry === undefined ? entry : lie.entry
    })
    const ledger = proof.buildLedger(entries, { depth: 3 })
    const evidence = {
      config: configBytes,
      logs: heads,
      memberCount: signers.length,
      parentHash: parent ? hexToBytes(parent.epoch.epochHash) : zero,
    }
    const source: proof.AnswerSource = {
      claim: (slot) => {
        const signer = signers[slot]
        if (!signer) return null
        const { algorithm, publicKey } = signer
        return { algorithm, batches: claims.get(slot)!, publicKey }
      },
      epoch: evidence,
      ledger,
      log: (shard) => logs[shard]!,
      metric,
      parentLedger: parent?.ledger ?? null,
      schema,
      window: msOf(window),
    }
    return { evidence, ledger, logs, source, window }
  }

  async function post(made: Made, index = 1): Promise<Posted> {
    const { evidence, ledger, window } = made
    const { epoch } = await postEpoch(as(index), {
      depth: ledger.depth,
      ledgerRoot: toHex(ledger.root),
      ledgerTotal: ledger.total,
      logs: evidence.logs.map(({ root, shard, size }) => ({
        root: toHex(root),
        shard,
        size: BigInt(size),
      })),
      network,
      parentHash: toHex(evidence.parentHash),
      window,
    })
    return { ...made, epoch }
  }

  const open = ({ epoch }: Posted, challenge: Challenge, index = 2) =>
    openChallenge(as(index), { attempt: epoch.attempt, challenge, network, window: epoch.window })
  const answer = ({ epoch }: Posted, point: Point, given: proof.Answer, index = 1) =>
    answerChallenge(as(index), {
      answer: given,
      attempt: epoch.attempt,
      network,
      point,
      window: epoch.window,
    })

  const signCheckpoint = async (shard: number, size: number, root: Uint8Array, time: number) =>
    proof.toCheckpointEvidence(
      await proof.signCheckpoint({
        network: id,
        operator: hexToBytes(operator),
        root,
        shard,
        signer: logSigner,
        size,
        time,
      }),
      logSigner.publicKey,
    )

  beforeAll(async () => {
    chain = await startChain({ hardfork, timestamp: 1_750_000_000 })
    // The zero address is where burned money goes: tips go elsewhere.
    await chain.client.setCoinbase({ address: `0x${'c0'.repeat(20)}` })
    deployment = await deployMachinefi(chain.client)
    config = {
      schema: BigInt(schema.id),
      schemaHash: toHex(schemaHash(schema)),
      fields: 1,
      tickMs: 1000,
      metric: deployment.metrics.sum,
      metricParams: toHex(proof.encodeMetricParams(metric)),
      policy: deployment.policy,
      policyParams: encodePolicyParams(policy),
      operator,
      grace: 5,
      challengeWindow: 7 * day,
      responseTime: day,
      takeoverDelay: 20,
      retention: 30 * day,
      maxRowsBytes: 4096,
      minBond: parseEther('1'),
      coverage: 1n,
      challengeBond,
    }
    const bytes = { metric: 0, metricParams: 0, operator: 0, policy: 0, policyParams: 0 }
    configBytes = proof.encodeConfig({
      ...config,
      ...(Object.fromEntries(
        Object.keys(bytes).map((key) => [key, hexToBytes(config[key as keyof typeof bytes])]),
      ) as Record<keyof typeof bytes, Uint8Array>),
      schema: schema.id,
      schemaHash: schemaHash(schema),
    })
    network = await createNetwork(chain.client, {
      config,
      disputes: deployment.disputes,
      factory: deployment.factory,
      name: 'Steps',
      owner: devAccount(0).address,
      symbol: 'STEP',
      windowSeconds: 60,
    })
    expect(network.disputes).not.toBe(zeroAddress)
    expect(network.disputes).not.toBe(deployment.disputes)
    id = hexToBytes(network.id)

    // Members, at the times that the game needs.
    const { registry } = deployment
    const { firstWindow } = network
    const register = async (slot: number, membership: Address | undefined) => {
      const registration = await signRegistration({
        chainId: 31337,
        deadline: 4_000_000_000,
        membership,
        owner: devAccount(0).address,
        registry,
        signer: signers[slot]!,
      })
      await registerDevices(chain.client, { registrations: [registration], registry })
    }
    await register(4, undefined)
    await toTime(firstWindow * 60 + 1)
    for (const slot of [0, 1, 2, 3]) await register(slot, network.membership)
    const devices = (slot: number) => [toHex(deviceOf(slot))]
    await toTime((firstWindow + 1) * 60 + 20)
    await suspendDevices(chain.client, { devices: devices(3), network })
    await joinDevices(chain.client, { devices: devices(4), network })
    await toTime((firstWindow + 2) * 60 + 20)
    await suspendDevices(chain.client, { devices: devices(1), network })
    slots = await readMembers(chain.client, { network })
    expect(slots).toHaveLength(5)

    // The log: device 0 has a batch in `first`, one that reaches into the next window, two in that,
    // a second one with the seq of the last, and so on.
    const { start } = msOf(firstWindow + 1)
    const next = msOf(firstWindow + 2).start
    const batches = [
      [0, 0, await sign(signers[0]!, 0, rowsAt(start - 40_000, [1, 2]))],
      [0, 0, await sign(signers[0]!, 1, rowsAt(start - 5_000, [1, 2, 3, 4, 5, 6, 7, 8]))],
      [1, 1, await sign(signers[1]!, 0, rowsAt(start + 1_000, [100, 200]))],
      [0, 0, await sign(signers[0]!, 2, rowsAt(start + 10_000, [10, 20, 30]))],
      [0, 0, await sign(signers[0]!, 3, rowsAt(start + 20_000, [40, 600, 50]))],
      [0, 0, await sign(signers[0]!, 3, rowsAt(start + 30_000, [400]))],
      [1, 4, await sign(signers[4]!, 0, rowsAt(start + 30_000, [7]))],
      // From here on in the second window's log.
      [0, 0, await sign(signers[0]!, 4, rowsAt(next + 1_000, [11, 12]))],
      [1, 4, await sign(signers[4]!, 1, rowsAt(next + 2_000, [9, 9, 9]))],
      [1, 1, await sign(signers[1]!, 1, rowsAt(next + 3_000, [5]))],
    ] as const
    const counts = [0, 0]
    logged = batches.map(([shard, , batch]) => ({
      batch,
      id: batchId(batch, id),
      index: counts[shard]!++,
      shard,
    }))
    sizes = { [firstWindow]: [1, 0], [firstWindow + 1]: [5, 2], [firstWindow + 2]: [6, 4] }

    const bonding = { logKey: toHex(logSigner.publicKey), network, value: bond }
    await bondOperator(as(1), bonding)
    await listOperator(chain.client, { network, operator: successor })
    await bondOperator(as(4), { ...bonding, logKey: toHex(otherLogSigner.publicKey) })

    await toTime((firstWindow + 3) * 60 + 5)
    first = await post(make(firstWindow, null))
  }, 120_000)
  afterAll(() => chain?.close())

  const window = () => network.firstWindow + 1

  /** Every point of an epoch that the contract lets anyone challenge. */
  async function everyChallenge(posted: Posted, before: Posted[]): Promise<Challenge[]> {
    const { evidence, ledger, logs } = posted
    const challenges: Challenge[] = []
    for (let slot = 0; slot < 8; slot++) {
      const steps = ledger.entry(slot)?.steps ?? 0
      for (const step of [...Array(steps + 1).keys(), 0xffffffff])
        challenges.push({ kind: 'step', slot, step })
      const device = slot < signers.length ? deviceOf(slot) : null
      challenges.push({ device, kind: 'carry', slot })
    }
    for (let height = 1; height <= ledger.depth; height++)
      for (let index = 0; index < 2 ** (ledger.depth - height); index++)
        challenges.push({ height, index, kind: 'reveal' })
    for (const { batch, index, shard } of logged) {
      const slot = signers.findIndex((_, i) => toHex(deviceOf(i)) === toHex(batch.device))
      const { length } = proof.selectBatches([{ batch, id: zero, index, shard }], {
        device: batch.device,
        schema: schema.id,
        window: msOf(posted.window),
      })
      if (length === 0 || !isPaid(slot, posted.window)) continue
      const { publicKey } = signers[slot]!
      const log = logs[shard]!
      challenges.push(proof.buildOmission({ batch, epoch: evidence, index, log, publicKey, shard }))
    }
    for (const { shard, size } of evidence.logs) {
      for (const earlier of before)
        if (earlier.evidence.logs.some((head) => head.shard === shard))
          challenges.push({
            earlier: { epoch: earlier.evidence, window: earlier.window },
            kind: 'consistency',
            shard,
          })
      for (let length = 1; length <= size; length++)
        challenges.push({
          checkpoint: await signCheckpoint(shard, length, logs[shard]!.root(length), 0),
          epoch: evidence,
          kind: 'checkpoint',
        })
    }
    return challenges
  }

  test('an honest operator answers every challenge, and earns by it', async () => {
    await inScene(async () => {
      const middle = await post(make(window(), first))
      const last = await post(make(window() + 1, middle))
      expect(middle.ledger.entry(0)).toMatchObject({ steps: 3, value: 171n })
      const burnedBefore = await balanceOf(zeroAddress)
      let opened = 0
      for (const [posted, before] of [
        [first, []],
        [middle, [first]],
        [last, [first, middle]],
      ] as const) {
        const challenges = await everyChallenge(posted, [...before])
        // Checkpoints and earlier epochs of one size are one point.
        const points = new Map<Hex, { challenge: Challenge; point: Point }>()
        for (const challenge of challenges) {
          const point = proof.toPoint(challenge as proof.Challenge, id)
          points.set(challengeId({ ...posted.epoch, point }), { challenge, point })
        }
        // Some at once, as they come.
        const all = [...points]
        for (let i = 0; i < all.length; i += 8) {
          const some = all.slice(i, i + 8)
          const results = await Promise.all(
            some.map(([, { challenge }]) => open(posted, challenge)),
          )
          expect(results.map(({ id }) => id)).toEqual(some.map(([id]) => id))
          expect(results.map(({ point }) => challengeId({ ...posted.epoch, point }))).toEqual(
            some.map(([id]) => id),
          )
          expect(new Set(results.map(({ bond }) => bond))).toEqual(new Set([challengeBond]))
          await Promise.all(
            results.map(async ({ id, point }) => {
              const given = proof.buildAnswer(point, posted.source)
              const { burned, paid, ...answered } = await answer(posted, point, given)
              expect(answered.id).toBe(id)
              expect(paid + burned).toBe(challengeBond)
            }),
          )
        }
        opened += all.length
        const known = await readChallenges(chain.client, { network, window: posted.window })
        expect(known.map(({ id }) => id).sort()).toEqual([...points.keys()].sort())
        expect(new Set(known.map(({ status }) => status))).toEqual(new Set(['answered']))
        expect(await readEpochStatus(chain.client, { network, ...posted.epoch })).toBe('pending')

        const shown = await readShownEntries(chain.client, { network, ...posted.epoch, slot: 0 })
        expect(shown.length).toBeGreaterThan(0)
        for (const { entry } of shown) expect(entry).toEqual(posted.ledger.entry(0))
        const revealed = await readRevealed(chain.client, { network, ...posted.epoch })
        const top = revealed.find(({ height }) => height === 3)!
        expect(top.nodes).toEqual(posted.ledger.nodeProof(3, 0).nodes)
      }
      expect(opened).toBeGreaterThan(100)
      const half = (BigInt(opened) * challengeBond) / 2n
      expect(await readCredit(chain.client, { account: operator, network })).toBe(half)
      expect(await readCredit(chain.client, { account: challenger, network })).toBe(0n)
      expect(await balanceOf(network.disputes)).toBe(half)
      expect((await balanceOf(zeroAddress)) - burnedBefore).toBe(half)
      expect(await readOperator(chain.client, { network, operator })).toMatchObject({ bond })

      const before = await balanceOf(operator)
      const { amount, receipt } = await withdrawCredit(as(1), { network })
      expect(amount).toBe(half)
      const fee = receipt.gasUsed * receipt.effectiveGasPrice
      expect(await balanceOf(operator)).toBe(before + half - fee)
      await refused(withdrawCredit(as(1), { network }), 'NothingToWithdraw')
    })
  }, 240_000)

  test('what was answered, or is open, cannot be challenged again', async () => {
    await inScene(async () => {
      const posted = await post(make(window(), first))
      const challenge = { kind: 'step', slot: 0, step: 1 } as const
      const { deadline, id: opened, ...rest } = await open(posted, challenge)
      const { timestamp } = await chain.client.getBlock()
      expect(deadline).toBe(Number(timestamp) + day)
      expect(rest).toMatchObject({ bond: challengeBond, challenger, point: challenge })
      expect(await readChallenge(chain.client, { id: opened, network })).toEqual({
        attempt: 1,
        bond: challengeBond,
        challenger,
        deadline,
        id: opened,
        kind: 'step',
        responseTime: day,
        status: 'open',
        window: window(),
      })
      await refused(open(posted, challenge, 3), 'AlreadyChallenged')
      await refused(upholdChallenge(as(2), { id: opened, network }), 'DeadlineNotOver')
      await refused(refundChallenge(as(2), { id: opened, network }), 'NotVoid')
      // Anyone may answer.
      const given = proof.buildAnswer(challenge, posted.source)
      await answer(posted, challenge, given, 3)
      expect(await readCredit(chain.client, { account: rival, network })).toBe(challengeBond / 2n)
      await refused(open(posted, challenge), 'AlreadyChallenged')
      await refused(answer(posted, challenge, given), 'NotOpen')
      await refused(upholdChallenge(as(2), { id: opened, network }), 'NotOpen')
      expect(await readChallenge(chain.client, { id: zeroHash, network })).toMatchObject({
        status: 'none',
      })
      await expect(answer(posted, { device: null, kind: 'carry', slot: 7 }, given)).rejects.toThrow(
        'A challenge of kind carry has no answer of kind step.',
      )
    })
  })

  test('of two challengers at once one comes too late', async () => {
    await inScene(async () => {
      const posted = await post(make(window(), first))
      const point = { kind: 'step', slot: 0, step: 0 } as const
      await chain.client.setAutomine(false)
      try {
        const both = Promise.allSettled([open(posted, point, 2), open(posted, point, 3)])
        await expect
          .poll(async () => (await chain.client.getTxpoolStatus()).pending, { timeout: 10_000 })
          .toBe(2)
        await chain.client.mine({ blocks: 1 })
        const results = await both
        expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
        const { reason } = results.find((result) => result.status === 'rejected')!
        expect(reason).toBeInstanceOf(ContractError)
        expect(reason).toMatchObject({ revert: { name: 'AlreadyChallenged' } })
        expect(reason.hash).toMatch(/^0x/)
      } finally {
        await chain.client.setAutomine(true)
      }
    })
  })

  test('what cannot be challenged is refused at once', async () => {
    await inScene(async () => {
      const posted = await post(make(window(), first))
      const { evidence: epoch, logs } = posted
      const device = deviceOf(1)
      await refused(open(posted, { kind: 'step', slot: 8, step: 0 }), 'SlotOutOfBounds')
      await refused(open(posted, { device, kind: 'carry', slot: 0 }), 'NotMemberOfSlot')
      await refused(open(posted, { device: null, kind: 'carry', slot: 0 }), 'NotMemberOfSlot')
      await refused(open(posted, { height: 0, index: 0, kind: 'reveal' }), 'NodeOutOfBounds')
      await refused(open(posted, { height: 3, index: 1, kind: 'reveal' }), 'NodeOutOfBounds')
      const omission = (i: number, changes: object = {}) => {
        const { batch, index, shard } = logged[i]!
        const slot = signers.findIndex((_, slot) => toHex(deviceOf(slot)) === toHex(batch.device))
        const { publicKey } = signers[slot]!
        const log = logs[shard]!
        const built = proof.buildOmission({ batch, epoch, index, log, publicKey, shard })
        return { ...built, ...changes }
      }
      await refused(open(posted, omission(0)), 'OutsideWindow')
      // Of a member that joined too late.
      await refused(open(posted, omission(6)), 'NotPaid')
      const { batch, inclusion } = omission(3)
      const signature = omission(2).batch.signature
      const forged = omission(3, { batch: { ...batch, signature } })
      await refused(open(posted, forged), 'InvalidBatchSignature')
      const elsewhere = omission(3, { inclusion: { ...inclusion, index: 1 } })
      await refused(open(posted, elsewhere), 'NotInLog')
      const other = omission(3, { epoch: { ...epoch, memberCount: 4 } })
      await refused(open(posted, other), 'WrongEpoch')
      const checkpoint = await signCheckpoint(0, 6, zero, 0)
      await refused(open(posted, { checkpoint, epoch, kind: 'checkpoint' }), 'InvalidSize')
      const strange = { ...(await signCheckpoint(0, 3, zero, 0)), size: 4 }
      await refused(
        open(posted, { checkpoint: strange, epoch, kind: 'checkpoint' }),
        'InvalidCheckpointSignature',
      )
      const earlier = { epoch, window: posted.window }
      await refused(open(posted, { earlier, kind: 'consistency', shard: 0 }), 'NotEarlierWindow')
      const empty = { epoch: first.evidence, window: first.window }
      await refused(open(posted, { earlier: empty, kind: 'consistency', shard: 1 }), 'InvalidSize')
      const attempt = { ...posted, epoch: { ...posted.epoch, attempt: 2 } }
      await refused(open(attempt, { kind: 'step', slot: 0, step: 0 }), 'NotStanding')
      const cheap = openChallenge(as(2), {
        attempt: 1,
        bond: challengeBond - 1n,
        challenge: { kind: 'step', slot: 0, step: 0 },
        network,
        window: posted.window,
      })
      await refused(cheap, 'BondTooSmall')
      await passTime(7 * day)
      await refused(open(posted, { kind: 'step', slot: 0, step: 0 }), 'ChallengeTimeOver')
    })
  })

  test('a bond grows with the base fee, with room for it to rise', async () => {
    await inScene(async () => {
      const posted = await post(make(window(), first))
      const asked = { network, window: posted.window }
      expect(await readChallengeBond(chain.client, asked)).toBe(challengeBond)
      const dear = 10n ** 12n
      const gas = 4n * (await answerGas())
      expect(await readChallengeBond(chain.client, { ...asked, baseFee: dear })).toBe(gas * dear)

      // Mined at the base fee that it was read at, and at the highest one after three full blocks.
      for (const [step, mined] of [dear, (dear * 9n ** 3n) / 8n ** 3n].entries()) {
        await chain.client.setNextBlockBaseFeePerGas({ baseFeePerGas: dear })
        await chain.client.mine({ blocks: 1 })
        await chain.client.setNextBlockBaseFeePerGas({ baseFeePerGas: mined })
        const { bond, receipt } = await open(posted, { kind: 'step', slot: 0, step })
        expect(bond).toBe((gas * dear * 3n) / 2n)
        const { baseFeePerGas } = await chain.client.getBlock({ blockHash: receipt.blockHash })
        expect(baseFeePerGas).toBe(mined)
      }
    })
  })

  async function answerGas(): Promise<bigint> {
    // From the outside: the bond at a base fee of one gwei, over four.
    const asked = { baseFee: 10n ** 30n, network, window: window() }
    return (await readChallengeBond(chain.client, asked)) / 10n ** 30n / 4n
  }

  /** Device 0's honest batches and entry, and what to change. */
  const lieAbout0 = (change: Lie) => ({ 0: change })
  const inflated: Lie = ({ entry }) => ({ entry: { ...entry!, value: entry!.value + 1n } })
  const dropped =
    (i: number): Lie =>
    ({ batches }) => ({ batches: batches.filter((_, j) => j !== i) })
  const withRows =
    (i: number, values: number[]): Lie =>
    ({ batches }) => {
      const { batch, ...place } = batches[i]!
      const { start } = batch.header
      const records = proofRecords(rowsAt(start, values))
      return { batches: batches.with(i, { ...place, batch: { ...batch, records } }) }
    }
  const proofRecords = (rows: Row[]) => {
    const bytes = [0x80 | rows.length]
    for (const [i, { values }] of rows.entries()) {
      const [value] = values as [number]
      bytes.push(0x82, i === 0 ? 0 : 1)
      bytes.push(
        ...(value < 24 ? [value] : value < 256 ? [0x18, value] : [0x19, value >> 8, value & 255]),
      )
    }
    return Uint8Array.from(bytes)
  }

  // [the lie, what it says of which slot, the challenge, what refuses the best answer it has]
  const lies: [string, { [slot: number]: Lie }, Challenge, string][] = [
    ['an inflated value', lieAbout0(inflated), { kind: 'step', slot: 0, step: 2 }, 'WrongValue'],
    ['a value without steps', { 2: inflated }, { kind: 'step', slot: 2, step: 0 }, 'WrongValue'],
    [
      'rows that were never signed',
      lieAbout0(withRows(1, [10, 20, 300])),
      { kind: 'step', slot: 0, step: 1 },
      'WrongRows',
    ],
    [
      'a batch counted twice',
      lieAbout0(({ batches }) => ({ batches: [...batches, batches[2]!] })),
      { kind: 'step', slot: 0, step: 3 },
      'SeqNotAfter',
    ],
    [
      'a batch of another window',
      lieAbout0(({ batches }) => ({ batches: [logged[0]!, ...batches] })),
      { kind: 'step', slot: 0, step: 0 },
      'OutsideWindow',
    ],
    [
      'a batch of another device',
      lieAbout0(({ batches }) => ({ batches: [...batches, logged[2]!] })),
      { kind: 'step', slot: 0, step: 3 },
      'InvalidBatchSignature',
    ],
    [
      'a forged signature',
      lieAbout0(({ batches }) => {
        const { batch } = batches[1]!
        const signature = batches[2]!.batch.signature
        return { batches: batches.with(1, { ...batches[1]!, batch: { ...batch, signature } }) }
      }),
      { kind: 'step', slot: 0, step: 1 },
      'InvalidBatchSignature',
    ],
    [
      'a batch that is not in the log',
      lieAbout0(({ batches }) => ({ batches: batches.with(2, { ...batches[2]!, index: 4 }) })),
      { kind: 'step', slot: 0, step: 2 },
      'NotInLog',
    ],
    [
      'a reward too high',
      lieAbout0(({ entry }) => ({ entry: { ...entry!, cumulative: entry!.cumulative + 1n } })),
      carryOf(0),
      'WrongCumulative',
    ],
    [
      'another device in the slot',
      lieAbout0(({ entry }) => ({ entry: { ...entry!, device: deviceOf(4) } })),
      carryOf(0),
      'WrongDevice',
    ],
    ['a member left out', lieAbout0(() => ({ entry: null })), carryOf(0), 'WrongDevice'],
    [
      'pay for a member that is not paid',
      { 3: () => ({ entry: entryOf(3, 50n) }) },
      carryOf(3),
      'NotCarried',
    ],
    [
      'a total inflated beyond the members',
      { 7: () => ({ entry: entryOf(7, 1_000n) }) },
      carryOf(7),
      'NotCarried',
    ],
  ]

  function carryOf(slot: number): Challenge {
    return { device: slot < signers.length ? deviceOf(slot) : null, kind: 'carry', slot }
  }

  function entryOf(slot: number, cumulative: bigint): proof.Entry {
    const device = new Uint8Array(20).fill(slot)
    if (slot < signers.length) device.set(deviceOf(slot))
    return { cumulative, device, steps: 0, traceRoot: zero, value: 0n }
  }

  /** Ends a challenge that was not answered; everyone has what is theirs after it, and `rest` is left. */
  async function slash(posted: Posted, opened: openChallenge.ReturnType, rest = 0n) {
    // Somebody else is challenging, too.
    const other = await open(posted, { height: 1, index: 3, kind: 'reveal' }, 3)
    const point = { height: 1, index: 3, kind: 'reveal' } as const
    await passTime(day)
    await refused(answer(posted, point, proof.buildAnswer(point, posted.source)), 'DeadlineOver')
    await passTime(1)
    const burnedBefore = await balanceOf(zeroAddress)
    const upheld = await upholdChallenge(as(2), { id: opened.id, network })
    expect(upheld).toMatchObject({ challenger, operator, reward: bond / 2n })
    expect((await balanceOf(zeroAddress)) - burnedBefore).toBe(bond / 2n)
    expect(await readOperator(chain.client, { network, operator })).toMatchObject({
      bond: 0n,
      leaving: 0n,
      listed: false,
    })
    expect(await readEpochStatus(chain.client, { network, ...posted.epoch })).toBe('void')
    // All that it had pending.
    expect(await readNextWindow(chain.client, { network })).toBe(first.window)
    expect(await readChallenge(chain.client, { id: opened.id, network })).toMatchObject({
      status: 'upheld',
    })

    await refused(upholdChallenge(as(3), { id: other.id, network }), 'NotStanding')
    expect(await refundChallenge(as(0), { id: other.id, network })).toMatchObject({
      bond: challengeBond,
    })
    const before = await balanceOf(challenger)
    const { amount, receipt } = await withdrawCredit(as(2), { network })
    expect(amount).toBe(bond / 2n + opened.bond)
    const fee = receipt.gasUsed * receipt.effectiveGasPrice
    expect(await balanceOf(challenger)).toBe(before + amount - fee)
    expect(await withdrawCredit(as(3), { network })).toMatchObject({ amount: challengeBond })
    expect(await balanceOf(network.disputes)).toBe(rest)
  }

  test.each(lies)('%s is slashed', async (_, about, challenge, error) => {
    await inScene(async () => {
      const posted = await post(make(window(), first, about))
      const opened = await open(posted, challenge)
      const given = proof.buildAnswer(opened.point, posted.source)
      await refused(answer(posted, opened.point, given), error)
      await slash(posted, opened)
    })
  })

  test('a wrong fold is slashed', async () => {
    await inScene(async () => {
      const posted = await post(make(window(), first, lieAbout0(withRows(1, [10, 20, 300]))))
      const point = { kind: 'step', slot: 0, step: 1 } as const
      const opened = await open(posted, point)
      const given = proof.buildAnswer(point, posted.source)
      if (given.kind !== 'step' || given.step === null) throw new Error('no step')
      const records = logged[3]!.batch.records!
      await refused(
        answer(posted, point, { ...given, step: { ...given.step, records } }),
        'WrongLeaf',
      )
      // Nor is there no such step.
      await refused(answer(posted, point, { ...given, step: null }), 'StepExists')
      // The steps before and after it follow from what they follow from.
      for (const step of [0, 2]) {
        const fine = { kind: 'step', slot: 0, step } as const
        await open(posted, fine, 3)
        await answer(posted, fine, proof.buildAnswer(fine, posted.source))
      }
      await slash(posted, opened, challengeBond)
    })
  })

  test('an omitted batch is slashed, the second of one seq is not missed', async () => {
    await inScene(async () => {
      const posted = await post(make(window(), first, lieAbout0(dropped(1))))
      const { evidence: epoch, logs } = posted
      const omission = (i: number) => {
        const { batch, index, shard } = logged[i]!
        const { publicKey } = signers[0]!
        return proof.buildOmission({ batch, epoch, index, log: logs[shard]!, publicKey, shard })
      }
      const second = await open(posted, omission(5), 3)
      await answer(posted, second.point, proof.buildAnswer(second.point, posted.source))
      const opened = await open(posted, omission(3))
      expect(opened.point).toMatchObject({ index: 2, kind: 'omission', seq: 2, shard: 0 })
      expect(() => proof.buildAnswer(opened.point, posted.source)).toThrow(proof.UnanswerableError)
      // What it has of other batches does not do.
      const given = proof.buildAnswer(second.point, posted.source)
      await refused(answer(posted, opened.point, given), 'WrongLeaf')
      await slash(posted, opened, challengeBond / 2n)
    })
  })

  test('silence is slashed: nothing was shown', async () => {
    await inScene(async () => {
      const posted = await post(make(window(), first))
      await slash(posted, await open(posted, { height: 3, index: 0, kind: 'reveal' }))
    })
  })

  /** The log of shard 0 with another batch at a place. */
  const rewritten = (at: number) =>
    logOf(
      0,
      logged.map((one) =>
        one.shard === 0 && one.index === at ? { ...one, id: logged[2]!.id } : one,
      ),
    )

  test('a rewritten log is slashed, by what was posted or signed', async () => {
    await inScene(async () => {
      const middle = await post(make(window(), first))
      const last = await post(make(window() + 1, middle, {}, [rewritten(0), logOf(1)]))
      const opened = await open(last, {
        earlier: { epoch: middle.evidence, window: middle.window },
        kind: 'consistency',
        shard: 0,
      })
      expect(opened.point).toMatchObject({ kind: 'consistency', shard: 0, size: 5 })
      expect(() => proof.buildAnswer(opened.point, last.source)).toThrow(proof.UnanswerableError)
      const between = await signCheckpoint(0, 3, logOf(0).root(3), 0)
      const signed = await open(last, {
        checkpoint: between,
        epoch: last.evidence,
        kind: 'checkpoint',
      })
      expect(signed.point).toMatchObject({ kind: 'consistency', shard: 0, size: 3 })
      const given = {
        epoch: last.evidence,
        kind: 'consistency',
        proof: rewritten(0).consistencyProof(5, 6),
      } as const
      await refused(answer(last, opened.point, given), 'Inconsistent')
      // The other challenge of the same log is not refunded yet.
      await slash(last, opened, challengeBond)
      await refundChallenge(as(0), { id: signed.id, network })
      expect(await withdrawCredit(as(2), { network })).toMatchObject({ amount: challengeBond })
    })
  })

  test('a forked log is slashed at once, even where all is final', async () => {
    await inScene(async () => {
      const posted = await post(make(window(), first))
      await passTime(7 * day)
      const checkpoints = [
        await signCheckpoint(0, 4, logOf(0).root(4), 1_000),
        await signCheckpoint(0, 4, rewritten(1).root(4), 2_000),
      ] as const
      const found = proof.findFork(checkpoints)!
      expect(found.kind).toBe('fork')
      const same = { ...found, checkpoints: [checkpoints[0], checkpoints[0]] } as const
      await refused(proveFraud(as(2), { network, proof: same }), 'NoFork')
      expect(await proveFraud(as(2), { network, proof: found })).toMatchObject({
        accused: operator,
        reward: bond / 2n,
      })
      expect(await withdrawCredit(as(2), { network })).toMatchObject({ amount: bond / 2n })
      expect(await readOperator(chain.client, { network, operator })).toMatchObject({ bond: 0n })
      expect(await readEpochStatus(chain.client, { network, ...posted.epoch })).toBe('final')
    })
  })

  test('a truncated log is slashed: a receipt was a promise', async () => {
    await inScene(async () => {
      const posted = await post(make(window(), first))
      const cutoff = (window() + 1) * 60_000 + 5_000
      const proofOf = async (size: number, time: number) => ({
        checkpoint: await signCheckpoint(1, size, logOf(1).root(size), time),
        epoch: posted.evidence,
        kind: 'truncation' as const,
      })
      const at = { attempt: 1, network, window: window() }
      // Not more than posted, and not before the cut-off.
      for (const [size, time] of [
        [2, cutoff - 1_000],
        [3, cutoff],
      ] as const)
        await refused(
          proveFraud(as(2), { ...at, proof: await proofOf(size, time) }),
          'NoTruncation',
        )
      const odd = await proofOf(3, cutoff - 1_000)
      const checkpoint = { ...odd.checkpoint, time: odd.checkpoint.time + 1 }
      await expect(proveFraud(as(2), { ...at, proof: { ...odd, checkpoint } })).rejects.toThrow(
        'A checkpoint is dated to the second',
      )
      expect(await proveFraud(as(2), { ...at, proof: odd })).toMatchObject({
        accused: operator,
        reward: bond / 2n,
      })
      expect(await readEpochStatus(chain.client, { network, ...posted.epoch })).toBe('void')
      expect(await readCredit(chain.client, { account: challenger, network })).toBe(bond / 2n)
    })
  })

  test('a device that signs two batches of one seq is suspended', async () => {
    await inScene(async () => {
      const { publicKey } = signers[0]!
      const [a, b, c] = [4, 5, 3].map((i) => logged[i]!.batch) as [
        SignedBatch,
        SignedBatch,
        SignedBatch,
      ]
      const found = proof.findEquivocation(a, b, { network: id, publicKey })!
      const batches = [a, c].map((batch) => proof.toBatchEvidence(batch, publicKey))
      const other = { kind: 'equivocation', batches: [batches[0]!, batches[1]!] } as const
      await refused(proveFraud(as(2), { network, proof: other }), 'NoEquivocation')
      expect(await proveFraud(as(2), { network, proof: found })).toMatchObject({
        accused: toHex(deviceOf(0)),
        reward: 0n,
      })
      const [member] = await readMembers(chain.client, { network })
      expect(member!.suspendedAt).toBeGreaterThan(0)
      await refused(proveFraud(as(2), { network, proof: found }), 'AlreadySuspended')
    })
  })

  test('what was final stays, and another operator goes on from it', async () => {
    await inScene(async () => {
      await passTime(7 * day)
      const lying = await post(make(window(), first, lieAbout0(inflated)))
      const opened = await open(lying, { kind: 'step', slot: 0, step: 2 })
      await passTime(day + 1)
      await upholdChallenge(as(2), { id: opened.id, network })
      expect(await readEpochStatus(chain.client, { network, ...first.epoch })).toBe('final')
      expect(await readNextWindow(chain.client, { network })).toBe(window())
      await refused(post(make(window(), first)), 'NotListed')
      const honest = await post(make(window(), first), 4)
      expect(honest.epoch).toMatchObject({ attempt: 2, operator: successor })
      // The log is the new operator's: what the one before posted binds it to nothing.
      const earlier = { epoch: first.evidence, window: first.window }
      await refused(open(honest, { earlier, kind: 'consistency', shard: 0 }), 'NotOperator')
      await open(honest, { kind: 'step', slot: 0, step: 2 })
      const point = { kind: 'step', slot: 0, step: 2 } as const
      await answer(honest, point, proof.buildAnswer(point, honest.source), 4)
      await passTime(7 * day)
      expect(await readEpochStatus(chain.client, { network, ...honest.epoch })).toBe('final')
    })
  })

  test('an answer with as many rows as fit is mined within its limit', async () => {
    await inScene(async () => {
      const values = Array.from({ length: 1_000 }, (_, i) => 24 + (i % 200))
      const { end } = msOf(window())
      const batch = await sign(signers[2]!, 0, rowsAt(end - 999_000, values))
      expect(batch.records!.length).toBeGreaterThan(3_900)
      const before = { logged, sizes }
      try {
        const index = logged.filter(({ shard }) => shard === 1).length
        logged = [...logged, { batch, id: batchId(batch, id), index, shard: 1 }]
        sizes = { ...sizes, [window()]: [5, index + 1] }
        const posted = await post(make(window(), first))
        const point = { kind: 'step', slot: 2, step: 0 } as const
        await open(posted, point)
        const given = proof.buildAnswer(point, posted.source)
        const { hash, receipt } = await answer(posted, point, given)
        const { gas } = await chain.client.getTransaction({ hash })
        expect(receipt.gasUsed).toBeGreaterThan(800_000n)
        expect(gas).toBeGreaterThan((receipt.gasUsed * 6n) / 5n)
        // What a bond is worth covers it, as it must.
        expect(receipt.gasUsed).toBeLessThan(await answerGas())
      } finally {
        ;({ logged, sizes } = before)
      }
    })
  })
})
