import { createNetwork, encodePolicyParams } from '@machinefi/contracts'
import { toHex } from '@machinefi/core'
import { encodeMetricParams } from '@machinefi/proof'
import { schemaHash } from '@machinefi/telemetry'
import { zeroAddress } from 'viem'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { assertNoFile, writeNetworkFile } from '../../network/networkFile.js'
import { readDeployment } from '../../network/readDeployment.js'
import { parseAccountAddress } from '../../options/parseAccountAddress.js'
import { parseCoins } from '../../options/parseCoins.js'
import { parseDuration, parseSeconds } from '../../options/parseDuration.js'
import { parseInteger } from '../../options/parseInteger.js'
import { parseMetric } from '../../options/parseMetric.js'
import { parseSchema } from '../../options/parseSchema.js'
import { formatJson } from '../../output/formatJson.js'

type Options = {
  account?: string
  attested?: boolean
  cap: string
  challenge?: string
  challengeBond: string
  challengeWindow: string
  coverage: string
  deployment?: string
  grace: string
  json?: boolean
  metric: string
  minBond: string
  name: string
  operator?: string
  out: string
  private?: boolean
  rate: string
  response?: string
  responseTime: string
  retention: string
  rpc: string
  schema: string
  symbol: string
  takeover: string
  threshold: string
  tick: string
  window: string
}

/** `machinefi network create`: token, membership and settlement, and the file a node serves it from. */
export async function createMachineNetwork(options: Options, context: Context): Promise<void> {
  // Everything is checked before the first transaction.
  const schema = parseSchema(options.schema, parseDuration(options.tick))
  const metric = parseMetric(options.metric, schema)
  const integer = (name: 'cap' | 'coverage' | 'rate' | 'threshold') =>
    BigInt(parseInteger(`--${name}`, options[name]))
  const seconds = (name: 'grace' | 'retention' | 'takeover' | 'window') =>
    parseSeconds(options[name])
  const policy = { cap: integer('cap'), rate: integer('rate'), threshold: integer('threshold') }
  const coverage = integer('coverage')
  const challengeBond = parseCoins('--challenge-bond', options.challengeBond)
  const minBond = parseCoins('--min-bond', options.minBond)
  const windowSeconds = seconds('window')
  const times = {
    challengeWindow: parseSeconds(options.challenge ?? options.challengeWindow),
    grace: seconds('grace'),
    responseTime: parseSeconds(options.response ?? options.responseTime),
    retention: seconds('retention'),
    takeoverDelay: seconds('takeover'),
  }
  const namedOperator =
    options.operator === undefined ? undefined : parseAccountAddress(options.operator)
  assertNoFile(options.out, context)

  const client = await openChain(options, context)
  const deployment = await readDeployment(client, options.deployment, context)
  const {
    hash: _,
    receipt,
    ...network
  } = await createNetwork(client, {
    config: {
      ...times,
      challengeBond,
      coverage,
      fields: schema.fields.length,
      maxRowsBytes: 4096,
      metric: deployment.metrics[metric.type],
      metricParams: toHex(encodeMetricParams(metric)),
      minBond,
      operator: namedOperator ?? client.account.address,
      policy: deployment.policy,
      policyParams: encodePolicyParams(policy),
      schema: BigInt(schema.id),
      schemaHash: toHex(schemaHash(schema)),
      tickMs: schema.tickMs,
    },
    disputes: options.attested ? zeroAddress : deployment.disputes,
    factory: deployment.factory,
    isPrivate: options.private === true,
    name: options.name,
    owner: client.account.address,
    symbol: options.symbol,
    windowSeconds,
  })
  await writeNetworkFile(
    options.out,
    { deployment, fromBlock: receipt.blockNumber, network, schema },
    context,
  )
  if (options.json) context.stdout.write(`${formatJson({ ...network, file: options.out })}\n`)
  else {
    context.stdout.write(`${network.id}\n`)
    context.stderr.write(
      `Written to ${options.out}. Next, as the operator:\n  machinefi node start --network ${options.out} --data ./node --log-key log.key\n`,
    )
  }
}
