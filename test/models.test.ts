import {
  acceptModel,
  assurances,
  buildRun,
  ContractError,
  createModel,
  createNetwork,
  type Deployment,
  deployMachinefi,
  type Endorsement,
  encodePolicyParams,
  endorseRun,
  joinDevices,
  type Network,
  type Registration,
  type Run,
  readAcceptedModels,
  readMembers,
  readModel,
  readModels,
  readRequirements,
  readRuns,
  registerDevices,
  revokeRun,
  setRequirements,
  signRegistration,
  toDeviceAddress,
  toModelId,
  withdrawFees,
} from '@machinefi/contracts'
import { iDeviceRegistryAbi, iModelRegistryAbi } from '@machinefi/contracts/abis'
import { toHex } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import { encodeMetricParams } from '@machinefi/proof'
import { StandardMerkleTree } from '@openzeppelin/merkle-tree'
import fc from 'fast-check'
import {
  type Address,
  concat,
  encodeAbiParameters,
  type Hex,
  keccak256,
  parseAbiParameters,
  parseEther,
  slice,
  stringToHex,
  toFunctionSelector,
  zeroHash,
} from 'viem'
import { sendTransaction, waitForTransactionReceipt } from 'viem/actions'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Chain, devAccount, startChain } from '../packages/contracts/test/startChain.js'

const [owner, maker, walker, stranger] = [0, 1, 2, 3].map(
  (index) => devAccount(index).address.toLowerCase() as Address,
) as [Address, Address, Address, Address]
const seed = Number(process.env.FUZZ_SEED ?? 1)
const numRuns = Number(process.env.FUZZ_RUNS ?? 150)

const made = (i: number): Address => slice(keccak256(`0x${i.toString(16).padStart(8, '0')}`), 12)
const range = (count: number) => Array.from({ length: count }, (_, i) => i)

/** OpenZeppelin's own verdict on a proof of devices, in the order given. */
function isProven(root: Hex, devices: readonly Address[], proof: Hex[], flags: boolean[]): boolean {
  try {
    const leaves = devices.map((device) => [device])
    return StandardMerkleTree.verifyMultiProof(root, ['address'], {
      leaves,
      proof,
      proofFlags: flags,
    })
  } catch {
    return false
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

describe('buildRun', () => {
  test('behavior: roots and proofs are OpenZeppelin’s', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 70 }).chain((size) =>
          fc.record({
            asked: fc.uniqueArray(fc.nat(size - 1), { minLength: 1, maxLength: size }),
            size: fc.constant(size),
          }),
        ),
        ({ asked, size }) => {
          const devices = range(size).map(made)
          const run = buildRun(devices)
          const tree = StandardMerkleTree.of(
            devices.map((device) => [device]),
            ['address'],
          )
          expect(run.root).toBe(tree.root)
          const proven = run.prove(asked.map(made))
          const { leaves, proof, proofFlags } = tree.getMultiProof(asked)
          expect(proven).toEqual({ devices: leaves.flat(), flags: proofFlags, proof })
        },
      ),
      { numRuns, seed },
    )
  })
})

describe('on a chain', () => {
  let chain: Chain
  let deployment: Deployment
  let network: Network
  let models: Address
  let model: Hex
  const as = (index: number) => chain.createClient(index)

  beforeAll(async () => {
    chain = await startChain({ hardfork: 'prague' })
    deployment = await deployMachinefi(chain.client)
    const {
      hash: _,
      receipt: __,
      ...created
    } = await createNetwork(chain.client, {
      config: {
        schema: 1n,
        schemaHash: zeroHash,
        fields: 1,
        tickMs: 1000,
        metric: deployment.metrics.count,
        metricParams: toHex(encodeMetricParams({ type: 'count' })),
        policy: deployment.policy,
        policyParams: encodePolicyParams({ cap: 1n, rate: 1n, threshold: 0n }),
        operator: owner,
        grace: 5,
        challengeWindow: 10,
        responseTime: 60,
        takeoverDelay: 20,
        retention: 100,
        maxRowsBytes: 4096,
        minBond: parseEther('1'),
        coverage: 1n,
        challengeBond: parseEther('0.1'),
      },
      disputes: deployment.disputes,
      factory: deployment.factory,
      name: 'Steps',
      owner,
      symbol: 'STEP',
      windowSeconds: 60,
    })
    network = created
    const { registry } = deployment
    ;({ model } = await createModel(as(1), {
      assurance: 'secure-element',
      name: 'Walker',
      registry,
    }))
    models = await chain.client.readContract({
      abi: iDeviceRegistryAbi,
      address: registry,
      functionName: 'models',
    })
  })
  afterAll(() => chain?.close())

  const check = (devices: readonly Address[], root: Hex, proof: Hex[], flags: boolean[]) =>
    chain.client
      .readContract({
        abi: iModelRegistryAbi,
        address: models,
        args: [devices, { flags, model, proof, root }],
        functionName: 'check',
      })
      .then(
        (assurance) => assurances[assurance] === 'secure-element',
        () => false,
      )

  test('behavior: the contract takes the proofs that OpenZeppelin takes, whatever was tampered with', async () => {
    const sizes = [1, 2, 3, 7, 32, 100]
    const runs = new Map<number, Run>()
    for (const size of sizes) {
      const run = buildRun(range(size).map(made))
      runs.set(size, run)
      await endorseRun(as(1), { model, registry: deployment.registry, root: run.root })
    }
    const tamper = fc.constantFrom(
      ...(['nothing', 'bit', 'flag', 'foreign', 'twice', 'order', 'drop', 'more', 'less'] as const),
    )
    let taken = 0
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...sizes).chain((size) =>
          fc.record({
            asked: fc.uniqueArray(fc.nat(size - 1), { minLength: 1, maxLength: size }),
            place: fc.nat(1000),
            size: fc.constant(size),
          }),
        ),
        tamper,
        async ({ asked, place, size }, kind) => {
          const run = runs.get(size)!
          const { devices, flags, proof } = run.prove(asked.map(made))
          const at = (list: readonly unknown[]) => place % Math.max(list.length, 1)
          if (kind === 'bit' && proof.length > 0) {
            const i = at(proof)
            proof[i] =
              `0x${(BigInt(proof[i]!) ^ (1n << BigInt(place % 256))).toString(16).padStart(64, '0')}`
          }
          if (kind === 'flag' && flags.length > 0) flags[at(flags)] = !flags[at(flags)]
          if (kind === 'foreign') devices[at(devices)] = made(size + place)
          if (kind === 'twice') devices.push(devices[at(devices)]!)
          if (kind === 'order') devices.reverse()
          if (kind === 'drop') devices.splice(at(devices), 1)
          if (kind === 'more') proof.push(run.root)
          if (kind === 'less') proof.pop()
          // A proof of nothing shows any root: the one place where the contract is stricter.
          const expected = devices.length > 0 && isProven(run.root, devices, proof, flags)
          expect(await check(devices, run.root, proof, flags), kind).toBe(expected)
          if (kind === 'nothing') expect(expected).toBe(true)
          if (expected) taken++
        },
      ),
      { numRuns, seed },
    )
    expect(taken).toBeGreaterThan(numRuns / 20)
    expect(taken).toBeLessThan(numRuns)
  })

  test('error: a revoked run, a run of another model, and a model that is another’s', async () => {
    const { registry } = deployment
    const run = buildRun(range(5).map(made))
    const { devices, flags, proof } = run.prove([made(1), made(3)])
    expect(await check(devices, run.root, proof, flags)).toBe(false)
    await endorseRun(as(1), { model, registry, root: run.root })
    expect(await check(devices, run.root, proof, flags)).toBe(true)
    expect(await errorOf(endorseRun(as(1), { model, registry, root: run.root }))).toMatchObject({
      revert: { name: 'AlreadyEndorsed', args: [model, run.root] },
    })
    await revokeRun(as(1), { model, registry, root: run.root })
    expect(await check(devices, run.root, proof, flags)).toBe(false)
    expect(await errorOf(revokeRun(as(1), { model, registry, root: run.root }))).toMatchObject({
      revert: { name: 'NotEndorsed' },
    })
    expect(await errorOf(endorseRun(as(3), { model, registry, root: run.root }))).toMatchObject({
      revert: { name: 'NotMaker', args: [model, stranger] },
    })
    const runs = await readRuns(chain.client, { model, registry })
    expect(runs.at(-1)).toEqual({ endorsed: false, root: run.root })
    expect(runs.filter(({ endorsed }) => endorsed)).toHaveLength(6)
  })

  test('models are read by maker and by id', async () => {
    const { registry } = deployment
    const walkerModel = { id: model, maker, name: 'Walker', assurance: 'secure-element' }
    expect(toModelId({ maker, name: 'Walker' })).toBe(model)
    expect(
      await errorOf(createModel(as(1), { assurance: 'software', name: 'Walker', registry })),
    ).toMatchObject({ revert: { name: 'ModelExists', args: [model] } })
    await createModel(as(3), { assurance: 'gateway', name: 'Walker', registry })
    expect(await readModel(chain.client, { model, registry })).toEqual(walkerModel)
    expect(await readModel(chain.client, { model: zeroHash, registry })).toBe(null)
    expect(await readModels(chain.client, { maker, registry })).toEqual([walkerModel])
    expect(await readModels(chain.client, { models: [model], registry })).toEqual([walkerModel])
    expect(await readModels(chain.client, { models: [], registry })).toEqual([])
    expect(await readModels(chain.client, { registry })).toMatchObject([
      { maker },
      { assurance: 'gateway', maker: stranger },
    ])
  })

  test('behavior: a name that is no text, or an address, hides no other model', async () => {
    const { registry } = deployment
    // Bytes that no text has, a byte order mark, and what decoders write in lower case.
    const names: Hex[] = ['0xff00', '0xefbbbf41', stringToHex(`0x${'A'.repeat(40)}`)]
    const before = await readModels(chain.client, { registry })
    for (const name of names) {
      const parameters = parseAbiParameters('bytes, uint8')
      const data = concat([
        toFunctionSelector('create(string,uint8)'),
        encodeAbiParameters(parameters, [name, 1]),
      ])
      const hash = await sendTransaction(as(3), { data, to: models })
      expect((await waitForTransactionReceipt(chain.client, { hash })).status).toBe('success')
    }
    const all = await readModels(chain.client, { registry })
    expect(all.slice(0, before.length)).toEqual(before)
    expect(all.slice(before.length)).toMatchObject(
      names.map((name) => ({
        id: keccak256(encodeAbiParameters(parseAbiParameters('address, bytes'), [stranger, name])),
        maker: stranger,
      })),
    )
    expect(all.at(-1)!.name).toBe(`0x${'A'.repeat(40)}`)
  })

  test('a network names the models it believes, the least assurance, and a fee', async () => {
    const joinFee = parseEther('0.01')
    expect(await readRequirements(chain.client, { network })).toEqual({
      joinFee: 0n,
      leastAssurance: 'none',
    })
    for (const refused of [
      () => acceptModel(as(3), { model, network }),
      () => setRequirements(as(3), { joinFee, leastAssurance: 'software', network }),
    ])
      expect(await errorOf(refused())).toMatchObject({
        revert: { name: 'NotNetworkOwner', args: [stranger] },
      })
    await expect(
      setRequirements(chain.client, { joinFee: -1n, leastAssurance: 'none', network }),
    ).rejects.toThrow('A join fee is 0 … 2^96 − 1 wei, not -1.')
    await setRequirements(chain.client, { joinFee, leastAssurance: 'software', network })
    expect(await readRequirements(chain.client, { network })).toEqual({
      joinFee,
      leastAssurance: 'software',
    })
    const gatewayModel = toModelId({ maker: stranger, name: 'Walker' })
    expect(await readAcceptedModels(chain.client, { network })).toEqual([])
    await acceptModel(chain.client, { model: gatewayModel, network })
    await acceptModel(chain.client, { model, network })
    await acceptModel(chain.client, { accepted: false, model, network })
    expect(await readAcceptedModels(chain.client, { network })).toEqual([gatewayModel])
  })

  async function register(count: number, terms: { join: boolean; model?: Hex }) {
    return Promise.all(
      range(count).map(() =>
        signRegistration({
          chainId: 31337,
          deadline: 4_000_000_000,
          membership: terms.join ? network.membership : undefined,
          model: terms.model,
          owner: walker,
          registry: deployment.registry,
          signer: createSoftwareSigner(),
        }),
      ),
    )
  }

  const memberOf = async (device: Address) =>
    (await readMembers(chain.client, { network })).find((member) => member.device === device)

  test('devices join by their endorsement, for the fee', async () => {
    const { registry } = deployment
    const registrations = await register(4, { join: false })
    const devices = registrations.map(toDeviceAddress)
    await registerDevices(chain.client, { registrations, registry })
    const run = buildRun([...devices.slice(0, 3), ...range(20).map(made)])
    const endorsement: Endorsement = { model, run }
    const some = devices.slice(0, 2)
    const join = (parameters: Partial<joinDevices.Parameters>) =>
      errorOf(joinDevices(as(2), { devices: some, endorsement, network, ...parameters }))

    // Nothing of it is there yet; then one thing after the other.
    expect(await join({})).toMatchObject({ revert: { name: 'ModelNotAccepted', args: [model] } })
    await acceptModel(chain.client, { model, network })
    expect(await join({})).toMatchObject({
      revert: { name: 'NotEndorsed', args: [model, run.root] },
    })
    await endorseRun(as(1), { model, registry, root: run.root })
    expect(await join({ endorsement: undefined })).toMatchObject({
      revert: { name: 'AssuranceTooLow', args: [0, 2] },
    })
    const joinFee = parseEther('0.01')
    expect(await join({ joinFee: joinFee + 1n })).toMatchObject({
      revert: { name: 'WrongFee', args: [2n * joinFee + 2n, 2n * joinFee] },
    })
    await expect(
      joinDevices(as(2), { devices: devices.slice(2), endorsement, network }),
    ).rejects.toThrow(`${devices[3]} is not of this run.`)
    await expect(
      joinDevices(as(2), { devices: [...some, some[0]!], endorsement, network }),
    ).rejects.toThrow(`${some[0]} is there twice.`)
    // A gateway’s model is accepted, and too low.
    const gatewayModel = toModelId({ maker: stranger, name: 'Walker' })
    await endorseRun(as(3), { model: gatewayModel, registry, root: run.root })
    expect(await join({ endorsement: { model: gatewayModel, run } })).toMatchObject({
      revert: { name: 'AssuranceTooLow', args: [1, 2] },
    })

    await joinDevices(as(2), { devices: some, endorsement, network })
    for (const device of some)
      expect(await memberOf(device)).toMatchObject({ assurance: 'secure-element', owner: walker })
    expect(await join({ devices: [some[0]!] })).toMatchObject({
      revert: { name: 'AlreadyMember', args: [some[0]] },
    })
    // What was revoked lets nobody in any more; members stay what they are.
    await revokeRun(as(1), { model, registry, root: run.root })
    expect(await join({ devices: [devices[2]!] })).toMatchObject({
      revert: { name: 'NotEndorsed' },
    })
    expect(await memberOf(some[0]!)).toMatchObject({ assurance: 'secure-element' })
  })

  test('fleets are registered in the order of the run, each transaction by its own proof', async () => {
    const { registry } = deployment
    const registrations = await register(45, { join: true, model })
    const byDevice = new Map(registrations.map((one) => [toDeviceAddress(one), one]))
    const run = buildRun([...byDevice.keys(), ...range(955).map(made)])
    await endorseRun(as(1), { model, registry, root: run.root })
    const endorsement = { model, run }
    const all = { endorsement, registrations, registry }

    // Without the endorsement nobody can join them, not even where that is all that is needed.
    await setRequirements(chain.client, { joinFee: 7n, leastAssurance: 'none', network })
    const [first] = registrations
    expect(
      await errorOf(registerDevices(as(3), { registrations: [first!], registry })),
    ).toMatchObject({ revert: { name: 'WrongModel', args: [toDeviceAddress(first!), model] } })
    // With it a stranger is faster with two of the second transaction.
    const ordered = run.prove([...byDevice.keys()]).devices
    const two = [ordered[41]!, ordered[44]!].map((device) => byDevice.get(device) as Registration)
    await registerDevices(as(3), { ...all, registrations: two })

    const before = await chain.client.getBalance({ address: network.membership })
    const results = await registerDevices(chain.client, all)
    expect(results).toHaveLength(2)
    // 40 are within what a transaction may have, without a precompile.
    expect(results[0]!.receipt.gasUsed).toBeLessThan(2n ** 24n)
    expect((await chain.client.getBalance({ address: network.membership })) - before).toBe(43n * 7n)
    const members = await readMembers(chain.client, { network })
    const slots = new Map(
      members.map(({ assurance, device, slot }) => [device, { assurance, slot }]),
    )
    for (const device of ordered)
      expect(slots.get(device)).toMatchObject({ assurance: 'secure-element' })
    const rest = ordered.filter((_, i) => i !== 41 && i !== 44)
    expect(rest.map((device) => slots.get(device)!.slot - slots.get(rest[0]!)!.slot)).toEqual(
      range(43),
    )
    expect(await registerDevices(chain.client, all)).toEqual([])

    const [plain] = await register(1, { join: true })
    const mixed = { endorsement: { model, run: buildRun([toDeviceAddress(plain!)]) }, registry }
    await endorseRun(as(1), { model, registry, root: mixed.endorsement.run.root })
    expect(
      await errorOf(registerDevices(chain.client, { ...mixed, registrations: [plain!] })),
    ).toMatchObject({ revert: { name: 'WrongModel', args: [toDeviceAddress(plain!), zeroHash] } })
    await registerDevices(chain.client, { registrations: [plain!], registry })
    expect(await memberOf(toDeviceAddress(plain!))).toMatchObject({ assurance: 'none' })
  })

  test('error: a device that is a member with nobody to vouch for it is not done', async () => {
    const { registry } = deployment
    const signer = createSoftwareSigner()
    const terms = {
      chainId: 31337,
      deadline: 4_000_000_000,
      membership: network.membership,
      owner: walker,
      registry,
      signer,
    }
    const plain = await signRegistration(terms)
    await registerDevices(chain.client, { registrations: [plain], registry })
    const endorsed = await signRegistration({ ...terms, model })
    const run = buildRun([toDeviceAddress(endorsed)])
    await endorseRun(as(1), { model, registry, root: run.root })
    const asked = { endorsement: { model, run }, registrations: [endorsed], registry }
    expect(await errorOf(registerDevices(chain.client, asked))).toMatchObject({
      revert: { name: 'ERC721InvalidSender' },
    })
  })

  test('fees go to the network’s owner, whoever asks', async () => {
    const amount = await chain.client.getBalance({ address: network.membership })
    expect(amount).toBeGreaterThan(0n)
    expect(await withdrawFees(as(3), { network })).toMatchObject({ amount, owner })
    expect(await withdrawFees(as(3), { network })).toMatchObject({ amount: 0n })
  })
})
