import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { registerDevices, signRegistration } from '@machinefi/contracts'
import { fromHex } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import { createAuditor } from '@machinefi/stream/audit'
import { defineSchema, signBatch } from '@machinefi/telemetry'
import { startDevnet } from '../../../packages/cli/src/chain/startDevnet.js'
import type { Audited } from '../audit.js'
import { cpuMicros } from '../cpu.js'
import { readHours } from '../readings.js'

// An operator and an auditor in one process, one after the other. The devices have signed before;
// what the node does to show its log is the auditor's. All that was recorded is played: 14,433 hours,
// one behind the other, on as many days as the devices need for them.

const devices = 21
const dayMs = 86_400_000
const schema = defineSchema({ id: 1, tickMs: 60_000, fields: { steps: { unit: 'count' } } })
const firstDay = Date.UTC(2026, 3, 13)
let now = firstDay - 3_600_000

const { anvil, client, close, deployment, fromBlock, network, node, url } = await startDevnet({
  anvil: { blockTimestampInterval: 1, hardfork: 'osaka', timestamp: now / 1000 },
  clock: () => now,
  metric: { type: 'sum', field: 0, max: 900, min: 0 },
  policy: { cap: 100_000n, rate: 1n, threshold: 10_000n },
  schema,
  times: {
    challengeWindow: 30 * 86_400 - 3_600,
    grace: 600,
    responseTime: 3_600,
    retention: 30 * 86_400,
    takeoverDelay: 3_600,
  },
  windowMs: dayMs,
})
const setTime = async (time: number) => {
  now = time
  await anvil.request('evm_setNextBlockTimestamp', [time / 1000])
  await anvil.request('evm_mine')
}
const signers = Array.from({ length: devices }, () => createSoftwareSigner())
await registerDevices(client, {
  registrations: await Promise.all(
    signers.map((signer) =>
      signRegistration({
        chainId: network.chainId,
        deadline: now / 1000 + 3600,
        membership: network.membership,
        owner: client.account.address,
        registry: network.registry,
        signer,
      }),
    ),
  ),
  registry: network.registry,
})
await node.refresh()

const hours = await readHours(14_433)
const days = Math.ceil(hours.length / devices / 24)
const id = fromHex(network.id)
const sign = (device: number, hour: number) =>
  signBatch({
    network: id,
    rows: hours[hour * devices + device]!.map(({ steps }, minute) => ({
      time: firstDay + hour * 3_600_000 + minute * 60_000,
      values: [steps],
    })),
    schema,
    seq: hour,
    signer: signers[device]!,
  })

let built = 0
let readings = 0
for (let day = 0; day < days; day++) {
  const batches: Uint8Array[] = []
  for (let hour = 24 * day; hour < 24 * (day + 1); hour++)
    for (let device = 0; hour * devices + device < hours.length && device < devices; device++) {
      const { bytes, header } = await sign(device, hour)
      batches.push(bytes)
      readings += header.count
    }
  await setTime(firstDay + (day + 1) * dayMs)
  const before = cpuMicros()
  for (let from = 0; from < batches.length; from += 100)
    await node.ingest(network.id, batches.slice(from, from + 100))
  built += cpuMicros() - before
  await setTime(firstDay + (day + 1) * dayMs + 600_000)
  const settling = cpuMicros()
  await node.settle()
  built += cpuMicros() - settling
}

const dataDir = mkdtempSync(join(tmpdir(), 'machinefi-bench-'))
const before = cpuMicros()
const auditor = await createAuditor({
  client,
  dataDir,
  deployment,
  dryRun: true,
  fromBlock,
  network,
  nodeUrl: url,
})
await auditor.sync()
let claims = 0
for (const window of await auditor.windows()) {
  const verdict = await auditor.check(window)
  if (!verdict.ok) throw new Error(verdict.findings[0]?.text)
  claims += verdict.claims
}
const audited = cpuMicros() - before
if (claims !== devices * days) throw new Error(`${claims} claims.`)
await auditor.close()
await close()
rmSync(dataDir, { force: true, recursive: true })
const message: Audited = { audited, batches: hours.length, built, readings }
process.send!(message, undefined, undefined, () => process.exit())
