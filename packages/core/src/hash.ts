export { keccak256, sha256 } from '#crypto'
