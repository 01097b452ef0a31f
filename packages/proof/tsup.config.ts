import { definePackage } from '../../tsup.config'

export default definePackage({ entry: ['src/index.ts'] })
