import { definePackage } from '../../tsup.config'

export default definePackage({
  entry: {
    index: 'src/index.ts',
    abis: 'src/abis/index.ts',
    bytecode: 'src/bytecode/index.ts',
    ioid: 'src/ioid.ts',
  },
})
