export { mqtt } from './transports/mqtt.js'
