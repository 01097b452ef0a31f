import { definePackage } from '../../tsup.config'

export default definePackage({
  entry: {
    index: 'src/index.ts',
    audit: 'src/audit/index.ts',
    gateway: 'src/gateway/index.ts',
  },
  platform: 'node',
})
