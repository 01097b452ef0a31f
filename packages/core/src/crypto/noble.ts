/**
 * Only these two of what the modules export: a bundler cannot drop the rest
 * (FROST, OPRF, other curves; 10 kB) of a module that is imported dynamically.
 */
export { p256 } from '@noble/curves/nist.js'
export { secp256k1 } from '@noble/curves/secp256k1.js'
