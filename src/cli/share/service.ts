import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

/*
 * A server of share codes as a service of systemd, under the names of the original, so that its documented commands
 * work: `systemctl status lockbox-key-server.service`.
 */

export const UNIT = 'lockbox-key-server.service'
/** Under which its documents have it, too. */
const ALIAS = 'lockbox-share-server.service'
const USER = 'lockbox-share'

const paths = {
  unit: `/etc/systemd/system/${UNIT}`,
  config: '/etc/lockbox/key-server.toml',
  state: '/var/lib/lockbox-key-server',
  cache: '/var/cache/lockbox-key-server',
  log: '/var/log/lockbox-key-server',
  logFile: '/var/log/lockbox-key-server/server.log',
} as const

/** The service cannot be set up; the message is for the operator. */
export class ServiceProblem extends Error {
  override readonly name = 'ServiceProblem'
}

/** Runs a program. */
export type Run = (
  program: string,
  args: readonly string[],
) => { readonly status: number | null; readonly stdout: string }

/** What the service runs: Node, and the file of this command. */
export interface Program {
  readonly node: string
  readonly main: string
}

/** A machine with systemd. */
export class ShareService {
  constructor(
    private readonly program: Program,
    private readonly run: Run = runProgram,
    /** The folder that is `/`. */
    private readonly root = '/',
    private readonly chown: typeof chownSync = chownSync,
  ) {}

  /** Begins it now and at every start of the machine. @throws ServiceProblem */
  install(forceConfig: boolean): void {
    this.#assertUser()
    const { uid, gid } = this.#service()
    mkdirSync(this.#at(dirname(paths.config)), { recursive: true })
    for (const [folder, owner] of [
      [paths.state, uid],
      [paths.cache, uid],
      // systemd opens the log there as root: were it the service's, that could put a link to any file in its place.
      [paths.log, process.getuid?.() ?? 0],
    ] as const) {
      mkdirSync(this.#at(folder), { recursive: true })
      chmodSync(this.#at(folder), 0o750)
      this.chown(this.#at(folder), owner, gid)
    }
    const config = this.#at(paths.config)
    if (forceConfig || !existsSync(config)) {
      writeFileSync(config, configText)
      // There may be tokens in it: the service reads it, and nobody but root writes it.
      chmodSync(config, 0o640)
      this.chown(config, process.getuid?.() ?? 0, gid)
    }
    mkdirSync(dirname(this.#at(paths.unit)), { recursive: true })
    writeFileSync(this.#at(paths.unit), unitText(this.program))
    this.#must('systemctl', ['daemon-reload'])
    this.#must('systemctl', ['enable', UNIT])
    this.#must('systemctl', ['restart', UNIT])
  }

  /** @throws ServiceProblem */
  uninstall(purgeData: boolean): void {
    // It may be neither running nor enabled.
    this.run('systemctl', ['stop', UNIT])
    this.run('systemctl', ['disable', UNIT])
    rmSync(this.#at(paths.unit), { force: true })
    this.#must('systemctl', ['daemon-reload'])
    if (!purgeData) return
    for (const path of [paths.state, paths.cache, paths.log, paths.config])
      rmSync(this.#at(path), { recursive: true, force: true })
    const folder = dirname(this.#at(paths.config))
    if (existsSync(folder) && readdirSync(folder).length === 0) rmSync(folder, { recursive: true })
  }

  status(): Readonly<Record<string, string | boolean>> {
    const asked = (...args: string[]) => {
      const { stdout } = this.run('systemctl', args)
      return stdout.trim() === '' ? 'unknown' : stdout.trim()
    }
    return {
      unit_path: paths.unit,
      unit_installed: existsSync(this.#at(paths.unit)),
      unit_enabled: asked('is-enabled', UNIT),
      unit_active: asked('is-active', UNIT),
      config_path: paths.config,
      config_exists: existsSync(this.#at(paths.config)),
      state_path: paths.state,
      state_exists: existsSync(this.#at(paths.state)),
      service_log: paths.logFile,
      foreground_log: 'stdout',
      unit_exec_start: asked('show', UNIT, '--property=ExecStart', '--value'),
    }
  }

  #assertUser(): void {
    if (this.run('id', ['-u', USER]).status === 0) return
    const home = ['--home-dir', paths.state, '--shell', '/usr/sbin/nologin']
    this.#must('useradd', ['--system', '--user-group', ...home, USER])
  }

  #service(): { uid: number; gid: number } {
    const number = (flag: string) => Number(this.#must('id', [flag, USER]).trim())
    return { uid: number('-u'), gid: number('-g') }
  }

  #must(program: string, args: readonly string[]): string {
    const { status, stdout } = this.run(program, args)
    if (status === 0) return stdout
    const how = status === null ? 'could not be started' : `failed with ${status}`
    throw new ServiceProblem(`${program} ${args.join(' ')} ${how}`)
  }

  #at(path: string): string {
    return join(this.root, path)
  }
}

function runProgram(program: string, args: readonly string[]) {
  const { status, stdout } = spawnSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return { status, stdout: (stdout as string | null) ?? '' }
}

/** Who it runs as, what it may touch, and where its log goes. */
export function unitText({ node, main }: Program): string {
  const atHome = [node, main].some((path) => /^\/(?:home|root|run\/user)\//.test(path))
  // MemoryDenyWriteExecute would keep V8 from compiling.
  return `[Unit]
Description=Server of share codes (vertex directory share)
After=network-online.target
Wants=network-online.target

[Service]
Type=simple
User=${USER}
Group=${USER}
ExecStart=:${[node, main].map(quoted).join(' ')} directory share run --config ${paths.config}
Restart=always
RestartSec=2
Environment=NODE_ENV=production
StandardOutput=append:${paths.logFile}
StandardError=append:${paths.logFile}
NoNewPrivileges=true
PrivateTmp=true
PrivateDevices=true
ProtectSystem=strict
ProtectHome=${atHome ? 'read-only' : 'true'}
ProtectKernelTunables=true
ProtectKernelModules=true
ProtectControlGroups=true
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
LockPersonality=true
CapabilityBoundingSet=
UMask=0077
ReadWritePaths=${paths.state} ${paths.cache}
LimitNOFILE=1048576

[Install]
WantedBy=multi-user.target
Alias=${ALIAS}
`
}

/** A word of a command line of systemd, in which the colon lets variables be. */
const quoted = (word: string) =>
  /^[\w./@:+-]+$/.test(word) ? word : `"${word.replace(/["\\]/g, '\\$&').replaceAll('%', '%%')}"`

/** What `install` writes where there is no file yet. */
export const configText = `# Server of share codes: docs/directory/share-codes-operation.md has every key.
# It speaks plain HTTP: put a proxy with TLS before it.
bind_addr = "127.0.0.1:8089"
state_dir = "${paths.state}"
# db = "postgres://user:password@host/database"   # in place of a file in state_dir

server_id = 0
cluster_id = "default"
# public_url = "https://keyshare.example.com/v1/share"   # where clients reach it, links in e-mail too
topology_version = 1

default_ttl_seconds = 900
max_ttl_seconds = 900
max_payload_bytes = 8192
max_fetches_per_share = 8
rate_limit_per_minute = 120
rate_limit_burst = 40

# Links that verify an address are sent by a command or by an SMTP server; without either, none are.
verification_email_command = ""
# smtp_url = "smtp://user:password@mail.example.com:587"
# smtp_from = "keys@example.com"
verification_email_rate_limit_per_hour = 5
verification_email_ip_rate_limit_per_hour = 30
`
