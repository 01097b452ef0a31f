export {
  createGateway,
  type Gateway,
  type GatewayLimits,
  type GatewayListenOptions,
} from './createGateway.js'
export type { GatewayDelivery, GatewayRefusal, Intake } from './createIntake.js'
export { createReadingsMac } from './createReadingsMac.js'
export {
  type GatewayDevice,
  type GatewayNetwork,
  type GatewayStore,
  openGatewayStore,
  UnknownGatewayDeviceError,
  type UsedCounter,
} from './openGatewayStore.js'
