import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readConfig, readNetwork } from '@machinefi/contracts'
import { createAuditor } from '@machinefi/stream/audit'
import { createWalletClient, http, zeroAddress } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'

const { MACHINEFI_NODE: nodeUrl = 'http://127.0.0.1:4270' } = process.env
const { MACHINEFI_RPC: rpc = 'http://127.0.0.1:8545' } = process.env

// Whoever audits needs an account: a challenge has a stake, and what it wins has to go somewhere.
const mnemonic = 'test test test test test test test test test test test junk'
const account = mnemonicToAccount(mnemonic, { addressIndex: 2 })
const client = createWalletClient({ account, pollingInterval: 500, transport: http(rpc) })

// A real auditor has the network's id, its factory, and the shared contracts built in.
const [{ id }] = (await (await fetch(`${nodeUrl}/networks`)).json()).networks
const { factory, metric } = await (await fetch(`${nodeUrl}/networks/${id}`)).json()
const network = await readNetwork(client, { factory, id })
const config = await readConfig(client, { network })
const none = { average: zeroAddress, count: zeroAddress, coverage: zeroAddress }
const metrics = { ...none, distance: zeroAddress, sum: zeroAddress, [metric.type]: config.metric }

// A real one keeps its folder: it is the copy of the log that an operator cannot rewrite.
const dataDir = mkdtempSync(join(tmpdir(), 'auditor-'))
const deployment = { metrics, policy: config.policy }
const auditor = await createAuditor({ client, dataDir, deployment, network, nodeUrl })
console.log(`network  ${id}`)

// Until there was something to check: a device earns from the window after it joined.
for (let checked = 0; checked === 0; await sleep(500)) {
  await auditor.sync()
  for (const window of await auditor.windows()) {
    const start = new Date(window * network.windowSeconds * 1000).toISOString()
    const { claims, findings, ok } = await auditor.check(window)
    console.log(`epoch    ${start}: ${claims} claims, ${ok ? 'all as they must be' : 'WRONG'}`)
    for (const { text } of findings) console.log(`         ${text}`)
    checked += claims
  }
}

// Challenges what is wrong, and takes the bond of an operator that has no answer. Here: nothing.
const actions = await auditor.act()
console.log(`done     ${actions.length === 0 ? 'nothing to dispute' : `${actions.length} actions`}`)
await auditor.close()
rmSync(dataDir, { recursive: true })
