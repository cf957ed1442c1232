// Starts the D1 gateway on real workerd, through miniflare's API: no wrangler, no bundler, no network.
//
//   GATEWAY_TOKEN=… node workerd.mjs PORT [PERSIST_DIR]
//
// Prints one line, `ready`, once requests are answered. SIGTERM or SIGINT stops workerd and exits 0. With
// STOP_WITH_STDIN=1 the end of standard input does the same, so that a test that dies leaves no process behind.
import { readFileSync } from 'node:fs';
import { Miniflare } from 'miniflare';

const GATEWAY = new URL('../../ops/deploy/d1-gateway/gateway.js', import.meta.url);

const [port, persist] = process.argv.slice(2);
const token = process.env.GATEWAY_TOKEN;
if (!/^\d+$/.test(port ?? '') || !token) {
  console.error('usage: GATEWAY_TOKEN=… node workerd.mjs PORT [PERSIST_DIR]');
  process.exit(2);
}

const workerd = new Miniflare({
  host: '127.0.0.1',
  port: Number(port),
  modules: true,
  script: readFileSync(GATEWAY, 'utf8'),
  compatibilityDate: '2026-07-01',
  bindings: {
    GATEWAY_TOKEN: token,
    ...only('GATEWAY_TOKEN_PREVIOUS'),
    ...only('DATABASE_ID'),
    ...only('SQL_ALLOW'),
  },
  d1Databases: { DB: 'clawr' },
  d1Persist: persist ?? false,
  cf: false,
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  // miniflare's own listener would exit with the signal's code before ours is done
  process.removeAllListeners(signal).once(signal, stop);
}
if (process.env.STOP_WITH_STDIN) process.stdin.once('end', stop).resume();
await workerd.ready;
console.log('ready');

function only(name) {
  return process.env[name] ? { [name]: process.env[name] } : {};
}

async function stop() {
  await workerd.dispose();
  process.exit(0);
}
