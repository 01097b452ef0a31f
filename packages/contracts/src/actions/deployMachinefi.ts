import { type Address, encodeDeployData, type Hex } from 'viem'
import { networkFactoryAbi } from '../abis/networkFactoryAbi.js'
import type { Deployment } from '../addresses.js'
import { averageMetricBytecode } from '../bytecode/averageMetricBytecode.js'
import { countMetricBytecode } from '../bytecode/countMetricBytecode.js'
import { coverageMetricBytecode } from '../bytecode/coverageMetricBytecode.js'
import { deployedP256VerifierBytecode } from '../bytecode/deployedP256VerifierBytecode.js'
import { deviceRegistryBytecode } from '../bytecode/deviceRegistryBytecode.js'
import { disputesBytecode } from '../bytecode/disputesBytecode.js'
import { distanceMetricBytecode } from '../bytecode/distanceMetricBytecode.js'
import { networkFactoryBytecode } from '../bytecode/networkFactoryBytecode.js'
import { sumMetricBytecode } from '../bytecode/sumMetricBytecode.js'
import { thresholdPolicyBytecode } from '../bytecode/thresholdPolicyBytecode.js'
import { deployContract } from '../chain/deployContract.js'
import type { AnyClient, WriteOptions } from '../chain/writeContract.js'

/**
 * Deploys what all networks of a chain share: registry, factory, metrics,
 * reward policy, P-256 verifier and disputes. Ten transactions, one after the other.
 */
export async function deployMachinefi(
  client: AnyClient,
  parameters: deployMachinefi.Parameters = {},
): Promise<Deployment> {
  const deploy = async (name: string, data: Hex): Promise<Address> =>
    (await deployContract(client, { data, name }, parameters)).address
  const registry = await deploy('DeviceRegistry', deviceRegistryBytecode)
  const factory = await deploy(
    'NetworkFactory',
    encodeDeployData({
      abi: networkFactoryAbi,
      args: [registry],
      bytecode: networkFactoryBytecode,
    }),
  )
  const metrics = {
    sum: await deploy('SumMetric', sumMetricBytecode),
    count: await deploy('CountMetric', countMetricBytecode),
    average: await deploy('AverageMetric', averageMetricBytecode),
    coverage: await deploy('CoverageMetric', coverageMetricBytecode),
    distance: await deploy('DistanceMetric', distanceMetricBytecode),
  }
  const policy = await deploy('ThresholdPolicy', thresholdPolicyBytecode)
  const p256Verifier = await deploy('DeployedP256Verifier', deployedP256VerifierBytecode)
  const disputes = await deploy('Disputes', disputesBytecode)
  return { registry, factory, metrics, policy, p256Verifier, disputes }
}

export declare namespace deployMachinefi {
  type Parameters = WriteOptions
}
