import { setTimeout as sleep } from 'node:timers/promises'
import * as machinefi from '@machinefi/contracts'
import { formatDid, fromHex, parseDid, toHex } from '@machinefi/core'
import { verifyClaim } from '@machinefi/proof'
import { createWalletClient, erc20Abi, http, publicActions } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'

const { MACHINEFI_NODE: url = 'http://127.0.0.1:4270' } = process.env
const { MACHINEFI_RPC: rpc = 'http://127.0.0.1:8545' } = process.env
const ask = (path: string) => fetch(`${url}/networks${path}`)

// Any account may redeem: the tokens go to the owner of the device.
const account = mnemonicToAccount('test test test test test test test test test test test junk')
const transport = http(rpc)
const wallet = createWalletClient({ account, pollingInterval: 500, transport })
const client = wallet.extend(publicActions)

// A real dApp has the factory and the network id built in. All else it reads from the chain.
const { factory, id } = (await (await ask('')).json()).networks[0]
const network = await machinefi.readNetwork(client, { factory, id })
let device = process.argv[2] && toHex(parseDid(process.argv[2]))
while (!device) {
  device = (await machinefi.readMembers(client, { network })).at(-1)?.device
  if (!device) await sleep(1_000)
}
const did = formatDid(fromHex(device))
console.log(`device   ${did}`)

const { claims = [] } = await (await ask(`/${id}/devices/${did}/claims`)).json()
for (const { name, reward, value } of claims)
  console.log(`claim    ${name}: ${value}, reward ${reward} (the node says)`)

/** The reward of a window, from the node's evidence and what the chain holds it to. */
async function verify({ epochHash, operator, window }: machinefi.Epoch) {
  // The node knows a moment later than the chain that a window was posted.
  while ((await ask(`/${id}/epochs/${window}`)).status === 404) await sleep(200)
  const bundle = await ask(`/${id}/epochs/${window}/claims/${did}/bundle`)
  if (bundle.status === 404) return 0n // no claim: the device joined during this window
  const verdict = await verifyClaim(new Uint8Array(await bundle.arrayBuffer()), {
    device: did,
    epochHash: fromHex(epochHash),
  })
  if (!verdict.ok) throw new Error(`${verdict.at}: ${verdict.reason}`)
  const poster = await machinefi.readOperator(client, { network, operator })
  const signed = { logKey: toHex(verdict.logKey), time: (verdict.signedAt ?? 0) / 1000 }
  if (!machinefi.isLogKey(poster, signed)) throw new Error('The log is signed by a stranger.')
  const start = new Date(verdict.window.start).toISOString()
  console.log(`epoch    ${start}: ${verdict.value}, reward ${verdict.reward} (verified)`)
  return verdict.reward
}

// Watch until a window earns something …
console.log('watching for the next epoch …')
const window = await new Promise<number>((resolve, reject) => {
  const unwatch = machinefi.watchEpochs(client, {
    network,
    onError: reject,
    onPosted: async (epoch) => {
      const reward = await verify(epoch).catch(reject)
      if (!reward) return
      unwatch()
      resolve(epoch.window)
    },
  })
})

// … and until nobody can challenge it any more.
while (((await machinefi.readFinalWindow(client, { network })) ?? 0) < window) await sleep(500)
const claim = await (await ask(`/${id}/epochs/${window}/claims/${did}`)).json()
const { proof: siblings, slot, steps, traceRoot } = claim
const [cumulative, value] = [BigInt(claim.cumulative), BigInt(claim.value)]
const entries = [{ cumulative, device, steps, traceRoot, value }]
const redemptions = [{ entries, siblings, slot }]
const { redeemed } = await machinefi.redeem(client, { network, redemptions, window })
for (const { amount, owner } of redeemed) {
  const token = { abi: erc20Abi, address: network.token }
  const balance = await client.readContract({ ...token, args: [owner], functionName: 'balanceOf' })
  console.log(`redeemed ${amount}; ${owner} now has ${balance}`)
}
