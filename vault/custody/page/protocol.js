'use strict';
// What the browser of a card holder does of docs/custody-protocol.md: cards, orders, signed requests, receipts.
// No library: what signs orders should be readable in one sitting.

/** Something to be shown to people: `word` is a key of `words`, `values` stand in for its {}. */
class Fault extends Error {
  constructor(word, ...values) {
    super(word);
    this.word = word;
    this.values = values;
  }
}

// ---- Bytes and texts.

const utf8 = new TextEncoder();

function concat(...pieces) {
  const out = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const fromHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const toBase64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
const fromBase64 = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
const toBase64url = (bytes) => toBase64(bytes).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
const fromBase64url = (text) => fromBase64(text.replace(/-/g, '+').replace(/_/g, '/'));
const isHex = (value, bytes) => typeof value === 'string' && value.length === 2 * bytes && /^[0-9a-f]*$/.test(value);
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const randomHex = (bytes) => toHex(crypto.getRandomValues(new Uint8Array(bytes)));

/** JSON with sorted keys and no white space: its bytes are what is signed. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const fields = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${fields.join(',')}}`;
}

/** An object with exactly these fields, written exactly as we would write it. */
function parseCanonical(text, fields) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Fault('damaged');
  }
  if (canonical(value) !== text) throw new Fault('damaged');
  return checkFields(value, fields);
}

function checkFields(value, fields) {
  const isObject = value !== null && typeof value === 'object' && !Array.isArray(value);
  if (!isObject || Object.keys(value).sort().join() !== fields) throw new Fault('damaged');
  return value;
}

function insist(condition) {
  if (!condition) throw new Fault('damaged');
}

// ---- BLAKE2b (RFC 7693), unkeyed. Arrays of 64-bit words wrap by themselves.

const kBlakeIv = BigUint64Array.of(
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n);
const kBlakeSigma = [
  '0123456789abcdef', 'ea489fd61c02b753', 'b8c052fdae367194', '7931dcbe265a40f8', '905724afe1bc683d',
  '2c6a0b834d75fe19', 'c51fed4a0763928b', 'db7ec13950f4862a', '6fe9b308c2d714a5', 'a2847615fb9e3cd0',
].map((row) => Array.from(row, (digit) => parseInt(digit, 16)));

const rotated = (word, bits) => (word >> bits) | (word << (64n - bits));

function blakeMix(v, a, b, c, d, x, y) {
  v[a] = v[a] + v[b] + x;
  v[d] = rotated(v[d] ^ v[a], 32n);
  v[c] = v[c] + v[d];
  v[b] = rotated(v[b] ^ v[c], 24n);
  v[a] = v[a] + v[b] + y;
  v[d] = rotated(v[d] ^ v[a], 16n);
  v[c] = v[c] + v[d];
  v[b] = rotated(v[b] ^ v[c], 63n);
}

function blakeBlock(state, words, count, isLast) {
  const v = new BigUint64Array(16);
  v.set(state);
  v.set(kBlakeIv, 8);
  v[12] ^= BigInt(count);
  if (isLast) v[14] = ~v[14];
  for (let round = 0; round < 12; ++round) {
    const s = kBlakeSigma[round % 10];
    for (let i = 0; i < 4; ++i) blakeMix(v, i, i + 4, i + 8, i + 12, words[s[2 * i]], words[s[2 * i + 1]]);
    for (let i = 0; i < 4; ++i) {
      blakeMix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, words[s[8 + 2 * i]], words[s[9 + 2 * i]]);
    }
  }
  for (let i = 0; i < 8; ++i) state[i] ^= v[i] ^ v[i + 8];
}

function blake2b(message, size) {
  const state = kBlakeIv.slice();
  state[0] ^= 0x01010000n ^ BigInt(size);
  const blocks = Math.max(1, Math.ceil(message.length / 128));
  const padded = new DataView(concat(message, new Uint8Array(blocks * 128 - message.length)).buffer);
  for (let block = 0; block < blocks; ++block) {
    const words = Array.from({length: 16}, (_, i) => padded.getBigUint64(block * 128 + i * 8, true));
    const last = block + 1 === blocks;
    blakeBlock(state, words, last ? message.length : (block + 1) * 128, last);
  }
  const out = new DataView(new ArrayBuffer(64));
  state.forEach((word, i) => out.setBigUint64(i * 8, word, true));
  return new Uint8Array(out.buffer, 0, size);
}

// ---- Cards and ids.

const kCardLine = /casevault-card:1\/([A-Za-z0-9_-]+)/;
const kAddress = /^(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\]):[1-9][0-9]{0,4}$/;
const kPkcs8 = fromHex('302e020100300506032b657004220420');  // RFC 8410 section 7: what stands before the seed

/** What is on a card, from its text: the whole file, or the line alone. Its seed is not among it: see takeCard. */
function parseCard(text) {
  const line = kCardLine.exec(text);
  if (!line) throw new Fault(text.includes('casevault-card:') ? 'card-newer' : 'card-none');
  try {
    const json = new TextDecoder('utf-8', {fatal: true}).decode(fromBase64url(line[1]));
    const card = parseCanonical(json, 'card,custodians,expires,organisation,salt,seed,vault');
    insist(isCount(card.card) && isCount(card.expires) && typeof card.organisation === 'string');
    insist(isHex(card.salt, 16) && isHex(card.seed, 32) && isHex(card.vault, 16));
    insist(Array.isArray(card.custodians) && card.custodians.length > 0 && card.custodians.length <= 32);
    for (const custodian of card.custodians) {
      checkFields(custodian, 'address,key,name,pin,place');
      insist(isHex(custodian.key, 32) && isHex(custodian.pin, 32) && kAddress.test(custodian.address));
      insist(typeof custodian.name === 'string' && typeof custodian.place === 'string');
    }
    return card;
  } catch {
    throw new Fault('card-damaged');
  }
}

/** Whether this browser has Ed25519; there is no substitute in the page on purpose. */
async function hasEd25519() {
  try {
    await crypto.subtle.importKey('raw', new Uint8Array(32), 'Ed25519', false, ['verify']);
    return true;
  } catch {
    return false;
  }
}

/** The card with a key that signs but cannot be read out again, in place of its seed. `name`: its public key. */
async function takeCard(text, now) {
  const {seed, ...card} = parseCard(text);
  if (card.expires !== 0 && card.expires <= now) throw new Fault('card-expired', timeOf(card.expires));
  const pkcs8 = concat(kPkcs8, fromHex(seed));
  const readable = await crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', true, ['sign']);
  const {x} = await crypto.subtle.exportKey('jwk', readable);  // the only way to the public half
  const key = await crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', false, ['sign']);
  pkcs8.fill(0);
  return {...card, key, name: toHex(fromBase64url(x))};
}

function custodyId(salt, kind, name) {
  return toHex(blake2b(concat(utf8.encode('casevault/v1/custody-id'), fromHex(salt), utf8.encode(kind),
                              Uint8Array.of(0), utf8.encode(name)), 16));
}

const sign = async (key, message) => new Uint8Array(await crypto.subtle.sign('Ed25519', key, message));
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
const inDomain = (domain, text) => concat(utf8.encode(domain), Uint8Array.of(0), utf8.encode(text));

async function isSignedBy(name, domain, text, signature) {
  try {
    const key = await crypto.subtle.importKey('raw', fromHex(name), 'Ed25519', false, ['verify']);
    return await crypto.subtle.verify('Ed25519', key, fromBase64(signature), inDomain(domain, text));
  } catch {
    return false;
  }
}

// ---- Orders.

const kOrderDomain = 'casevault/v1/order';
const kOrderLife = 3 * 24 * 3600 * 1000;  // milliseconds: time for a second card elsewhere
const kOrderLifeLimit = 7 * 24 * 3600 * 1000;
const kMaxReason = 500;  // bytes, as it stands in JSON
const kMaxPages = 16;  // of the list of orders: the first ones have the newest
const kScope = /^(?:vault|(?:user|case|device):[0-9a-f]{32})$/;

const sizeInJson = (text) => utf8.encode(JSON.stringify(text)).length - 2;
const isFitting = (type, scope) => (type === 'burn') === scope.startsWith('device:');

function newStatement(card, {type, scope, reason}, now) {
  return canonical({expires: now + kOrderLife, issued: now, kind: 'order', nonce: randomHex(16), reason, scope, type,
                    vault: card.vault});
}

/** The statement of an order, made by us or by somebody else. */
function parseStatement(text) {
  const order = parseCanonical(text, 'expires,issued,kind,nonce,reason,scope,type,vault');
  insist(order.kind === 'order' && ['lock', 'unlock', 'destroy', 'burn'].includes(order.type));
  insist(isCount(order.issued) && isCount(order.expires) && isHex(order.nonce, 16) && isHex(order.vault, 16));
  insist(order.expires > order.issued && order.expires - order.issued <= kOrderLifeLimit);
  insist(typeof order.reason === 'string' && sizeInJson(order.reason) <= kMaxReason);
  insist(typeof order.scope === 'string' && kScope.test(order.scope) && isFitting(order.type, order.scope));
  return order;
}

/** {signatures, statement}, as it is sent. Says nothing about its signatures. */
function checkSignedOrder(value) {
  checkFields(value, 'signatures,statement');
  insist(typeof value.statement === 'string' && Array.isArray(value.signatures) && value.signatures.length <= 32);
  for (const one of value.signatures) {
    checkFields(one, 'card,signature');
    insist(isHex(one.card, 32) && typeof one.signature === 'string');
  }
  parseStatement(value.statement);
  return value;
}

async function addSignature(card, {signatures, statement}) {
  const signature = toBase64(await sign(card.key, inDomain(kOrderDomain, statement)));
  return {signatures: [...signatures.filter((one) => one.card !== card.name), {card: card.name, signature}], statement};
}

/** {by, signature, statement} of somebody, as parsed statement; null where the signature does not hold. */
async function openStatement(value, domain, fields) {
  checkFields(value, 'by,signature,statement');
  insist(isHex(value.by, 32) && typeof value.signature === 'string' && typeof value.statement === 'string');
  if (!await isSignedBy(value.by, domain, value.statement, value.signature)) return null;
  return {by: value.by, ...parseCanonical(value.statement, fields)};
}

/** What the custodian with this key says that it did; a Fault when it is not its word about this order. */
async function openReceipt(text, custodian, order) {
  const receipt = await openStatement(parseCanonical(text, 'by,signature,statement'), 'casevault/v1/custody-receipt',
                                      'affected,have,kind,need,nonce,order,state,time,type,vault');
  const hash = toHex(await sha256(utf8.encode(order.statement)));
  if (!receipt || receipt.by !== custodian || receipt.order !== hash) throw new Fault('receipt-foreign');
  insist(receipt.kind === 'receipt' && ['done', 'waiting'].includes(receipt.state));
  insist(isCount(receipt.affected) && isCount(receipt.have) && isCount(receipt.need) && isCount(receipt.time));
  return receipt;
}

async function openGuardReceipt(value, hash) {
  const receipt = await openStatement(value, 'casevault/v1/guard-receipt',
                                      'device,kind,nonce,not_reached,order,stage,time,vault');
  insist(receipt && receipt.by === receipt.device && receipt.order === hash && Array.isArray(receipt.not_reached));
  return receipt;
}

/** A page of GET /v1/orders, each order with its parsed statement and receipts that hold. */
async function openOrders(text, vault) {
  const answer = parseCanonical(text, 'next,orders,silence,state');
  insist(isCount(answer.next) && isCount(answer.silence) && Array.isArray(answer.orders) &&
    ['active', 'locked', 'destroyed'].includes(answer.state));
  const orders = [];
  for (const one of answer.orders) {
    checkFields(one, 'done,have,need,number,order,receipts');
    insist(isCount(one.done) && isCount(one.have) && isCount(one.need) && Array.isArray(one.receipts));
    const order = parseStatement(checkSignedOrder(one.order).statement);
    insist(order.vault === vault);
    const hash = toHex(await sha256(utf8.encode(one.order.statement)));
    const receipts = await Promise.all(one.receipts.map((receipt) => openGuardReceipt(receipt, hash)));
    orders.push({...one, signed: one.order, order, receipts});
  }
  return {state: answer.state, next: answer.next, orders};
}

// ---- Requests. Nothing goes anywhere but to where the page came from.

async function ask(path, options) {
  const response = await fetch(path, {
    cache: 'no-store', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer',
    signal: AbortSignal.timeout(20000), ...options,
  });
  const clock = Number(response.headers.get('Casevault-Time')) * 1000;
  return {status: response.status, text: await response.text(), clock};
}

const sendOrder = (order) =>
  ask('/v1/orders', {method: 'POST', body: canonical(order), headers: {'Content-Type': 'application/json'}});

/** RFC 9421 in the one form of section 2 of the protocol, for a GET with a query. */
async function askSigned(card, path, query, now) {
  const parameters = `("@method" "@path" "@query");created=${Math.floor(now / 1000)};nonce="${randomHex(16)}";` +
                     `keyid="${card.name}";alg="ed25519"`;
  const base = `"@method": GET\n"@path": ${path}\n"@query": ${query}\n"@signature-params": ${parameters}`;
  const signature = toBase64(await sign(card.key, utf8.encode(base)));
  return ask(path + query, {headers: {'Signature-Input': `sig=${parameters}`, 'Signature': `sig=:${signature}:`}});
}

const askOrders = (card, custodian, from, now) =>
  askSigned(card, '/v1/orders', `?${from === 0 ? '' : `from=${from}&`}to=${custodian}&vault=${card.vault}`, now);

/** The word and sentence of an error answer. */
function errorOf(text) {
  try {
    const {error, message} = JSON.parse(text);
    return {error: String(error), message: String(message)};
  } catch {
    return {error: 'unknown', message: ''};
  }
}
