import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { type Registration, registerDevices } from '@machinefi/contracts'
import { build } from 'esbuild'
import { createWalletClient, http } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'

const { MACHINEFI_NODE: node = 'http://127.0.0.1:4270' } = process.env
const { MACHINEFI_RPC: rpc = 'http://127.0.0.1:8545' } = process.env
const [port = '4280'] = process.argv.slice(2)

const { networks } = await (await fetch(`${node}/networks`)).json()
const { chainId, id, membership, registry } = networks[0]

// The owner of the page's device, and who pays for telling the chain: never a key in the page.
const account = mnemonicToAccount('test test test test test test test test test test test junk')
const client = createWalletClient({ account, transport: http(rpc) })
const settings = { chainId, id, membership, node, owner: account.address, registry }

const { outputFiles } = await build({
  bundle: true,
  entryPoints: [fileURLToPath(new URL('../src/page.ts', import.meta.url))],
  format: 'esm',
  minify: true,
  outdir: '/',
  splitting: true, // what WebCrypto makes superfluous stays on the server
  write: false,
})
const scripts = new Map(outputFiles.map(({ path, contents }) => [`/${basename(path)}`, contents]))
const html = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>A device</title>
<h1>A device</h1><ol id="lines"></ol><script type="module" src="page.js"></script></html>`

const server = createServer(async (request, response) => {
  const { method, url = '/' } = request
  const script = scripts.get(url)
  const send = (type: string, body: string | Uint8Array) =>
    response.setHeader('content-type', type).end(body)
  if (script) return send('text/javascript', script)
  if (url === '/') return send('text/html', html)
  if (url === '/settings') return send('application/json', JSON.stringify(settings))
  if (url !== '/register' || method !== 'POST') return response.writeHead(404).end()
  try {
    // What the device signed names owner and network: it cannot be turned into anything else.
    const registration: Registration = JSON.parse(await text(request))
    await registerDevices(client, { registrations: [registration], registry })
    send('application/json', '{}')
  } catch (error) {
    console.error(error)
    response.writeHead(502).end()
  }
})
await new Promise<void>((resolve) => server.listen(Number(port), 'localhost', resolve))
console.log(`http://localhost:${(server.address() as AddressInfo).port}/`)

await new Promise((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, resolve)
})
server.close()
server.closeAllConnections()
