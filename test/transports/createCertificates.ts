import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'

const openssl = '/usr/bin/openssl'

/** Why there are no certificates here; in CI it is not asked. */
export const opensslMissing =
  existsSync(openssl) || process.env.CI ? undefined : 'needs Debian’s openssl'

/** A folder of authorities and certificates, each `NAME.pem` with its `NAME.key`. */
export function createCertificates() {
  const folder = mkdtempSync(join(tmpdir(), 'tls-'))
  const path = (name: string) => join(folder, name)
  const run = (...args: string[]) => execFileSync(openssl, args, { cwd: folder, stdio: 'pipe' })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  return {
    path,
    authority(name: string) {
      const out = ['-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`]
      run('req', '-x509', ...newKey, ...out)
    },
    /** A certificate of the authority, for this machine. */
    issue(name: string, ca = 'ca') {
      run('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
      writeFileSync(path('ext'), 'subjectAltName=IP:127.0.0.1,DNS:localhost')
      const authority = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial']
      const out = ['-extfile', 'ext', '-out', `${name}.pem`, '-days', '2']
      run('x509', '-req', '-in', `${name}.csr`, ...authority, ...out)
    },
    /** What a client shows that trusts `ca`, and is `name` if it is anyone. */
    credentials(name?: string) {
      return {
        ca: readFileSync(path('ca.pem')),
        ...(name !== undefined && {
          cert: readFileSync(path(`${name}.pem`)),
          key: readFileSync(path(`${name}.key`)),
        }),
      }
    },
    /** The name of whom a server at `url` says it is. */
    readPeer(url: string) {
      return new Promise<string>((resolve, reject) => {
        const { hostname: host, port } = new URL(url)
        const socket = connect(
          { ca: readFileSync(path('ca.pem')), host, port: Number(port) },
          () => {
            resolve(`${socket.getPeerCertificate().subject.CN}`)
            socket.destroy()
          },
        )
        socket.on('error', reject)
      })
    },
    remove: () => rmSync(folder, { force: true, recursive: true }),
  }
}
