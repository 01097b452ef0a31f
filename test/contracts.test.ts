import {
  addresses,
  bondOperator,
  ContractError,
  configHash,
  createNetwork,
  type Deployment,
  deployMachinefi,
  encodePolicyParams,
  finalizeEpochs,
  isLogKey,
  joinDevices,
  listOperator,
  type Member,
  type Network,
  type NetworkConfig,
  postEpoch,
  readConfig,
  readEpoch,
  readEpochs,
  readFinalWindow,
  readMembers,
  readNetwork,
  readNextWindow,
  readOperator,
  readPaid,
  redeem,
  registerDevices,
  requestWithdrawal,
  rotateLogKey,
  setConfig,
  signRegistration,
  suspendDevices,
  watchEpochs,
  withdrawBond,
} from '@machinefi/contracts'
import { iSettlementAbi } from '@machinefi/contracts/abis'
import { publicKeyToAddress } from '@machinefi/core'
import { createSoftwareSigner, type SoftwareSigner } from '@machinefi/device'
import * as proof from '@machinefi/proof'
import {
  type Address,
  createClient,
  custom,
  erc20Abi,
  type Hex,
  hexToBytes,
  keccak256,
  pad,
  parseEther,
  stringToHex,
  toHex,
  zeroAddress,
  zeroHash,
} from 'viem'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Chain, devAccount, startChain } from '../packages/contracts/test/startChain.js'

const [owner, operator, walker, stranger] = [0, 1, 2, 3].map(
  (index) => devAccount(index).address.toLowerCase() as Address,
) as [Address, Address, Address, Address]
const far = 4_000_000_000
const logKey = toHex(createSoftwareSigner().publicKey)
const addressOf = (key: Hex) => toHex(publicKeyToAddress(hexToBytes(key)))
const policy = { threshold: 10n, rate: 3n, cap: 100n }
const metric = { type: 'sum', field: 0, min: 0, max: 500 } as const

// One story, told in order: each test begins where the one before it ended.
describe.each(['prague', 'osaka'])('a network on %s', (hardfork) => {
  let chain: Chain
  let deployment: Deployment
  let network: Network
  let config: NetworkConfig
  let members: Member[]
  const signers: SoftwareSigner[] = [
    createSoftwareSigner(),
    createSoftwareSigner({ algorithm: 'ES256K' }),
    createSoftwareSigner(),
  ]
  const as = (index: number) => chain.createClient(index)

  beforeAll(async () => {
    chain = await startChain({ hardfork, timestamp: 1_750_000_000 })
  })
  afterAll(() => chain?.close())

  async function toTime(seconds: number) {
    await chain.client.setNextBlockTimestamp({ timestamp: BigInt(seconds) })
    await chain.client.mine({ blocks: 1 })
  }

  const errorOf = async (promise: Promise<unknown>) => {
    const error = await promise.then(
      () => undefined,
      (error) => error,
    )
    expect(error).toBeInstanceOf(ContractError)
    expect(error.kind).toBe('contract')
    return error as ContractError
  }

  test('deploys', async () => {
    deployment = await deployMachinefi(chain.client)
    expect(new Set(Object.values(deployment.metrics)).size).toBe(5)
    expect(addresses).toEqual({ 4689: undefined, 4690: undefined })
  })

  test('creates a network', async () => {
    config = {
      schema: 1n,
      schemaHash: keccak256(stringToHex('schema')),
      fields: 1,
      tickMs: 1000,
      metric: deployment.metrics.sum,
      metricParams: toHex(proof.encodeMetricParams(metric)),
      policy: deployment.policy,
      policyParams: encodePolicyParams(policy),
      operator,
      grace: 5,
      challengeWindow: 10,
      responseTime: 60,
      takeoverDelay: 20,
      retention: 100,
      maxRowsBytes: 4096,
      minBond: parseEther('1'),
      coverage: 1n,
      challengeBond: parseEther('0.1'),
    }
    const { factory } = deployment
    const parameters = {
      config,
      disputes: deployment.disputes,
      factory,
      name: 'Steps',
      owner,
      symbol: 'STEP',
      windowSeconds: 60,
    }
    const { hash, receipt, ...created } = await createNetwork(chain.client, parameters)
    network = created
    expect(receipt.transactionHash).toBe(hash)
    expect(await readNetwork(chain.client, { factory, id: network.id })).toEqual(network)
    expect(await readNetwork(chain.client, { factory, serial: 1n })).toEqual(network)
    expect(network.id).toBe(
      toHex(
        proof.networkId({ chainId: 31337, factory: hexToBytes(factory), serial: network.serial }),
      ),
    )
    const { fromWindow, hash: version, ...read } = await readConfig(chain.client, { network })
    expect(fromWindow).toBe(network.firstWindow)
    expect(version).toBe(configHash(config))
    expect(read).toEqual(config)

    const tooShort = { ...parameters, config: { ...config, retention: 69 } }
    expect(await errorOf(createNetwork(chain.client, tooShort))).toMatchObject({
      functionName: 'createNetwork',
      revert: { name: 'RetentionTooShort', args: [69, 70n] },
    })
    const otherField = proof.encodeMetricParams({ ...metric, field: 1 })
    const badMetric = { ...parameters, config: { ...config, metricParams: toHex(otherField) } }
    expect(await errorOf(createNetwork(chain.client, badMetric))).toMatchObject({
      revert: { name: 'InvalidMetricParams', args: [] },
    })
    await expect(readNetwork(chain.client, { factory, serial: 2n })).rejects.toThrow(
      'Network 2 is not on this chain.',
    )
  })

  test('registers devices of both curves and joins them', async () => {
    const { registry } = deployment
    const { membership } = network
    const sign = (signer: SoftwareSigner, join: boolean) =>
      signRegistration({
        chainId: 31337,
        deadline: far,
        owner: walker,
        registry,
        signer,
        ...(join && { membership }),
      })
    const registrations = await Promise.all(signers.map((signer, i) => sign(signer, i < 2)))
    const altered = { ...registrations[0]!, owner }
    expect(
      await errorOf(registerDevices(chain.client, { registrations: [altered], registry })),
    ).toMatchObject({ revert: { name: 'InvalidSignature' } })
    const hashes: Hex[] = []
    // A stranger was faster with one of them.
    await registerDevices(as(3), { registrations: [registrations[0]!], registry })
    const results = await registerDevices(chain.client, {
      batchSize: 2,
      onHash: (hash) => hashes.push(hash),
      registrations,
      registry,
    })
    expect(results.map(({ hash }) => hash)).toEqual(hashes)
    expect(hashes).toHaveLength(2)
    // All of it is there already.
    expect(await registerDevices(chain.client, { registrations, registry })).toEqual([])
    const taken = await signRegistration({
      chainId: 31337,
      deadline: far,
      owner: stranger,
      registry,
      signer: signers[0]!,
    })
    for (const other of [taken, await sign(signers[2]!, true)]) {
      expect(
        await errorOf(registerDevices(chain.client, { registrations: [other], registry })),
      ).toMatchObject({ revert: { name: 'ERC721InvalidSender', args: [zeroAddress] } })
    }

    members = await readMembers(chain.client, { network })
    expect(members.map(({ slot }) => slot)).toEqual([0, 1])
    const joinedBlock = await chain.client.getBlockNumber()
    const device = toHex(proofAddress(signers[2]!))
    expect(await errorOf(joinDevices(chain.client, { devices: [device], network }))).toMatchObject({
      revert: { name: 'NotOwnerOfDevice' },
    })
    await joinDevices(as(2), { devices: [device], network })

    const { timestamp } = await chain.client.getBlock()
    expect(await readMembers(chain.client, { fromBlock: joinedBlock + 1n, network })).toEqual([
      {
        algorithm: 'ES256',
        assurance: 'none',
        device,
        joinedAt: Number(timestamp),
        owner: walker,
        publicKey: toHex(signers[2]!.publicKey),
        slot: 2,
        suspendedAt: 0,
      },
    ])
    members = await readMembers(chain.client, { network })
    expect(members.map(({ algorithm }) => algorithm)).toEqual(['ES256', 'ES256K', 'ES256'])
    expect(members.map(({ publicKey }) => publicKey)).toEqual(
      signers.map(({ publicKey }) => toHex(publicKey)),
    )
  })

  test('bonds an operator', async () => {
    expect(await errorOf(bondOperator(as(3), { logKey, network, value: 1n }))).toMatchObject({
      revert: { name: 'NotListed', args: [stranger] },
    })
    await bondOperator(as(1), { logKey, network, value: parseEther('2') })
    expect(await readOperator(chain.client, { network, operator })).toMatchObject({
      bond: parseEther('2'),
      id: 1,
      leaving: 0n,
      listed: true,
      logKey,
    })
    await listOperator(chain.client, { network, operator: stranger })
    const other = await readOperator(chain.client, { network, operator: stranger })
    expect(other).toMatchObject({ bond: 0n, id: 2, listed: true, logKey: undefined })
    await expect(bondOperator(as(1), { logKey: '0x01', network, value: 1n })).rejects.toThrow(
      'A log key is X‖Y, 64 bytes, not 1.',
    )
  })

  test('changes an operator’s log key', async () => {
    const keys = [logKey, ...[0, 1].map(() => toHex(createSoftwareSigner().publicKey))] as Hex[]
    const settlement = { abi: iSettlementAbi, address: network.settlement } as const
    const changedAt: number[] = []
    // To the second, back to the first, and to the third.
    for (const next of [keys[1]!, keys[0]!, keys[2]!]) {
      const { receipt } = await rotateLogKey(as(1), { logKey: next, network })
      changedAt.push(
        Number((await chain.client.getBlock({ blockNumber: receipt.blockNumber })).timestamp),
      )
    }
    const state = await readOperator(chain.client, { network, operator })
    expect(state.logKey).toBe(keys[2])
    expect(state.formerLogKeys).toEqual(
      [
        { logKey: keys[0], changedAt: changedAt[2]! },
        { logKey: keys[1], changedAt: changedAt[1]! },
      ].map((key) => ({
        ...key,
        address: addressOf(key.logKey!),
        until: key.changedAt + 3600,
      })),
    )
    // The same question, answered here and by the contract.
    for (const key of [...keys, toHex(createSoftwareSigner().publicKey)])
      for (const at of changedAt)
        for (const time of [at, at + 3600, at + 3601])
          expect(isLogKey(state, { logKey: key, time })).toBe(
            await chain.client.readContract({
              ...settlement,
              args: [operator, addressOf(key), BigInt(time)],
              functionName: 'isLogKey',
            }),
          )
    // With too few blocks the keys are not known, but whose they were is.
    const { number: fromBlock } = await chain.client.getBlock()
    const blind = await readOperator(chain.client, { fromBlock, network, operator })
    expect(blind.formerLogKeys).toEqual([{ ...state.formerLogKeys[0], logKey: undefined }])
    // What strangers do is not read: they may change keys as often as they like.
    await rotateLogKey(as(5), { logKey: keys[1]!, network })
    const asked: { topics: unknown[] }[] = []
    const watched = createClient({
      transport: custom({
        request: async ({ method, params }) => {
          if (method === 'eth_getLogs') asked.push(params[0])
          return chain.client.request({ method, params } as never)
        },
      }),
    })
    expect(await readOperator(watched, { network, operator })).toEqual(state)
    expect(asked.length).toBeGreaterThan(0)
    for (const { topics } of asked) expect(topics[1]).toBe(pad(operator))
    expect(await errorOf(bondOperator(as(1), { logKey, network, value: 1n }))).toMatchObject({
      revert: { name: 'NotLogKey' },
    })
    await expect(rotateLogKey(as(1), { logKey: '0x01', network })).rejects.toThrow(
      'A log key is X‖Y, 64 bytes, not 1.',
    )
    expect(
      await errorOf(rotateLogKey(as(1), { logKey: toHex(new Uint8Array(64)), network })),
    ).toMatchObject({ revert: { name: 'InvalidLogKey' } })
  })

  let ledger: proof.Ledger
  let window: number
  let parentHash: Hex = zeroHash
  const rewards = [30n, 0n, 100n]

  function buildLedger(times: bigint) {
    return proof.buildLedger(
      members.map(({ device }, i) => ({
        cumulative: rewards[i]! * times,
        device: hexToBytes(device),
        steps: 3,
        traceRoot: new Uint8Array(32).fill(i),
        value: BigInt(i),
      })),
    )
  }

  const post = (client = as(1)) =>
    postEpoch(client, {
      depth: ledger.depth,
      ledgerRoot: toHex(ledger.root),
      ledgerTotal: ledger.total,
      logs: [{ root: keccak256('0x'), shard: 0, size: 9n }],
      network,
      parentHash,
      window,
    })

  test('posts epochs', async () => {
    window = await readNextWindow(chain.client, { network })
    expect(window).toBe(network.firstWindow)
    ledger = buildLedger(1n)
    const from = (window + 1) * 60 + 5
    expect(await errorOf(post())).toMatchObject({
      revert: { name: 'WindowNotOver', args: [window, BigInt(from)] },
    })
    expect(await readEpoch(chain.client, { network, window })).toBe(null)
    await toTime(from)
    expect(await errorOf(post(as(3)))).toMatchObject({ revert: { name: 'NotNamed' } })

    const { epoch } = await post()
    expect(epoch).toMatchObject({
      attempt: 1,
      configHash: configHash(config),
      ledgerTotal: 130n,
      memberCount: 3,
      operator,
      parentHash: zeroHash,
      window,
    })
    expect(epoch.epochHash).toBe(
      toHex(
        proof.epochHash({
          attempt: 1,
          configHash: hexToBytes(epoch.configHash),
          ledgerRoot: ledger.root,
          ledgerTotal: 130n,
          logs: [{ root: hexToBytes(keccak256('0x')), shard: 0, size: 9 }],
          memberCount: 3,
          network: hexToBytes(network.id),
          parentHash: new Uint8Array(32),
          window,
          windowSeconds: network.windowSeconds,
        }),
      ),
    )
    expect(await readEpoch(chain.client, { network, window })).toEqual({
      ...epoch,
      status: 'pending',
    })
    expect(await readFinalWindow(chain.client, { network })).toBe(null)
  })

  const redemption = ({ entries, siblings, slot }: ReturnType<proof.Ledger['fleetProof']>) => ({
    entries: entries.map(
      (entry) =>
        entry && { ...entry, device: toHex(entry.device), traceRoot: toHex(entry.traceRoot) },
    ),
    siblings: toHex(siblings),
    slot,
  })
  const balance = () =>
    chain.client.readContract({
      abi: erc20Abi,
      address: network.token,
      args: [walker],
      functionName: 'balanceOf',
    })

  test('redeems', async () => {
    const first = { network, redemptions: [redemption(ledger.fleetProof(0, 1))], window }
    expect(await errorOf(redeem(chain.client, first))).toMatchObject({
      revert: { name: 'NotFinal', args: [window] },
    })
    const { timestamp } = await chain.client.getBlock()
    await toTime(Number(timestamp) + 10)
    expect(await readFinalWindow(chain.client, { network })).toBe(window)
    const forged = structuredClone(first)
    forged.redemptions[0]!.entries[0]!.cumulative++
    expect(await errorOf(redeem(chain.client, forged))).toMatchObject({
      revert: { name: 'InvalidProof', args: [0] },
    })

    const { amount, redeemed } = await redeem(chain.client, first)
    expect(amount).toBe(30n)
    expect(redeemed.map(({ amount, owner }) => [amount, owner])).toEqual([[30n, walker]])
    expect((await redeem(chain.client, first)).amount).toBe(0n)
    expect(await readPaid(chain.client, { device: members[0]!.device, network })).toBe(30n)
    expect(await balance()).toBe(30n)

    // Slots 0 to 3, the last one empty, with one path, which is none: they are the whole ledger.
    const all = { network, redemptions: [redemption(ledger.fleetProof(0, 4))], window }
    expect(await redeem(chain.client, all)).toMatchObject({ amount: 100n })
    expect(await balance()).toBe(130n)
  })

  test('watches epochs', async () => {
    const onPosted = vi.fn()
    const onFinal = vi.fn()
    const errors: unknown[] = []
    const unwatch = watchEpochs(chain.client, {
      fromBlock: 0n,
      network,
      onError: (error) => errors.push(error),
      onFinal,
      onPosted,
      pollingInterval: 20,
    })
    // What was before it.
    await vi.waitFor(() => expect(onFinal).toHaveBeenCalledWith({ ledgerTotal: 130n, window }))
    expect(onPosted.mock.calls.map(([epoch]) => epoch.window)).toEqual([window])
    const second = ++window
    ledger = buildLedger(2n)
    await toTime((window + 1) * 60 + 5)
    expect(await errorOf(post())).toMatchObject({ revert: { name: 'ParentMismatch' } })
    const parent = await readEpoch(chain.client, { network, window: second - 1 })
    parentHash = parent!.epochHash
    const { epoch } = await post()
    expect(epoch.parentHash).toBe(parentHash)
    await vi.waitFor(() => expect(onPosted).toHaveBeenCalledWith(epoch))
    await toTime(epoch.challengeEndsAt)
    await finalizeEpochs(chain.client, { network })
    await vi.waitFor(() => expect(onFinal).toHaveBeenCalledWith({ ledgerTotal: 260n, window }))
    unwatch()
    expect(errors).toEqual([])
    const epochs = await readEpochs(chain.client, { network })
    expect(epochs.map(({ status, window }) => [window, status])).toEqual([
      [second - 1, 'final'],
      [second, 'final'],
    ])
  })

  test('changes the rules for windows to come', async () => {
    const changed = { ...config, grace: 7 }
    const { fromWindow } = await setConfig(chain.client, { config: changed, network })
    expect((await readConfig(chain.client, { network, window: fromWindow })).grace).toBe(7)
    expect((await readConfig(chain.client, { network, window: fromWindow - 1 })).grace).toBe(5)
    expect(await errorOf(setConfig(as(2), { config, network }))).toMatchObject({
      revert: { name: 'OwnableUnauthorizedAccount', args: [walker] },
    })
  })

  test('suspends', async () => {
    const devices = [members[1]!.device]
    expect(await errorOf(suspendDevices(as(2), { devices, network }))).toMatchObject({
      revert: { name: 'NotSuspender' },
    })
    await suspendDevices(chain.client, { devices, network })
    const { number, timestamp } = await chain.client.getBlock()
    const changed = await readMembers(chain.client, { fromBlock: number, network })
    expect(changed).toEqual([{ ...members[1]!, suspendedAt: Number(timestamp) }])
  })

  test('pays the bond back', async () => {
    await requestWithdrawal(as(1), { amount: parseEther('1'), network })
    const { bond, leavesAt, leaving } = await readOperator(chain.client, { network, operator })
    expect([bond, leaving]).toEqual([parseEther('1'), parseEther('1')])
    expect(await errorOf(withdrawBond(as(1), { network }))).toMatchObject({
      revert: { name: 'WithdrawalNotReady' },
    })
    await toTime(leavesAt)
    const before = await chain.client.getBalance({ address: operator })
    const { receipt } = await withdrawBond(as(1), { network })
    const fee = receipt.gasUsed * receipt.effectiveGasPrice
    expect(await chain.client.getBalance({ address: operator })).toBe(
      before + parseEther('1') - fee,
    )
  })
})

function proofAddress({ publicKey }: SoftwareSigner): Uint8Array {
  return hexToBytes(keccak256(publicKey)).slice(12)
}
