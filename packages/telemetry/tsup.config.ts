import { definePackage } from '../../tsup.config'

export default definePackage({
  entry: ['src/index.ts', 'src/cose.ts', 'src/senml.ts', 'src/pebble.ts'],
})
