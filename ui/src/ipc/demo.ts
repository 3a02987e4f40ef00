// The fake node in motion, for a plain browser: `?scene=empty|busy|starting|failed|plain|file|CODE` (CODE: a start
// that failed with it, `&first` for a first one), `&still` stops it,
// `&lang=` and `&theme=` as they say, `&click=a,b` presses the parts with these test ids, or selectors in brackets, in turn. Files dragged onto the page are taken as drops.

import { i18n } from '../i18n/index.svelte';
import { theme } from '../state/theme.svelte';
import { FakeNode, apiError, someCheck, someConnection, someDevice, someRelay, someText, someTransfer, type FakeState } from './fake';

const now = () => Math.floor(Date.now() / 1000);

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
        roots: ['Summer on the coast, the long version with all takes.mp4', 'notes.txt', 'Faraway', 'مرحبا.pdf', 'x'],
        root_count: 7,
        files: 1284,
        bytes: 0,
        files_done: 0,
        total: 3_412_000_000,
        rate: 0,
        eta: null,
        started: now(),
      }),
      someTransfer({ device: desktop.device_id, device_name: desktop.name, started: now() - 20, roots: ['Holiday 2026', 'b'], root_count: 2 }),
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
        notes: ['“aux.c” was renamed to “aux_.c”.', '“a\u0000b” was renamed to “a_b”.'],
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
    ],
  };
}

/** A conversation as people have them, and a text that means no good. */
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

/** Lets time pass: bytes move, and the other side answers. */
function live(node: FakeNode): void {
  const STEP = 0.1;
  let waited = 0;
  setInterval(() => {
    for (const t of node.state.transfers) {
      if (t.state === 'offered' && t.direction === 'send' && Math.random() < 0.02) node.putTransfer({ ...t, state: 'active', rate: 60_000_000 });
      if (t.state !== 'active') continue;
      const rate = (t.rate || 40_000_000) * (0.95 + Math.random() * 0.1);
      const bytes = Math.min(t.total, t.bytes + rate * STEP);
      const files_done = Math.floor((t.files * bytes) / t.total);
      if (bytes >= t.total) node.putTransfer({ ...t, state: 'done', bytes: t.total, files_done: t.files, rate: 0, eta: null, seconds: now() - t.started });
      else node.putTransfer({ ...t, bytes, files_done, rate, eta: (t.total - bytes) / rate });
    }
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

/** Presses parts of the page one after the other, each once it is there. */
function press(ids: string[]): void {
  const [id, ...rest] = ids;
  if (id === undefined) return;
  const part = document.querySelector<HTMLElement>(id.startsWith('[') ? id : `[data-testid="${CSS.escape(id)}"]`);
  part?.click();
  setTimeout(() => press(part ? rest : ids), 60);
}

/** The node of the scene that the address asks for. */
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
