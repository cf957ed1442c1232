// The D1 gateway: Cloudflare's D1 REST API, two routes of it, spoken by a Worker that holds the database binding.
//
// Why it exists: the REST API is an admin API of four requests a second for a whole account, and it does not promise
// that several statements are one transaction. A Worker has neither problem: `db.batch()` is one SQL transaction.
// Paths, bodies and the envelope are those of the REST API, so one client speaks to both.
//
// What it adds to the binding:
//   * two bearer tokens are live at a time, so a token is rotated without a gap (see README.md);
//   * one statement per entry, and no PRAGMA, ATTACH, DETACH or VACUUM: a PRAGMA has been seen to outlive its request
//     on the shared connection, and would then switch off somebody else's CHECK constraints;
//   * optionally only statements whose SHA-256 is listed, so that a stolen token cannot drop a trigger;
//   * every read and write goes to the primary; a queue and a ledger cannot live with a replica's past.
//
// What it never does: retry (only the client knows whether a write may be repeated), log SQL or parameters, or put any
// part of a token in an answer.
//
// Environment: DB (D1 binding), GATEWAY_TOKEN (secret), GATEWAY_TOKEN_PREVIOUS (secret, optional), DATABASE_ID (var,
// optional: the only database id it answers to), SQL_ALLOW (var, optional: comma-separated SHA-256 of SQL texts).

const BODY_BYTES_MAX = 32 * 1024 * 1024;
const ENTRIES_MAX = 1_000;
const ROUTE = /^(?:\/client\/v4)?\/accounts\/([^/]+)\/d1\/database\/([^/]+)\/(query|raw)$/;
const DENIED_WORDS = new Set(['pragma', 'attach', 'detach', 'vacuum']);
const INFRASTRUCTURE =
  /network connection lost|caused object to be reset|code was updated|transient issue|client disconnected|overloaded|internal error|exceeded timeout/i;

export default {
  async fetch(request, env) {
    try {
      return await answer(request, env);
    } catch (refusal) {
      if (refusal instanceof Refusal) return refusal.response();
      return new Refusal(503, 7503, 'gateway failure').response();
    }
  },
};

async function answer(request, env) {
  const path = new URL(request.url).pathname;
  if (path === '/healthz') return Response.json({ ok: true });
  await requireToken(request, env);
  const form = requireRoute(request, path, env);
  const entries = entriesOf(await bodyOf(request));
  await requireAllowed(entries, env);
  const results = await run(env.DB, entries);
  return envelope(200, results.map(form === 'raw' ? asRaw : asObjects), []);
}

/** A request that ends here, with the status and the REST API's error object. */
class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }

  response() {
    return envelope(this.status, null, [{ code: this.code, message: this.message }]);
  }
}

function envelope(status, result, errors) {
  return Response.json({ result, success: errors.length === 0, errors, messages: [] }, { status });
}

// ---- who, where, what -----------------------------------------------------------------------------------------------

async function requireToken(request, env) {
  const [, given = ''] = /^Bearer (.+)$/.exec(request.headers.get('authorization') ?? '') ?? [];
  const digest = await sha256(given);
  let known = false;
  for (const token of [env.GATEWAY_TOKEN, env.GATEWAY_TOKEN_PREVIOUS]) {
    // Digests have one length, and both are always compared: neither length nor position of a match shows in the time.
    const same = crypto.subtle.timingSafeEqual(digest, await sha256(token ?? ''));
    known = (same && Boolean(token)) || known;
  }
  if (!known) throw new Refusal(401, 10000, 'Authentication error');
}

function requireRoute(request, path, env) {
  const [, , database, form] = ROUTE.exec(path) ?? [];
  if (!form) throw new Refusal(404, 7003, 'No route for that URI');
  if (request.method !== 'POST') throw new Refusal(405, 7001, 'Method not allowed');
  if (env.DATABASE_ID && database !== env.DATABASE_ID) throw new Refusal(404, 7404, 'The database was not found');
  return form;
}

async function bodyOf(request) {
  if (Number(request.headers.get('content-length')) > BODY_BYTES_MAX) throw tooLarge();
  const text = await request.text();
  if (text.length > BODY_BYTES_MAX) throw tooLarge();
  try {
    return JSON.parse(text);
  } catch {
    throw malformed('invalid JSON');
  }
}

function entriesOf(body) {
  const entries = Array.isArray(body?.batch) ? body.batch : [body];
  if (entries.length === 0) throw malformed('empty batch');
  if (entries.length > ENTRIES_MAX) throw malformed(`more than ${ENTRIES_MAX} statements`);
  return entries.map((entry) => {
    if (typeof entry?.sql !== 'string') throw malformed('sql missing');
    const params = entry.params ?? [];
    if (!Array.isArray(params) || !params.every(isScalar)) throw malformed('params must be an array of scalars');
    return { sql: entry.sql, params };
  });
}

function isScalar(value) {
  return value === null || typeof value !== 'object';
}

function malformed(why) {
  return new Refusal(400, 7400, `The request is malformed: ${why}`);
}

function tooLarge() {
  return new Refusal(413, 7413, 'The request is too large');
}

async function requireAllowed(entries, env) {
  const listed = env.SQL_ALLOW ? new Set(env.SQL_ALLOW.split(',').map((hash) => hash.trim())) : null;
  for (const { sql } of entries) {
    const { words, statements } = scan(sql);
    if (words.some((word) => DENIED_WORDS.has(word))) throw new Refusal(403, 7403, 'statement not allowed by the gateway');
    if (statements !== 1) throw malformed('one statement per entry');
    if (listed && !listed.has(hex(await sha256(sql)))) throw new Refusal(403, 7403, 'statement not listed');
  }
}

// ---- running --------------------------------------------------------------------------------------------------------

async function run(binding, entries) {
  try {
    const db = binding.withSession('first-primary');
    return await db.batch(entries.map(({ sql, params }) => db.prepare(sql).bind(...params)));
  } catch (error) {
    const text = String(error?.message ?? error);
    throw new Refusal(INFRASTRUCTURE.test(text) ? 503 : 400, 7500, text);
  }
}

function asObjects({ results, meta }) {
  return { results, success: true, meta };
}

/** Rows as arrays. Columns of one name have already become one in the binding: alias every column. */
function asRaw({ results, meta }) {
  const columns = results.length > 0 ? Object.keys(results[0]) : [];
  return { results: { columns, rows: results.map(Object.values) }, success: true, meta };
}

// ---- reading SQL ----------------------------------------------------------------------------------------------------

// Comments, literals and quoted names are skipped; what is left is words, semicolons and the rest. An unclosed comment
// or quote runs to the end, and a byte order mark is space, as in SQLite.
const TOKEN = /--[^\n]*|\/\*[^]*?(?:\*\/|$)|'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|`(?:[^`]|``)*(?:`|$)|\[[^\]]*(?:\]|$)|[A-Za-z_\u0080-\ufefe\uff00-\uffff][\w$\u0080-\uffff]*|;|\S/g;
const COMMENT = /^(?:--|\/\*)/;
const WORD = /^[A-Za-z_]/;

/** The bare words of `sql` in lower case, and how many statements it holds. */
function scan(sql) {
  const words = [];
  const tail = new Tail();
  for (const [token] of sql.matchAll(TOKEN)) {
    if (COMMENT.test(token)) continue;
    if (WORD.test(token)) words.push(token.toLowerCase());
    tail.push(token.toLowerCase());
  }
  return { words, statements: tail.statements };
}

/** Counts statements. Inside `create trigger` a statement ends only at `; end ;`, which is SQLite's own rule. */
class Tail {
  statements = 0;
  #head = [];
  #last = ['', ''];

  push(token) {
    if (token === ';' && this.#ends()) {
      this.#head = [];
      this.#last = ['', ''];
      return;
    }
    if (token === ';' && this.#head.length === 0) return;
    if (this.#head.length === 0) this.statements += 1;
    if (this.#head.length < 6) this.#head.push(token);
    this.#last = [this.#last[1], token];
  }

  #ends() {
    if (!this.#isTrigger()) return true;
    return this.#last[0] === ';' && this.#last[1] === 'end';
  }

  #isTrigger() {
    const head = this.#head.filter((word) => !['explain', 'query', 'plan', 'temp', 'temporary'].includes(word));
    return head[0] === 'create' && head[1] === 'trigger';
  }
}

// ---- small things ---------------------------------------------------------------------------------------------------

async function sha256(text) {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
}

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
