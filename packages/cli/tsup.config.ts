import { definePackage } from '../../tsup.config'

export default definePackage({ entry: ['src/bin.ts', 'src/index.ts'], platform: 'node' })
