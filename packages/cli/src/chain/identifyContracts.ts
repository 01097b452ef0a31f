import type { NetworkConfig } from '@machinefi/contracts'
import {
  averageMetricBytecode,
  countMetricBytecode,
  coverageMetricBytecode,
  distanceMetricBytecode,
  sumMetricBytecode,
  thresholdPolicyBytecode,
} from '@machinefi/contracts/bytecode'
import type { Metric } from '@machinefi/proof'
import type { Address } from 'viem'
import type { ChainReader } from './createChainClient.js'

const metricBytecodes = {
  average: averageMetricBytecode,
  count: countMetricBytecode,
  coverage: coverageMetricBytecode,
  distance: distanceMetricBytecode,
  sum: sumMetricBytecode,
} as const satisfies Record<Metric['type'], string>

/** Which of the metrics and policies that this version knows a configuration names; undefined for others. */
export async function identifyContracts(
  client: Pick<ChainReader, 'getCode'>,
  { metric, policy }: Pick<NetworkConfig, 'metric' | 'policy'>,
): Promise<{ metric: Metric['type'] | undefined; policy: 'threshold' | undefined }> {
  const [metricCode, policyCode] = await Promise.all(
    [metric, policy].map((address: Address) => client.getCode({ address })),
  )
  const types = Object.keys(metricBytecodes) as Metric['type'][]
  return {
    metric: types.find((type) => isCodeOf(metricBytecodes[type], metricCode)),
    policy: isCodeOf(thresholdPolicyBytecode, policyCode) ? 'threshold' : undefined,
  }
}

/** None of these contracts has immutables: what is deployed is the end of what was sent. */
function isCodeOf(bytecode: string, code: string | undefined): boolean {
  return code !== undefined && code.length > 2 && bytecode.endsWith(code.slice(2))
}
