import {
  readAcceptedModels,
  readChallengeBond,
  readConfig,
  readFinalWindow,
  readModels,
  readNextWindow,
  readOperator,
  readRequirements,
  readSlashes,
} from '@machinefi/contracts'
import { settlementAbi } from '@machinefi/contracts/abis'
import { fromHex, toHex } from '@machinefi/core'
import { decodeMetricParams, decodePolicyParams } from '@machinefi/proof'
import { schemaHash } from '@machinefi/telemetry'
import { type Address, formatEther, zeroAddress } from 'viem'
import { openReader } from '../../chain/createChainClient.js'
import { identifyContracts } from '../../chain/identifyContracts.js'
import type { Context } from '../../context.js'
import { openNetwork } from '../../network/openNetwork.js'
import { formatExactly } from '../../options/parseDuration.js'
import { formatMetric } from '../../options/parseMetric.js'
import { formatWindow } from '../../options/parseWindow.js'
import { formatJson } from '../../output/formatJson.js'
import { formatName } from '../model/show.js'
import { formatTerms } from './formatTerms.js'

type Options = { json?: boolean; network?: string; node: string; rpc: string }

/** `machinefi network show`: the rules of a network, read from the chain, and what they mean for money. */
export async function showNetwork(options: Options, context: Context): Promise<void> {
  const client = await openReader(options)
  const { network, schema } = await openNetwork(client, options, context)
  const { timestamp } = await client.getBlock()
  const window = Math.floor(Number(timestamp) / network.windowSeconds)
  const [config, finalWindow, nextWindow, owner, joining, accepted, fees] = await Promise.all([
    readConfig(client, { network, window }),
    readFinalWindow(client, { network }),
    readNextWindow(client, { network }),
    client.readContract({
      abi: settlementAbi,
      address: network.settlement,
      functionName: 'owner',
    }),
    readRequirements(client, { network }),
    readAcceptedModels(client, { network }),
    client.getBalance({ address: network.membership }),
  ])
  const optimistic = network.disputes !== zeroAddress
  const [known, operator, challengeBond, created] = await Promise.all([
    identifyContracts(client, config),
    config.operator === zeroAddress ? null : showOperator(config.operator),
    optimistic ? readChallengeBond(client, { network, window: nextWindow }) : null,
    readModels(client, { models: accepted, registry: network.registry }),
  ])
  const models = accepted.map(
    (id) =>
      created.find((model) => model.id === id) ?? { id, maker: null, name: null, assurance: null },
  )
  const metric = known.metric && decodeMetricParams(known.metric, fromHex(config.metricParams))
  const policy = known.policy && decodePolicyParams(fromHex(config.policyParams))
  const named = toHex(schemaHash(schema)) === config.schemaHash ? schema : undefined

  if (options.json)
    return context.stdout.write(
      `${formatJson({
        ...network,
        owner: owner.toLowerCase(),
        trust: optimistic ? 'optimistic' : 'attested',
        config,
        metric: metric ?? null,
        policy: policy ?? null,
        schema: named ?? null,
        operator,
        joining: { ...joining, models, fees },
        challengeBond,
        nextWindow,
        finalWindow,
      })}\n`,
    )
  const count = (value: bigint) => value.toLocaleString('en-US')
  const seconds = (count: number) => formatExactly(1000 * count)
  const name = (window: number) => formatWindow(window, 1000 * network.windowSeconds)
  const { coverage, minBond } = config
  const lines: [string, string][] = [
    ['network', network.id],
    [
      'trust',
      optimistic
        ? 'optimistic: whoever shows that a posting is wrong gets half of the operator’s bond'
        : 'attested: the operator’s word is all there is; nobody can challenge it',
    ],
    [
      'readings',
      network.isPrivate
        ? 'private: for owners, whom they let read, and the network’s auditors'
        : 'public: for everyone',
    ],
    ['pays for', metric ? formatMetric(metric, named) : `an unknown metric, ${config.metric}`],
    [
      'reward',
      policy
        ? `value × ${count(policy.rate)}${policy.threshold > 0n ? ` from ${count(policy.threshold)} on, nothing below` : ''}; at most ${count(policy.cap)} a device and window`
        : `an unknown policy, ${config.policy}`,
    ],
    [
      'joining',
      `${formatTerms(joining)}${fees === 0n ? '' : `; ${formatEther(fees)} coins wait for the owner`}`,
    ],
    ...models.map(({ assurance, id, maker, name }): [string, string] => [
      'accepts',
      maker
        ? `${formatName(name)}, ${assurance}, by ${maker}: ${id}`
        : `a model that nobody has created yet: ${id}`,
    ]),
    ['window', `${seconds(network.windowSeconds)}; data may be ${seconds(config.grace)} late`],
    [
      'epochs',
      `next ${name(nextWindow)}; ${finalWindow === null ? 'none is final yet' : `final up to ${name(finalWindow)}`}`,
    ],
    ['retention', `${seconds(config.retention)}: how long rows and receipts are kept`],
  ]
  if (challengeBond !== null)
    lines.push(
      ['challenge', `within ${seconds(config.challengeWindow)} of a posting; tokens wait as long`],
      ['answer', `within ${seconds(config.responseTime)}, or the operator is slashed`],
      [
        'stake',
        `${formatEther(challengeBond)} coins to challenge now (never below ${formatEther(config.challengeBond)}); lost if anyone answers`,
      ],
      ['disputes', network.disputes],
    )
  else
    lines.push(['wait', `${seconds(config.challengeWindow)} until what is posted can be redeemed`])
  if (operator === null) lines.push(['operator', 'none is named: any listed one posts'])
  else
    lines.push(
      ['operator', config.operator],
      [
        'bond',
        `${formatEther(operator.bond)} coins, of at least ${formatEther(minBond)}${operator.leaving > 0n ? `, and ${formatEther(operator.leaving)} on its way out` : ''}; covers ${count(operator.bond * coverage)} tokens that are not final`,
      ],
      [
        'standing',
        operator.slashed > 0
          ? `SLASHED${operator.slashed > 1 ? ` ${operator.slashed} times` : ''}${operator.listed ? ', and listed again' : ''}`
          : operator.listed
            ? operator.bond < minBond
              ? 'never slashed, but its bond is too small to post'
              : 'never slashed'
            : 'never slashed, but not listed: it may not post',
      ],
      ['log key', operator.logKey ?? 'none: it never bonded'],
      ...operator.formerLogKeys.map(({ address, changedAt, logKey }): [string, string] => [
        'before',
        `${logKey ?? address} until ${new Date(1000 * changedAt).toISOString().replace('.000Z', 'Z')}`,
      ]),
    )
  lines.push(
    ['takeover', `${seconds(config.takeoverDelay)} after which another listed operator may post`],
    ['owner', `${owner.toLowerCase()}: may set other rules for windows to come`],
    ['token', network.token],
    ['settlement', network.settlement],
    ['membership', network.membership],
    ['registry', network.registry],
    ['factory', `${network.factory} (number ${network.serial} on chain ${network.chainId})`],
  )
  context.stdout.write(lines.map(([name, text]) => `${name.padEnd(11)} ${text}\n`).join(''))

  async function showOperator(address: Address) {
    const [operator, slashes] = await Promise.all([
      readOperator(client, { network, operator: address }),
      readSlashes(client, { network, operator: address }),
    ])
    return { ...operator, slashed: slashes.length }
  }
}
