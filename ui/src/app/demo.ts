// Runs the page in a plain browser, over a fake node that changes by itself. Parameters of the address:
// `?scene=empty|busy|starting|failed|plain|file|CODE` (CODE: a failed start with this code, with `&first` a first start),
// `&still` (nothing changes), `&lang=`, `&theme=`, and `&click=a,b` (presses parts, by test id or by a selector in brackets).
// Files that are dragged onto the page count as drops.

import { i18n } from '../i18n/index.svelte';
import { theme } from '../common/state/theme.svelte';
import type { TransferView } from '../backend/bindings';
import { Manifest } from '../backend/fake-transfers';
import { FakeNode, apiError, someCheck, someConnection, someDevice, someId, someRelay, someText, someTransfer, type FakeState } from '../backend/fake';

const now = () => Math.floor(Date.now() / 1000);

const OFFER = someId();
/** An offer with folders and with hostile names. */
const OFFERED = new Manifest({
  'Summer on the coast/Day 1/harbour.jpg': 6_200_000,
  'Summer on the coast/Day 1/the long take.mp4': 1_840_000_000,
  'Summer on the coast/Day 2/cliffs.jpg': 5_400_000,
  'Summer on the coast/Day 2/cliffs (edited).jpg': 7_900_000,
  'Summer on the coast/map.gpx': 48_200,
  ...Object.fromEntries(Array.from({ length: 1270 }, (_, n) => [`Summer on the coast/All of it/IMG_${String(4000 + n)}.jpg`, 3_100_000 + n * 711])),
  'notes.txt': 2_400,
  '\u0645\u0631\u062d\u0628\u0627.pdf': 310_000,
  '<img src=x onerror=alert(1)>.png': 1200,
  'Timetable.ods': 48_200,
});

const whole = (files: number, total: number, seconds: number) => ({ files, files_done: files, bytes: total, total, seconds });

/** Transfers of the days before. */
function history(names: readonly { id: string; name: string }[]): TransferView[] {
  const of = (at: number) => ({ device: names[at % names.length]?.id ?? someId(), device_name: names[at % names.length]?.name ?? '' });
  const ended = (at: number, ago: number, over: Partial<TransferView>) => someTransfer({ ...of(at), state: 'done', rate: 0, eta: null, started: now() - ago, ...over });
  return [
    ended(1, 7200, { roots: ['Invoices'], ...whole(36, 14_200_000, 0.4) }),
    ended(2, 80_000, { roots: ['Slides.key', 'Notes.md'], root_count: 2, ...whole(2, 412_000_000, 4.1) }),
    ended(0, 95_000, { direction: 'receive', roots: ['Garden.mov'], ...whole(1, 2_900_000_000, 31), into: '/home/user/Downloads' }),
    ended(0, 180_000, { state: 'declined', roots: ['old drivers.zip'], files: 1, files_done: 0, bytes: 0, total: 88_000_000 }),
    ended(1, 400_000, { state: 'cancelled', roots: ['Virtual machines'], files: 12, files_done: 2, bytes: 9_000_000_000, total: 48_000_000_000 }),
  ];
}

function busy(): Partial<FakeState> {
  const laptop = someDevice({ name: 'Someone’s laptop', type: 'laptop', rtt_ms: 2.4, connections: [someConnection({ rtt_ms: 2.4, since: now() - 4000 }), someConnection({ protocol: 'transfer/1.0', state: 'idle', bytes_sent: 96_400_000, loss: 0.002 })] });
  const nas = someDevice({ name: 'Attic NAS', type: 'server', path: 'relay', rtt_ms: 48, address: 'https://relay.example', connections: [someConnection({ path: 'relay', rtt_ms: 48, loss: 0.013, address: 'https://relay.example' })] });
  const desktop = someDevice({ name: 'Living room PC', rtt_ms: 0.8 });
  const old = someDevice({ name: 'Old ThinkPad', type: 'laptop', state: 'offline', path: null, rtt_ms: null, address: null, key_exchange: null, nearby: false, last_seen: now() - 3 * 86_400 });
  return {
    devices: [
      laptop,
      nas,
      desktop,
      old,
      someDevice({ name: 'Lost tablet', type: 'phone', trust: 'blocked', state: 'offline', path: null, rtt_ms: null, address: null, key_exchange: null, nearby: false }),
      someDevice({ name: 'Hall phone', type: 'phone', state: 'discovered', paired: false, pairing: true, path: null, rtt_ms: null, address: null, key_exchange: null }),
      someDevice({ name: '<img src=x onerror=alert(1)>', type: 'desktop', state: 'discovered', paired: false, path: null, rtt_ms: null, address: null, key_exchange: null }),
    ],
    transfers: [
      someTransfer({
        direction: 'receive',
        state: 'offered',
        device: laptop.device_id,
        device_name: laptop.name,
        ...OFFERED.view,
        id: OFFER,
        bytes: 0,
        files_done: 0,
        rate: 0,
        eta: null,
        started: now(),
      }),
      someTransfer({ device: desktop.device_id, device_name: desktop.name, started: now() - 20, roots: ['Holiday 2026', 'b'], root_count: 2, place: 1 }),
      someTransfer({ device: nas.device_id, device_name: nas.name, started: now() - 300, roots: ['Backup of the study.tar.zst'], files: 1, bytes: 5_100_000_000, total: 12_400_000_000, rate: 9_800_000, eta: 745, limit: 10_000_000, place: 2 }),
      someTransfer({ device: nas.device_id, device_name: nas.name, started: now() - 700, roots: ['Camera'], files: 412, bytes: 1_900_000_000, total: 4_700_000_000, rate: 0, eta: null, state: 'paused', reason: apiError('paused_here', 'it was paused on this device', '') }),
      ...['Lectures, spring', 'Photographs 1998–2004', 'letters.odt'].map((root, at) =>
        someTransfer({ device: at === 1 ? nas.device_id : desktop.device_id, device_name: at === 1 ? nas.name : desktop.name, state: 'queued', started: now() - 90 + at, roots: [root], files: [38, 2410, 1][at] ?? 1, files_done: 0, bytes: 0, total: [6_200_000_000, 18_300_000_000, 88_000][at] ?? 1, rate: 0, eta: null, place: 3 + at }),
      ),
      someTransfer({ direction: 'receive', device: laptop.device_id, device_name: laptop.name, state: 'paused', started: now() - 1500, roots: ['Film rushes'], files: 96, files_done: 41, bytes: 31_000_000_000, total: 64_000_000_000, rate: 0, eta: null, into: '/home/user/Downloads', reason: apiError('disk_full', 'the receiving disk is full', 'Free some space.') }),
      someTransfer({
        direction: 'receive',
        device: nas.device_id,
        device_name: nas.name,
        roots: ['A name that goes on and on until nobody can read it any more.tar.zst'],
        files: 1,
        files_done: 0,
        bytes: 94_000_000,
        total: 240_000_000,
        rate: 3_100_000,
        eta: 47,
        started: now() - 60,
        into: '/home/user/Downloads',
      }),
      someTransfer({ state: 'offered', device: laptop.device_id, device_name: laptop.name, roots: ['budget.ods'], files: 1, bytes: 0, total: 48_200, rate: 0, eta: null, started: now() - 4 }),
      someTransfer({
        direction: 'receive',
        state: 'done',
        device: laptop.device_id,
        device_name: laptop.name,
        roots: ['Scans'],
        files: 48,
        files_done: 48,
        bytes: 96_400_000,
        total: 96_400_000,
        rate: 0,
        eta: null,
        seconds: 3.2,
        started: now() - 900,
        into: '/home/user/Downloads',
        notes: [
          { code: 'saved_as', args: { path: 'aux.c', name: '_aux.c' } },
          { code: 'saved_as', args: { path: 'a\\u{1}b', name: 'a\u2401b' } },
        ],
      }),
      someTransfer({
        state: 'failed',
        device: old.device_id,
        device_name: old.name,
        roots: ['disk.img'],
        files: 1,
        files_done: 0,
        bytes: 12_000_000,
        total: 8_000_000_000,
        rate: 0,
        eta: null,
        started: now() - 4000,
        reason: apiError('connection_lost', 'the connection to the other device was lost', 'Check the network, then try again.'),
      }),
      ...history([laptop, nas, desktop].map(({ device_id: id, name }) => ({ id, name }))),
    ],
  };
}

/** A conversation, with hostile texts in it. */
function texts(node: FakeNode): void {
  const [laptop, nas] = node.state.devices;
  if (!laptop || !nas) return;
  const say = (direction: 'send' | 'receive', text: string, ago: number, over = {}) =>
    node.state.texts.push(someText({ device_id: laptop.device_id, direction, text, sent_at: Date.now() - ago * 1000, ...over }));
  for (let n = 0; n < 90; n += 1) say(n % 3 ? 'send' : 'receive', `An older text, number ${n + 1}`, 300_000 - n * 600);
  say('receive', 'The pictures are on the way.', 90_000);
  say('send', 'Got them, thank you!', 89_000);
  say('receive', 'Here is the map: https://example.org/walks/coast?from=station and the timetable (https://example.org/trains).', 3600);
  say('receive', 'And mind this one, it is not what it seems: https://b\u00fccher.example/', 3580);
  say('send', 'Line one\n\tindented\nLine three', 1200);
  say('receive', '<img src=x onerror=alert(1)> <script>alert(2)</script> \u202egpj.exe', 600);
  say('receive', 'مرحبا، هل وصل الملف؟', 500);
  say('send', `A long one. ${'It goes on and on, as texts do when somebody has much to say. '.repeat(40)}`, 300);
  say('send', 'See you at eight 👋', 20, { state: 'queued' });
  node.state.unread = [{ device_id: laptop.device_id, count: 3 }];
  node.state.relays = [someRelay({ url: 'https://relay.home.example/', own: true, latency_ms: 12 }), someRelay({ url: 'https://use1.relay.example/', home: false, connected: false, latency_ms: 94 })];
  node.state.settings.relays = ['https://relay.home.example/'];
  node.checks = [
    someCheck({ detail: 'UDP port 11204 is open on this machine.' }),
    someCheck({ name: 'interfaces', detail: 'Up: wlan0 (192.168.1.17).' }),
    someCheck({ name: 'firewall', status: 'failed', code: 'firewall_blocks_udp', detail: 'A firewall on this machine (ufw) drops what comes in on UDP port 11204.', hint: 'Let UDP port 11204 in: `sudo ufw allow 11204/udp`. Until then devices are reached only where this one begins, or through a relay.' }),
    someCheck({ name: 'vpn', status: 'info', code: 'vpn_up', detail: 'A VPN is up: wg0 (WireGuard). Devices in it can be reached through it.' }),
    someCheck({ name: 'clock', status: 'warning', code: 'clock_wrong', detail: 'This machine’s clock is 4 minutes behind.', hint: 'Switch on the setting of the time by network: `sudo timedatectl set-ntp true`.' }),
    someCheck({ name: 'relay', subject: 'https://relay.home.example/', detail: 'It answers after 12 ms; it is the home.' }),
    someCheck({ name: 'device', subject: nas.name, status: 'info', code: 'device_relayed', detail: 'Connected through a relay, 48.0 ms there and back: the router here uses another port for each destination.', hint: 'It works, and is slower than a direct connection.' }),
  ];
}

/** Lets time pass: transfers progress, and the other side answers. */
function live(node: FakeNode): void {
  const STEP = 0.1;
  let waited = 0;
  setInterval(() => {
    for (const t of node.state.transfers) {
      if (t.state === 'offered' && t.direction === 'send' && Math.random() < 0.02) node.putTransfer({ ...t, state: 'active', rate: 60_000_000 });
      if (t.state !== 'active') continue;
      const rate = Math.min(t.limit ?? Infinity, node.state.settings.limit || Infinity, (t.rate || 40_000_000) * (0.95 + Math.random() * 0.1));
      const bytes = Math.min(t.total, t.bytes + rate * STEP);
      const files_done = Math.floor((t.files * bytes) / t.total);
      if (bytes >= t.total) node.putTransfer({ ...t, state: 'done', bytes: t.total, files_done: t.files, rate: 0, eta: null, seconds: now() - t.started });
      else node.putTransfer({ ...t, bytes, files_done, rate, eta: (t.total - bytes) / rate });
    }
    node.turn();
  }, STEP * 1000);
  setInterval(() => {
    const { pairing } = node.state;
    waited = ['hosting', 'joining', 'confirm'].includes(pairing.step) ? waited + 1 : 0;
    if (pairing.step === 'hosting' && waited === 20) node.proven('host');
    if (pairing.step === 'joining' && waited === 3) node.proven('joiner');
    if (pairing.step === 'confirm' && pairing.approved && Math.random() < 0.5) node.bothApproved();
    for (const d of node.state.devices) {
      if (d.state === 'connected' && d.rtt_ms !== null) node.putDevice({ ...d, rtt_ms: d.rtt_ms * (0.9 + Math.random() * 0.2) });
    }
  }, 1000);
}

function drag(node: FakeNode): void {
  let serial = 0;
  addEventListener('dragover', (event) => {
    event.preventDefault();
    node.tellShell({ event: 'drag_over', x: event.clientX, y: event.clientY });
  });
  addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) node.tellShell({ event: 'drag_leave' });
  });
  addEventListener('drop', (event) => {
    event.preventDefault();
    const names = [...(event.dataTransfer?.files ?? [])].map((file) => file.name);
    serial += 1;
    node.tellShell({ event: 'dropped', x: event.clientX, y: event.clientY, picked: { pick: `drop-${serial}`, names: names.slice(0, 20), count: names.length } });
  });
}

/** Presses parts of the page one after the other, each as soon as it is there. */
function press(ids: string[]): void {
  const [id, ...rest] = ids;
  if (id === undefined) return;
  const part = document.querySelector<HTMLElement>(id.startsWith('[') ? id : `[data-testid="${CSS.escape(id)}"]`);
  part?.click();
  setTimeout(() => press(part ? rest : ids), 60);
}

/** Returns the node of the scene in the address. */
export function demo(): FakeNode {
  const query = new URLSearchParams(location.search);
  const scene = query.get('scene') ?? 'busy';
  const language = query.get('lang');
  if (language === 'en' || language === 'de') i18n.language = language;
  const look = query.get('theme');
  if (look === 'light' || look === 'dark' || look === 'system') theme.kind = look;

  const node = new FakeNode(scene === 'busy' ? busy() : {}, !['starting', 'failed'].includes(scene) && !scene.includes('_'));
  if (scene === 'plain' || scene === 'file') node.state.identity.keystore = scene;
  if (scene === 'busy') texts(node);
  node.manifests.set(OFFER, OFFERED);
  node.passphrase = 'right';
  if (scene.includes('_')) setTimeout(() => node.lock(scene, query.has('first') ? null : scene.startsWith('passphrase') ? 'file' : 'keychain'));
  if (scene === 'starting') setTimeout(() => node.start(), 4000);
  if (scene === 'failed') {
    setTimeout(() =>
      node.tellShell({
        event: 'start_failed',
        error: apiError('already_running', 'Yonder is already running on /home/user/.local/share/yonder', 'Use the one that runs, or another data directory.'),
        recorded: 'keychain',
      }),
    );
  }
  if (!query.has('still')) live(node);
  drag(node);
  press((query.get('click') ?? '').split(',').filter(Boolean));
  Object.assign(window, { fake: node });
  return node;
}
