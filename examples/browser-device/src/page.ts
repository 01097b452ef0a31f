import { signRegistration } from '@machinefi/contracts'
import { fromHex } from '@machinefi/core'
import { createDevice, http, readNodeNetwork } from '@machinefi/device'
import { openWebCryptoKey } from '@machinefi/device/webcrypto'

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const say = (line: string) => {
  const item = document.createElement('li')
  item.textContent = line
  document.querySelector('#lines')?.append(item)
}

// Which network: a real page has the id built in, and the log key from the chain.
const { chainId, id, membership, node, owner, registry } = await (await fetch('settings')).json()
const network = await readNodeNetwork(node, fromHex(id))

// Made here, kept by the browser, and not to be had by any script, this one included.
const signer = await openWebCryptoKey('walker', { create: true })
await navigator.storage.persist() // or the browser may clear it when its disk is full
const device = createDevice({
  schema: network.schema,
  signer,
  network,
  transport: http(node, network),
  maxAgeMs: 3_000,
  onDelivered: ({ index, receipt, seq }) =>
    say(`batch ${seq}: entry ${index}, receipt of ${receipt.length} bytes verified`),
  onError: (error) => say(`${error.message} Trying again.`),
})
say(device.did)

// Once in its life: the device signs who owns it, and anyone may pay for telling the chain.
const isMember = async () => (await fetch(`${node}/networks/${id}/devices/${device.did}`)).ok
if (!(await isMember())) {
  const deadline = Math.floor(Date.now() / 1000) + 3_600
  const terms = { chainId, deadline, membership, owner, registry }
  const registration = await signRegistration({ signer, ...terms })
  const body = JSON.stringify({ ...registration, deadline })
  const { ok } = await fetch('register', { method: 'POST', body })
  say(ok ? `registered to ${owner}` : 'not registered: see the terminal')
  while (!(await isMember())) await sleep(200) // until the node has read it from the chain
}

for (;;) {
  await device.record({ steps: 1 + Math.floor(Math.random() * 3) })
  await sleep(1_000)
}
