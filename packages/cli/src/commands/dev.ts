import { developmentAccount } from '../chain/openAccount.js'
import { startDevnet } from '../chain/startDevnet.js'
import type { Context } from '../context.js'
import { assertNoFile, writeNetworkFile } from '../network/networkFile.js'
import { parseDuration, parseSeconds } from '../options/parseDuration.js'
import { parseInteger } from '../options/parseInteger.js'
import { parseMetric } from '../options/parseMetric.js'
import { parseSchema } from '../options/parseSchema.js'
import { formatWindow } from '../options/parseWindow.js'
import { formatError } from '../output/formatError.js'
import { formatJson } from '../output/formatJson.js'
import { coapWarning } from './node/start.js'

type Options = {
  cap: string
  challenge: string
  coap?: string
  json?: boolean
  metric: string
  mqtt?: string
  networkFile?: string
  port: string
  private?: boolean
  rate: string
  rpcPort: string
  schema: string
  threshold: string
  tick: string
  window: string
}

/** `machinefi dev`: chain, contracts and node, on the wall clock, until Ctrl-C. */
export async function dev(options: Options, context: Context): Promise<void> {
  const schema = parseSchema(options.schema, parseDuration(options.tick))
  const metric = parseMetric(options.metric, schema)
  const windowMs = 1000 * parseSeconds(options.window)
  const challengeWindow = parseSeconds(options.challenge)
  if (options.networkFile !== undefined) assertNoFile(options.networkFile, context)
  const devnet = await startDevnet({
    anvil: {
      hardfork: 'osaka',
      port: toPort('--rpc-port', options.rpcPort),
    },
    isPrivate: options.private === true,
    listen: {
      ...(options.coap !== undefined && { coapPort: toPort('--coap', options.coap) }),
      ...(options.mqtt !== undefined && { mqttPort: toPort('--mqtt', options.mqtt) }),
    },
    metric,
    onAnswer: ({ id, kind, window }) =>
      context.stderr.write(
        `answered a challenge (${kind}) of ${formatWindow(window, windowMs)}: ${id}\n`,
      ),
    onEpoch: ({ ledgerTotal, size, window }) =>
      context.stderr.write(
        `posted ${formatWindow(window, windowMs)}: ${size} batches in the log, total ${ledgerTotal}\n`,
      ),
    onError: (error) => context.stderr.write(`${formatError(error)}\n`),
    onStep: (step) => context.stderr.write(`${step} …\n`),
    policy: {
      cap: BigInt(parseInteger('--cap', options.cap)),
      rate: BigInt(parseInteger('--rate', options.rate)),
      threshold: BigInt(parseInteger('--threshold', options.threshold)),
    },
    port: toPort('--port', options.port),
    schema,
    times: {
      challengeWindow,
      grace: 5,
      // The least that a settlement accepts.
      responseTime: Math.max(60, challengeWindow),
      retention: 30 * 86_400,
      takeoverDelay: 3_600,
    },
    windowMs,
  })
  let ticking: NodeJS.Timeout | undefined
  try {
    const { anvil, deployment, network, node, url } = devnet
    node.start({ everyMs: 1_000 })
    // Transactions are mined at once; beside them time goes on, so that windows end and become final.
    ticking = setInterval(() => {
      anvil.request('evm_mine').catch((error) => context.stderr.write(`${formatError(error)}\n`))
    }, 1_000)
    const accounts = [0, 1, 2, 3].map((index) => developmentAccount(index).address.toLowerCase())
    if (options.networkFile !== undefined)
      await writeNetworkFile(
        options.networkFile,
        { deployment, fromBlock: 0n, network, schema },
        context,
      )
    const { coap, mqtt } = node.urls
    if (coap !== undefined) context.stderr.write(`${coap}: ${coapWarning}\n`)
    const facts = {
      node: url,
      mqtt,
      coap,
      rpc: anvil.url,
      ...deployment,
      // Last: `disputes` is the network's own, not what it is a copy of.
      ...network,
      windowMs,
      accounts,
      schema,
    }
    context.stdout.write(options.json ? `${formatJson(facts, { indent: 0 })}\n` : format(facts))
    await new Promise<void>((resolve) => {
      if (context.signal.aborted) resolve()
      else context.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    context.stderr.write('stopping …\n')
  } finally {
    clearInterval(ticking)
    await devnet.close()
  }
}

const toPort = (name: string, text: string) => parseInteger(name, text, { most: 65_535 })

function format(facts: {
  accounts: readonly string[]
  chainId: number
  coap?: string | undefined
  disputes: string
  factory: string
  id: string
  membership: string
  mqtt?: string | undefined
  node: string
  registry: string
  rpc: string
  settlement: string
  token: string
  windowMs: number
}): string {
  const { accounts } = facts
  const lines: [string, string][] = [
    ['node', facts.node],
    ...(['mqtt', 'coap'] as const).flatMap((name): [string, string][] =>
      facts[name] === undefined ? [] : [[name, facts[name]]],
    ),
    ['chain', `${facts.rpc} (id ${facts.chainId})`],
    ['network', facts.id],
    ['window', `${facts.windowMs / 1000} s`],
    ['token', facts.token],
    ['settlement', facts.settlement],
    ['disputes', facts.disputes],
    ['membership', facts.membership],
    ['registry', facts.registry],
    ['factory', facts.factory],
    ['you', `${accounts[0]} (pays for commands, owns what they register)`],
    ['operator', `${accounts[1]}`],
    ['more accounts', accounts.slice(2).join(' ')],
  ]
  return `${lines.map(([name, text]) => `${name.padEnd(14)} ${text}`).join('\n')}

Accounts have the well-known keys of "test test … junk": never for anything of value.
In another terminal:

  machinefi device create walker.key && machinefi device register walker.key
  machinefi replay walk.csv --key walker.key --shift
  machinefi claim show <did> --window now

`
}
