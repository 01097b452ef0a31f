import { registerDevices, signRegistration, suspendDevices } from '@machinefi/contracts'
import { publicKeyToAddress, toHex } from '@machinefi/core'
import { createClient, custom } from 'viem'
import { expect, test } from 'vitest'
import { createSigner } from '../createFakeChain.js'
import { openScene } from './openScene.js'

// A chain that takes blocks back. A slot that is posted empty though it has a member costs an honest
// operator its bond, and whoever judges by members that are none accuses it of what it did not do.

const timeout = 60_000

test('behavior: members in blocks that others took the place of', { timeout }, async () => {
  await using t = await openScene()
  const auditor = await t.audit()
  const register = async (signer = createSigner()) => {
    const { chainId, membership, registry } = t.network
    const deadline = t.now / 1000 + 3600
    const owner = t.client.account.address
    const registration = { chainId, deadline, membership, owner, registry, signer }
    await registerDevices(t.client, {
      registrations: [await signRegistration(registration)],
      registry,
    })
    return signer
  }
  const read = async () => {
    await t.node.refresh()
    await auditor.sync()
  }
  const count = () => (t.node.health().networks as { members: number }[])[0]!.members

  // An empty block was read; the one that stands in its place has a member.
  const takeBack = async (to: unknown) => t.anvil.request('evm_revert', [to])
  let before = await t.anvil.request('evm_snapshot')
  await t.anvil.request('evm_mine')
  await read()
  const members = count()
  await takeBack(before)
  await register()
  await read()
  expect(count()).toBe(members + 1)

  // A member was read that is none, another one has its slot; and a suspension that is none.
  before = await t.anvil.request('evm_snapshot')
  await register()
  const suspended = toHex(publicKeyToAddress(t.signers[0]!.publicKey))
  await suspendDevices(t.client, { devices: [suspended], network: t.network })
  await read()
  expect(count()).toBe(members + 2)
  await takeBack(before)
  await read()
  expect(count()).toBe(members + 1)
  const late = await register()
  await t.anvil.request('evm_mine')
  await read()
  expect(count()).toBe(members + 2)

  await t.playDay(0)
  const walk = await t.sign({ hour: 8, seq: 0, signer: late })
  expect(await t.node.ingest(t.network.id, [walk.bytes])).toMatchObject([{ ok: true }])
  await t.endDay(0)
  expect(await t.node.settle()).toMatchObject([{ posted: { memberCount: members + 2 } }])
  for (const judge of [auditor, await t.audit({ client: t.connect(4) })]) {
    await judge.sync()
    expect(await judge.check(t.windowOf(0))).toMatchObject({ findings: [], ok: true })
  }
})

test('behavior: an endpoint that has no state by number', { timeout }, async () => {
  await using t = await openScene()
  const { account, chain, request } = t.connect(4)
  const client = createClient({
    account,
    chain,
    transport: custom({
      async request({ method, params }: { method: string; params: unknown[] }) {
        if (method === 'eth_call' && /^0x/.test(`${params[1]}`)) throw new Error('no archive')
        return request({ method, params } as never)
      },
    }),
  })
  await t.playDay(0)
  await t.endDay(0)
  await t.node.settle()
  const auditor = await t.audit({ client })
  await auditor.sync()
  expect(await auditor.check(t.windowOf(0))).toMatchObject({ claims: 4, ok: true })
})
