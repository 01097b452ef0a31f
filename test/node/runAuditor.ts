import { createWalletClient, http } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { createAuditor } from '../../packages/stream/src/audit/index.js'

// An auditor in a process of its own, to be killed. It follows a network, and prints what it does.

const [dataDir, config] = process.argv.slice(2) as [string, string]
const { deployment, fromBlock, network, nodeUrl, rpc } = JSON.parse(config)
const print = (value: unknown) =>
  process.stdout.write(
    `${JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? `${item}` : item))}\n`,
  )
const auditor = await createAuditor({
  client: createWalletClient({
    account: mnemonicToAccount('test test test test test test test test test test test junk', {
      addressIndex: 3,
    }),
    pollingInterval: 20,
    transport: http(rpc),
  }),
  dataDir,
  deployment,
  fromBlock: BigInt(fromBlock),
  network: { ...network, serial: BigInt(network.serial) },
  nodeUrl,
  onEvent: (event) => {
    if (event.type === 'acted') print(event.action)
    if (event.type === 'failed') print({ kind: 'failed', text: `${event.error}` })
  },
})
print({})
await auditor.run({ everyMs: 20 })
