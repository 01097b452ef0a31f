import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { bondOperator, readConfig, readOperator } from '@machinefi/contracts'
import { BaseError, toHex } from '@machinefi/core'
import { openKeyFile } from '@machinefi/device/node'
import { createNode } from '@machinefi/stream'
import { formatEther } from 'viem'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { readNetworkFile } from '../../network/networkFile.js'
import { parseInteger } from '../../options/parseInteger.js'
import { formatWindow } from '../../options/parseWindow.js'
import { formatError } from '../../output/formatError.js'
import { formatJson } from '../../output/formatJson.js'

type Options = {
  account?: string
  bond?: boolean
  data: string
  host: string
  json?: boolean
  logKey: string
  network: string[]
  port: string
  rpc: string
}

/** `machinefi node start`: serves until it is told to stop, then drains. */
export async function startNode(options: Options, context: Context): Promise<void> {
  const port = parseInteger('--port', options.port, { most: 65_535 })
  const files = await Promise.all(options.network.map((file) => readNetworkFile(file, context)))
  const [first] = files
  const client = await openChain(options, context)
  const logSigner = await openKeyFile(resolve(context.cwd, options.logKey), {
    algorithm: 'ES256',
    create: true,
  })
  for (const { fromBlock, network } of files) {
    const operator = await readOperator(client, {
      fromBlock,
      network,
      operator: client.account.address,
    })
    const { minBond } = await readConfig(client, { fromBlock, network })
    if (operator.bond >= minBond) continue
    if (!options.bond) throw new NotBondedError(network.id, minBond - operator.bond)
    await bondOperator(client, {
      logKey: toHex(logSigner.publicKey),
      network,
      value: minBond - operator.bond,
    })
  }

  const data = resolve(context.cwd, options.data)
  mkdirSync(data, { recursive: true })
  const node = await createNode({
    client,
    dataDir: data,
    deployment: (first as (typeof files)[number]).deployment,
    logSigner,
    networks: files.map(({ fromBlock, network, schema }) => ({
      ...network,
      fromBlock,
      schemas: [schema],
    })),
    onEpoch: ({ ledgerTotal, window, ...epoch }) => {
      const file = files.find(({ network }) => network.id === epoch.network)
      const name = formatWindow(window, (file?.network.windowSeconds ?? 1) * 1000)
      context.stderr.write(
        `posted ${name}: ${epoch.size} batches in the log, total ${ledgerTotal}\n`,
      )
    },
    onError: (error) => context.stderr.write(`${formatError(error)}\n`),
  })
  try {
    const url = await node.listen({ host: options.host, port })
    node.start()
    context.stdout.write(
      options.json
        ? `${formatJson({ url, networks: files.map(({ network }) => network.id) }, { indent: 0 })}\n`
        : `${url}\n`,
    )
    await new Promise<void>((resolve) => {
      if (context.signal.aborted) resolve()
      else context.signal.addEventListener('abort', () => resolve(), { once: true })
    })
  } finally {
    await node.close()
  }
}

export class NotBondedError extends BaseError {
  override readonly name = 'NotBondedError'
  constructor(network: string, missing: bigint) {
    super('The operator has no bond, or too small a one.', {
      kind: 'contract',
      metaMessages: [
        `Network: ${network}`,
        `Missing: ${formatEther(missing)} of the chain’s coin. Put it in with --bond.`,
      ],
    })
  }
}
