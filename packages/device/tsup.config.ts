import { defineUniversalPackage } from '../../tsup.config'

export default defineUniversalPackage({
  everywhere: ['src/index.ts'],
  node: ['src/node.ts', 'src/mqtt.ts', 'src/coap.ts', 'src/serial.ts'],
})
