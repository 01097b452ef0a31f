import { definePackage } from '../../tsup.config'

export default definePackage({ entry: ['src/bin.ts'], platform: 'node' })
