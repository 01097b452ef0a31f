export { ioidAbi } from './ioid/ioidAbi.js'
export {
  type IoidDeployment,
  ioidAddresses,
} from './ioid/ioidAddresses.js'
export { ioidRegistryAbi } from './ioid/ioidRegistryAbi.js'
export { type IoidDevice, readIoid, readIoidNonce } from './ioid/readIoid.js'
export { registerIoid } from './ioid/registerIoid.js'
export { removeIoid } from './ioid/removeIoid.js'
export {
  type IoidPermit,
  type IoidSigner,
  ioidPermitTypedData,
  signIoidPermit,
} from './ioid/signIoidPermit.js'
export { updateIoid } from './ioid/updateIoid.js'
