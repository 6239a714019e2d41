// The page itself: what is shown, and what the buttons do. `state` holds everything; `render` shows it.

const byId = (id) => document.getElementById(id);
const kRetryAfter = 5000;    // milliseconds
const kRefreshAfter = 10000;

const state = {
  able: false,     // whether this browser has Ed25519
  language: /^(ru|be)\b/i.test(navigator.language) ? 1 : 0,  // index into `words`
  fault: null,     // what went wrong with the last thing that was asked for
  card: null,      // without its seed
  custodian: '',   // key of the one that serves this page; empty: not known yet
  skew: 0,         // milliseconds that the custodian's clock is ahead of this one
  names: new Map(),  // what people typed, by scope
  draft: null,     // {type, scope, reason, joins} while it is to be confirmed
  carried: null,   // {order, custodian} out of the address
  sent: null,      // {order, custodian, state: sending|unsent|done|waiting|refused|unbelievable, receipt, refusal}
  standing: null,  // {state, orders, unreached, refusal}
};

function say(key, ...values) {
  let text = words[key][state.language];
  for (const value of values) text = text.replace('{}', () => value);
  return text;
}

const now = () => Date.now() + state.skew;
const timeOf = (ms) => `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

// ---- Showing.

function element(tag, text = '', className = '') {
  const node = document.createElement(tag);
  node.textContent = text;
  if (className) node.className = className;
  return node;
}

function show(id, isShown) {
  byId(id).hidden = !isShown;
}

/** Of an order, in words; the name is known only where it was typed into this page. */
function scopeOf({scope}) {
  if (scope === 'vault') return say('scope-vault');
  const [kind, id] = scope.split(':');
  return state.names.get(scope) ?? say(`a-${kind}`, id.slice(0, 8));
}

function describe(list, order) {
  const rows = [['order-type', say(`type-${order.type}`)], ['order-scope', scopeOf(order)]];
  if (order.reason) rows.push(['order-reason', order.reason]);
  if (order.issued) rows.push(['order-issued', timeOf(order.issued)], ['order-expires', timeOf(order.expires)]);
  byId(list).replaceChildren(...rows.flatMap(([name, value]) => [element('dt', say(name)), element('dd', value)]));
}

function render() {
  document.documentElement.lang = ['en', 'ru'][state.language];
  for (const node of document.querySelectorAll('[data-say]')) node.textContent = say(node.dataset.say);
  show('offline', !navigator.onLine);
  show('fault', state.fault !== null);
  if (state.fault) byId('fault').textContent = say(state.fault.word, ...state.fault.values);
  const {card, carried, draft, sent, custodian} = state;
  show('carried', carried !== null && !sent);
  if (carried) describe('carried-order', parseStatement(carried.order.statement));
  show('card-step', state.able && !card && !sent);
  show('held', card !== null);
  if (card) renderHeld(card);
  show('order-step', card !== null && custodian !== '' && !draft && !sent);
  renderChoice();
  show('confirm-step', draft !== null && !sent);
  if (draft) renderConfirm(draft);
  show('result-step', sent !== null);
  if (sent) renderResult(sent);
  show('standing', state.standing !== null);
  if (state.standing) renderStanding(state.standing);
}

function renderHeld(card) {
  byId('held-card').textContent = say('held-card', card.card, card.organisation || card.vault.slice(0, 8));
  show('here-choice', custodianByAddress(card) === '');
  const choices = [['', say('here-none')],
                   ...card.custodians.map(({key, name, place, address}) => [key, `${name}, ${place} (${address})`])];
  byId('here').replaceChildren(...choices.map(([key, text]) => new Option(text, key, false, key === state.custodian)));
}

const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;
const chosenKind = () => (chosen('type') === 'burn' ? 'device' : chosen('scope'));

function renderChoice() {
  show('scopes', chosen('type') !== 'burn');
  show('name-row', chosenKind() !== 'vault');
  if (chosenKind() !== 'vault') byId('name-label').textContent = say(`name-${chosenKind()}`);
}

function renderConfirm({type, scope, reason, joins}) {
  byId('confirm-heading').textContent = say(`confirm-${type}`);
  byId('confirm-text').textContent = say(`confirm-${type}-text`);
  describe('confirm-order', joins ? joins.order : {type, scope, reason});
  show('confirm-joins', joins !== null);
  if (joins) byId('confirm-joins').textContent = say('confirm-joins', timeOf(joins.order.issued), joins.have, joins.need);
  show('confirm-word-row', type === 'destroy');
  byId('confirm-word-label').textContent = say('confirm-word-label', say('confirm-word'));
  byId('confirm').textContent = `${say(`type-${type}`)}: ${say('sign-and-send').toLowerCase()}`;
  byId('confirm').className = type === 'destroy' ? 'grave' : '';
  byId('confirm').disabled = type === 'destroy' && !isConfirmed();
}

// In either language, whatever is shown; phones begin with a capital letter.
const isConfirmed = () => words['confirm-word'].includes(byId('confirm-word').value.trim().toLowerCase());

function renderResult({order, state: how, receipt, refusal}) {
  byId('result-heading').textContent = say(`result-${how}`, receipt?.have, receipt?.need);
  byId('result-heading').className = {done: 'good', refused: 'bad', unbelievable: 'bad'}[how] ?? 'notice';
  byId('result-text').textContent = resultText(how, receipt, refusal);
  describe('result-order', parseStatement(order.statement));
  show('retry', how === 'unsent');
  show('another', how !== 'sending' && how !== 'unsent');
  const others = state.card ? state.card.custodians.filter(({key}) => key !== state.sent.custodian) : [];
  show('others', others.length > 0);
  byId('others-list').replaceChildren(...others.map((custodian) => otherItem(custodian, order)));
}

function resultText(how, receipt, refusal) {
  if (how === 'done' && receipt.affected === 0) return say('result-nothing-text');
  if (how === 'unbelievable') return say('receipt-foreign');
  if (how !== 'refused') return say(`result-${how}-text`, receipt?.affected);
  const known = `refused-${refusal.error}`;
  return known in words ? say(known) : say('refused-other', refusal.error, refusal.message);
}

/** The order goes behind the #: a browser sends that to nobody. */
function otherItem({key, name, place, address}, order) {
  const link = element('a', `https://${address}/order`);
  link.href = `https://${address}/order#${key}.${toBase64url(utf8.encode(canonical(order)))}`;
  link.target = '_blank';
  link.rel = 'noopener noreferrer';
  const item = element('li', `${name}, ${place}: `);
  item.append(link);
  return item;
}

function renderStanding({state: vault, orders, unreached, refusal}) {
  byId('standing-state').textContent = vault ? say(`standing-${vault}`) : '';
  show('standing-fault', unreached || refusal !== null);
  byId('standing-fault').textContent = refusal ? say('standing-refused', refusal) : say('standing-unreached');
  const newestFirst = [...orders].sort((a, b) => b.order.issued - a.order.issued);
  const items = newestFirst.map(standingItem);
  if (vault && items.length === 0) items.push(element('li', say('standing-empty')));
  byId('standing-list').replaceChildren(...items);
}

const isWaiting = (one) => one.done === 0 && one.order.expires > now();

function standingOf({done, have, need, order}) {
  if (done !== 0) return say('standing-done', timeOf(done));
  return order.expires > now() ? say('standing-waiting', have, need, timeOf(order.expires)) : say('standing-lapsed');
}

function standingItem(one) {
  const {order, receipts, done, signed} = one;
  const item = element('li', `${say(`type-${order.type}`)}: ${scopeOf(order)} – ${standingOf(one)}`);
  if (order.reason) item.append(element('div', order.reason));
  if (done !== 0 && receipts.length === 0 && order.type !== 'unlock') item.append(element('div', say('machine-none')));
  item.append(...machines(receipts).map((text) => element('div', text)));
  if (isWaiting(one) && !signed.signatures.some(({card}) => card === state.card?.name)) {
    const button = element('button', say('standing-add'), 'quiet');
    button.addEventListener('click', () => begin({type: order.type, scope: order.scope, reason: order.reason, joins: one}));
    item.append(button);
  }
  return item;
}

/** The furthest that each machine has come. */
function machines(receipts) {
  const stages = ['received', 'keys-destroyed', 'reopening-failed'];
  const furthest = new Map();
  for (const receipt of receipts) {
    const before = furthest.get(receipt.device);
    if (!before || stages.indexOf(receipt.stage) > stages.indexOf(before.stage)) furthest.set(receipt.device, receipt);
  }
  return Array.from(furthest.values(), ({device, stage, time, not_reached: left}) =>
    say('machine', device.slice(0, 8), stages.includes(stage) ? say(`stage-${stage}`) : stage, timeOf(time)) +
    (left.length > 0 ? `; ${say('not-reached', left.join(', '))}` : ''));
}

// ---- Doing.

/** Runs what a button is for, and shows what went wrong. */
async function attempt(action) {
  state.fault = null;
  try {
    await action();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    state.fault = error;
  }
  render();
  if (state.fault) byId('fault').scrollIntoView({block: 'center'});
}

const custodianByAddress = (card) => {
  const port = location.port || '443';
  return card.custodians.find(({address}) => address.toLowerCase() === `${location.hostname}:${port}`)?.key ?? '';
};

async function useCard(text) {
  const card = await takeCard(text, now());
  byId('card-text').value = '';
  state.card = card;
  state.custodian = custodianByAddress(card);
  await look();
}

function putAway() {
  Object.assign(state, {card: null, custodian: '', draft: null, standing: null, names: new Map()});
  if (state.sent && state.sent.state !== 'unsent') state.sent = null;
  for (const field of document.querySelectorAll('input[type=text], textarea')) field.value = '';
}

/** Asks who has obeyed. That nobody answers is shown beside what was known before. */
async function look() {
  const {card, custodian} = state;
  if (!card || !custodian) return;
  try {
    const standing = await allOrders(card, custodian);
    if (state.card === card && state.custodian === custodian) state.standing = standing;
  } catch (error) {
    if (error instanceof Fault) throw error;
    state.standing = {state: '', orders: [], refusal: null, ...state.standing, unreached: true};
  }
}

/** All pages, or what was refused. An order that moved to a later page meanwhile is shown once. */
async function allOrders(card, custodian) {
  const standing = {state: '', orders: [], unreached: false, refusal: null};
  let from = 0;
  for (let pages = 0; pages < kMaxPages; ++pages) {
    const answer = await askOrdersAtItsTime(card, custodian, from);
    if (answer.status !== 200) {
      if (pages === 0) standing.refusal = errorOf(answer.text).message || `${answer.status}`;
      break;
    }
    const page = await openOrders(answer.text, card.vault);
    const known = new Set(standing.orders.map(({signed}) => signed.statement));
    standing.orders.push(...page.orders.filter(({signed}) => !known.has(signed.statement)));
    standing.state = page.state;
    if (page.next <= from) break;
    from = page.next;
  }
  return standing;
}

/** A phone's clock may be wrong: takes the custodian's, and asks once more. */
async function askOrdersAtItsTime(card, custodian, from) {
  const answer = await askOrders(card, custodian, from, now());
  if (answer.status !== 401 || !answer.clock) return answer;
  state.skew = answer.clock - Date.now();
  return askOrders(card, custodian, from, now());
}

/** The name of a case as the vault writes it; С is often typed in Cyrillic. */
function caseName(text) {
  const digits = /^(?:[CcСс]\s*[-–]?\s*)?([1-9][0-9]{0,9})$/.exec(text);
  if (!digits) throw new Fault('name-case-wrong');
  return `C-${digits[1]}`;
}

function draftOf() {
  const kind = chosenKind();
  const reason = byId('reason').value.trim().toWellFormed();
  if (sizeInJson(reason) > kMaxReason) throw new Fault('reason-long');
  let scope = 'vault';
  if (kind !== 'vault') {
    const typed = byId('name').value.trim();
    if (typed === '') throw new Fault('name-missing');
    const name = kind === 'case' ? caseName(typed) : typed;
    scope = `${kind}:${custodyId(state.card.salt, kind, name)}`;
    state.names.set(scope, name);
  }
  const type = chosen('type');
  return {type, scope, reason, joins: waitingLike(type, scope)};
}

/** The order of this kind that waits for signatures here, with the most of them; of several the one that waits longest. */
function waitingLike(type, scope) {
  const same = (state.standing?.orders ?? []).filter(
    (one) => isWaiting(one) && one.order.type === type && one.order.scope === scope);
  return same.sort((a, b) => b.have - a.have || b.order.expires - a.order.expires)[0] ?? null;
}

function begin(draft) {
  Object.assign(state, {draft, sent: null});
  byId('confirm-word').value = '';
  attempt(() => {});
  byId('confirm-step').scrollIntoView({block: 'start'});
}

async function signAndSend() {
  const {card, custodian, draft} = state;
  if (!draft || (draft.type === 'destroy' && !isConfirmed())) return;
  const unsigned = draft.joins ? draft.joins.signed : {signatures: [], statement: newStatement(card, draft, now())};
  const order = await addSignature(card, unsigned);
  state.draft = null;
  await deliver(order, custodian);
}

/** Sends the order and, where nobody answers, keeps it: see `resume`. */
async function deliver(order, custodian) {
  const sent = {order, custodian, state: 'sending', receipt: null, refusal: null};
  state.sent = sent;
  render();
  byId('result-step').scrollIntoView({block: 'start'});
  try {
    const answer = await sendOrder(order);
    if (answer.status === 200) {
      sent.receipt = await openReceipt(answer.text, custodian, order);
      sent.state = sent.receipt.state;
    } else if ([408, 429].includes(answer.status) || answer.status >= 500) {
      sent.state = 'unsent';
    } else {
      sent.state = 'refused';
      sent.refusal = errorOf(answer.text);
    }
  } catch (error) {
    sent.state = error instanceof Fault ? 'unbelievable' : 'unsent';
  }
  if (sent.state === 'unsent') setTimeout(resume, kRetryAfter, sent);
  await look();
}

/** Goes on with an order that was not sent, unless another try has begun since. */
function resume(sent) {
  if (state.sent === sent && sent.state === 'unsent') attempt(() => deliver(sent.order, sent.custodian));
}

// ---- What comes in with the address, the camera, a file.

function takeCarried() {
  const parts = /^#([0-9a-f]{64})\.([A-Za-z0-9_-]+)$/.exec(location.hash);
  if (location.hash) history.replaceState(null, '', location.pathname);  // not into the phone's history
  if (!parts) return;
  try {
    const text = new TextDecoder('utf-8', {fatal: true}).decode(fromBase64url(parts[2]));
    state.carried = {order: checkSignedOrder(parseCanonical(text, 'signatures,statement')), custodian: parts[1]};
  } catch {
    state.fault = new Fault('carried-damaged');
  }
}

async function scan() {
  const video = byId('camera');
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({video: {facingMode: 'environment'}});
    await video.play();
  } catch {
    throw new Fault('scan-failed');
  }
  show('scanner', true);
  const detector = new BarcodeDetector({formats: ['qr_code']});
  while (video.srcObject) {
    const codes = await detector.detect(video).catch(() => []);
    const found = codes.find(({rawValue}) => kCardLine.test(rawValue));
    if (found && video.srcObject) {
      stopScan();
      return useCard(found.rawValue);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return undefined;
}

function stopScan() {
  const video = byId('camera');
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
  show('scanner', false);
}

async function canScan() {
  if (!('BarcodeDetector' in window) || !navigator.mediaDevices) return false;
  return (await BarcodeDetector.getSupportedFormats().catch(() => [])).includes('qr_code');
}

async function openFile() {
  const [file] = byId('card-file').files;
  if (file) await useCard((await file.text()).slice(0, 65536));
  byId('card-file').value = '';
}

// ---- Beginning.

function listen() {
  const on = (id, action) => byId(id).addEventListener('click', () => attempt(action));
  on('language', () => { state.language = 1 - state.language; });
  on('card-use', () => useCard(byId('card-text').value));
  on('card-scan', scan);
  on('scan-stop', stopScan);
  on('put-away', putAway);
  on('next', () => begin(draftOf()));
  on('back', () => { state.draft = null; });
  on('confirm', signAndSend);
  on('retry', () => resume(state.sent));
  on('another', () => { Object.assign(state, {sent: null, carried: null, draft: null}); });
  on('refresh', look);
  on('carried-send', () => deliver(state.carried.order, state.carried.custodian));
  on('carried-drop', () => { state.carried = null; });
  byId('card-file').addEventListener('change', () => attempt(openFile));
  byId('here').addEventListener('change', () => attempt(() => {
    state.custodian = byId('here').value;
    return look();
  }));
  byId('confirm-word').addEventListener('input', render);
  for (const radio of document.querySelectorAll('input[type=radio]')) radio.addEventListener('change', render);
  addEventListener('offline', render);
  addEventListener('online', () => (state.sent?.state === 'unsent' ? resume(state.sent) : attempt(look)));
  addEventListener('hashchange', () => attempt(takeCarried));
  addEventListener('beforeunload', (event) => { if (state.sent?.state === 'unsent') event.preventDefault(); });
}

function keepLooking() {
  setInterval(async () => {
    if (document.visibilityState !== 'visible' || !state.card || state.draft) return;
    await look().catch(() => {});
    render();
  }, kRefreshAfter);
}

async function main() {
  listen();
  state.able = await hasEd25519();
  show('unable', !state.able);
  if (state.able) takeCarried();
  show('card-scan', await canScan());
  render();
  keepLooking();
}

main();
