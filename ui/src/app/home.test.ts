import { render } from '@testing-library/svelte';
import { describe, expect, it, vi } from 'vitest';
import { asked, card, page, screen, waitFor, within } from '../../test/page';
import App from './App.svelte';
import { FakeNode, apiError, someDevice, someTransfer } from '../backend/fake';
import { i18n } from '../i18n/index.svelte';

const MARKUP = '<img src=x onerror="window.hacked=1">';

describe('start', () => {
  it('draws at once, tells the window, and fills in when the core is up', async () => {
    const node = new FakeNode({ devices: [someDevice({ name: 'Attic' })] }, false);
    render(App, { backend: node });
    const app = screen.getByTestId('app');
    expect(app.dataset['ready']).toBe('false');
    expect(screen.getByTestId<HTMLButtonElement>('pair-open').disabled).toBe(true);
    await waitFor(() => expect(asked(node, 'page_ready')).toHaveLength(1));
    node.start();
    await waitFor(() => expect(app.dataset['ready']).toBe('true'));
    expect(card('Attic')).toBeTruthy();
    expect(screen.getByTestId<HTMLButtonElement>('pair-open').disabled).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(asked(node, 'page_ready')).toHaveLength(1);
  });

  it('tells the window even if no frame is ever drawn', async () => {
    vi.stubGlobal('requestAnimationFrame', () => 0);
    const node = new FakeNode();
    render(App, { backend: node });
    await waitFor(() => expect(asked(node, 'page_ready')).toHaveLength(1));
    vi.unstubAllGlobals();
  });

  it('shows why the core could not start, and nothing else', async () => {
    const node = new FakeNode({}, false);
    render(App, { backend: node });
    await waitFor(() => expect(asked(node, 'snapshot')).toHaveLength(1));
    node.tellShell({ event: 'start_failed', error: apiError('already_running', `in use ${MARKUP}`, 'Close the other one.'), recorded: null });
    const failed = await screen.findByTestId('start-failed');
    expect(failed.textContent).toContain(`In use ${MARKUP}`);
    expect(failed.textContent).toContain('Close the other one.');
    expect(failed.textContent).toContain('already_running');
    expect(document.querySelector('img')).toBeNull();
    expect(screen.queryByTestId('pair-open')).toBeNull();
    // The core is repaired, and the page comes back.
    node.start();
    expect(await screen.findByTestId('pair-open')).toBeTruthy();
  });
});

describe('devices', () => {
  it('say what to do first where there are none', async () => {
    const { user } = await page();
    expect(screen.getByText('Bring your first device into view')).toBeTruthy();
    await user.click(screen.getByRole('button', { name: 'Enter a code' }));
    expect(await screen.findByTestId('pair-input')).toBeTruthy();
  });

  it('show how each stands', async () => {
    await page({
      devices: [
        someDevice({ name: 'direct', rtt_ms: 0.8 }),
        someDevice({ name: 'relayed', path: 'relay', rtt_ms: 48 }),
        someDevice({ name: 'connecting', state: 'connecting', path: null, rtt_ms: null, last_seen: null }),
        someDevice({ name: 'returning', state: 'connecting', path: null, rtt_ms: null }),
        someDevice({ name: 'gone', state: 'offline', path: null, rtt_ms: null, last_seen: Math.floor(Date.now() / 1000) - 7200 }),
        someDevice({ name: 'stranger', paired: false, state: 'discovered', path: null }),
        someDevice({ name: 'open', paired: false, state: 'discovered', pairing: true, path: null }),
      ],
    });
    const text = (name: string) => card(name).textContent?.replaceAll(/\s+/g, ' ');
    expect(text('direct')).toContain('Direct · 0.8 ms');
    expect(text('relayed')).toContain('Relay · 48 ms');
    expect(text('connecting')).toContain('Connecting…');
    expect(text('returning')).toContain('Reconnecting…');
    expect(text('gone')).toContain('Seen 2 hours ago');
    expect(text('stranger')).toContain('Nearby');
    expect(text('open')).toContain('Shows a pairing code');
    expect(card('gone').dataset).toMatchObject({ state: 'offline', paired: 'true', testid: 'device-card' });
    expect(card('stranger').dataset).toMatchObject({ state: 'discovered', paired: 'false' });
    expect(screen.getByTestId('devices-connected').textContent).toContain('2 of 5 connected');
    expect(card('stranger').closest('section')?.textContent).toContain('Nearby, not paired');
  });

  it('have names that are text, never markup', async () => {
    await page({ devices: [someDevice({ name: MARKUP }), someDevice({ name: 'a\u202Eb', paired: false, state: 'discovered' })] });
    expect(card(MARKUP).querySelector('bdi')?.textContent).toBe(MARKUP);
    expect(document.querySelector('img')).toBeNull();
    expect((globalThis as { hacked?: number }).hacked).toBeUndefined();
    expect(card('a\ufffdb')).toBeTruthy();
  });

  it('send what is picked', async () => {
    const { node, user } = await page({ devices: [someDevice({ name: 'Attic' })] });
    await user.click(screen.getByRole('button', { name: 'Send files to Attic' }));
    await waitFor(() => expect(asked(node, 'send_picked')).toHaveLength(1));
    expect(asked(node, 'pick')[0]?.folders).toBe(false);
    expect(asked(node, 'send_picked')[0]).toMatchObject({ devices: [node.state.devices[0]?.device_id], pick: 'pick-1', options: { compress: true, encrypt: true, limit: null, wait: true } });
    expect((await screen.findByTestId('transfer-row')).textContent).toContain('report.pdf');
    await user.click(screen.getByRole('button', { name: 'More for Attic' }));
    await user.click(screen.getByRole('menuitem', { name: 'Send a folder…' }));
    await waitFor(() => expect(asked(node, 'pick')[1]?.folders).toBe(true));
  });

  it('send nothing if the dialog was closed', async () => {
    const { node, user } = await page({ devices: [someDevice({ name: 'Attic' })] });
    node.willPick = null;
    await user.click(screen.getByRole('button', { name: 'Send files to Attic' }));
    await waitFor(() => expect(asked(node, 'pick')).toHaveLength(1));
    expect(asked(node, 'send_picked')).toHaveLength(0);
    expect(screen.queryByTestId('toast')).toBeNull();
  });

  it('can be pinged, and unpaired after a question', async () => {
    const { node, user } = await page({ devices: [someDevice({ name: 'Attic' })] });
    await user.click(screen.getByRole('button', { name: 'More for Attic' }));
    await user.click(screen.getByRole('menuitem', { name: 'Measure round trip' }));
    expect((await screen.findByTestId('toast')).textContent).toMatch(/Attic: 1.1\u00a0ms there and back/);

    await user.click(screen.getByRole('button', { name: 'More for Attic' }));
    await user.click(screen.getByRole('menuitem', { name: 'Unpair…' }));
    const dialog = screen.getByRole('dialog', { name: 'Unpair Attic?' });
    expect(asked(node, 'unpair')).toHaveLength(0);
    await user.click(within(dialog).getByRole('button', { name: 'Cancel' }));
    expect(asked(node, 'unpair')).toHaveLength(0);

    await user.click(screen.getByRole('button', { name: 'More for Attic' }));
    await user.click(screen.getByRole('menuitem', { name: 'Unpair…' }));
    await user.click(screen.getByTestId('unpair-confirm'));
    await waitFor(() => expect(card('Attic').dataset['paired']).toBe('false'));
  });
});

describe('offers', () => {
  const offer = someTransfer({
    direction: 'receive',
    state: 'offered',
    device_name: 'Laptop',
    roots: [MARKUP, 'b.txt', 'c', 'd', 'e'],
    root_count: 9,
    files: 1284,
    total: 3_412_000_000,
    bytes: 0,
  });

  it('say who and what, and are accepted into the download folder', async () => {
    const { node, user } = await page({ transfers: [offer] });
    const shown = screen.getByTestId('offer-card');
    expect(shown.textContent).toContain('Laptop');
    expect(shown.textContent).toContain('1,284 files · 3.41\u00a0GB');
    expect(shown.textContent).toContain('and 5 more');
    expect(shown.textContent).toContain(MARKUP);
    expect(shown.textContent).toContain('/home/user/Downloads');
    expect(document.querySelector('img')).toBeNull();
    expect(document.title).toBe('(1) Yonder');
    expect(screen.queryByTestId('transfer-row')).toBeNull();
    await user.click(screen.getByTestId('offer-accept'));
    await waitFor(() => expect(screen.queryByTestId('offer-card')).toBeNull());
    expect(asked(node, 'accept')).toEqual([{ cmd: 'accept', id: offer.id, into: null, conflict: 'keep-both', only: null }]);
    expect(screen.getByTestId('transfer-row').dataset).toMatchObject({ state: 'active', direction: 'receive' });
    expect(document.title).toBe('Yonder');
  });

  it('are declined', async () => {
    const { node, user } = await page({ transfers: [offer] });
    await user.click(screen.getByTestId('offer-decline'));
    await waitFor(() => expect(screen.queryByTestId('offer-card')).toBeNull());
    expect(asked(node, 'decline')).toHaveLength(1);
    expect(screen.getByTestId('transfer-row').textContent).toContain('Declined');
  });

  it('go elsewhere through the window’s dialog, and stay if it is closed', async () => {
    const { node, user } = await page({ transfers: [offer] });
    node.willChoose = null;
    await user.click(screen.getByTestId('offer-accept-into'));
    await waitFor(() => expect(asked(node, 'accept_into')).toHaveLength(1));
    expect(screen.getByTestId('offer-card')).toBeTruthy();
    node.willChoose = '/media/usb';
    await waitFor(() => expect(screen.getByTestId<HTMLButtonElement>('offer-accept-into').disabled).toBe(false));
    await user.click(screen.getByTestId('offer-accept-into'));
    await waitFor(() => expect(screen.queryByTestId('offer-card')).toBeNull());
  });

  it('are read out as they arrive, and an error leaves them there', async () => {
    const { node, user } = await page();
    node.putTransfer({ ...offer, id: 'late' });
    await screen.findByTestId('offer-card');
    expect(screen.getByText('Laptop wants to send you something.')).toBeTruthy();
    node.refuse.set('accept', apiError('storage_full', 'the disk is full', 'Free some space.'));
    await user.click(screen.getByTestId('offer-accept'));
    const toast = await screen.findByTestId('toast');
    expect(toast.dataset['code']).toBe('storage_full');
    expect(toast.textContent).toContain('Free some space.');
    expect(toast.closest('[aria-live]')).toBeTruthy();
    expect(screen.getByTestId('offer-card')).toBeTruthy();
    await user.click(within(toast).getByRole('button', { name: 'Dismiss' }));
    expect(screen.queryByTestId('toast')).toBeNull();
  });
});

describe('transfers', () => {
  const row = () => screen.getByTestId('transfer-row');

  it('show how far, how fast, how long', async () => {
    const { node, user } = await page({ transfers: [someTransfer({ roots: [MARKUP], eta: 95 })] });
    expect(row().textContent).toContain('400\u00a0MB of 1.60\u00a0GB');
    expect(row().textContent).toContain('84.0\u00a0MB/s');
    expect(row().textContent).toContain('1\u00a0min 30\u00a0s left');
    expect(row().textContent).toContain('25%');
    expect(row().textContent).toContain(MARKUP);
    expect(document.querySelector('img')).toBeNull();
    const bar = within(row()).getByRole('progressbar');
    expect(bar.getAttribute('aria-valuenow')).toBe('25');
    expect(bar.querySelector<HTMLElement>('.fill')?.style.transform).toBe('scaleX(0.25)');
    await user.click(screen.getByTestId('transfer-cancel'));
    await waitFor(() => expect(row().dataset['state']).toBe('cancelled'));
    expect(asked(node, 'cancel')).toHaveLength(1);
    expect(screen.queryByTestId('transfer-cancel')).toBeNull();
  });

  it('say why one failed, and what to do', async () => {
    await page({ transfers: [someTransfer({ state: 'failed', rate: 0, eta: null, reason: apiError('connection_lost', 'the connection was lost', 'Check the network.') })] });
    expect(row().textContent).toContain('Failed');
    expect(row().textContent).toContain('The connection was lost');
    expect(row().textContent).toContain('Check the network.');
    expect(within(row()).queryByRole('progressbar')).toBeNull();
  });

  it('show where they are when received, show notes, and leave the list', async () => {
    const { node, user } = await page({
      transfers: [someTransfer({ direction: 'receive', state: 'done', seconds: 3.2, notes: [{ code: 'skipped', args: { path: MARKUP, reason: 'file_unreadable' } }, { code: 'trashed', args: { count: 2 } }], bytes: 1_600_000_000, into: '/srv/in\u202ebox' })],
    });
    expect(row().textContent).toContain('2 notes');
    expect(document.querySelector('img')).toBeNull();
    expect(screen.getByTestId('transfer-stored').textContent).toContain('/srv/in\ufffdbox');
    await user.click(screen.getByRole('button', { name: 'Open Holiday 2026' }));
    await user.click(screen.getByRole('button', { name: 'Show Holiday 2026 in its folder' }));
    const { id } = node.state.transfers[0] ?? {};
    expect([...asked(node, 'open_stored'), ...asked(node, 'show_in_folder')]).toEqual([{ cmd: 'open_stored', id }, { cmd: 'show_in_folder', id }]);
    await user.click(screen.getByTestId('transfer-remove'));
    await waitFor(() => expect(screen.queryByTestId('transfer-row')).toBeNull());
    expect(asked(node, 'forget')).toHaveLength(1);
  });

  it.each([
    ['en', 'No file manager answered', 'The files are in /srv/inbox.'],
    ['de', 'Kein Dateimanager hat geantwortet.', 'Die Dateien liegen in /srv/inbox.'],
  ] as const)('say where the files are if nothing can show them (%s)', async (language, message, hint) => {
    i18n.language = language;
    const { node, user } = await page({ transfers: [someTransfer({ direction: 'receive', state: 'done', into: '/srv/inbox' })] });
    node.refuse.set('show_in_folder', apiError('file_manager', 'no file manager answered', 'x'));
    await user.click(screen.getByTestId('transfer-show'));
    const toast = await screen.findByTestId('toast');
    expect(toast.textContent).toContain(message);
    expect(toast.textContent).toContain(hint);
  });

  it('that failed in the middle say where the rest is, and those that stored nothing do not', async () => {
    await page({ transfers: [someTransfer({ direction: 'receive', state: 'failed', into: '/srv/inbox', roots: ['some'], files_done: 1 }), someTransfer({ direction: 'receive', state: 'failed', into: '/srv/inbox', roots: ['none'], files_done: 0 })] });
    expect(screen.getAllByTestId('transfer-stored')).toHaveLength(1);
  });

  it('that ended are cleared by a choice, those under way stay', async () => {
    const { user } = await page({ transfers: [someTransfer(), someTransfer({ state: 'done' }), someTransfer({ state: 'declined' })] });
    expect(screen.getAllByTestId('transfer-row')).toHaveLength(3);
    await user.click(screen.getByRole('button', { name: 'Clear the history' }));
    await user.click(screen.getByRole('menuitem', { name: 'Everything (2)' }));
    await waitFor(() => expect(screen.getAllByTestId('transfer-row')).toHaveLength(1));
  });

  it('sent ones offer no folder', async () => {
    await page({ transfers: [someTransfer({ state: 'done' })] });
    expect(screen.queryByTestId('transfer-stored')).toBeNull();
    expect(row().textContent).toContain('Received and checked by the other side');
  });
});

it('says that the node is going down', async () => {
  const { node } = await page();
  node.emit({ event: 'stopping' });
  expect(await screen.findByText('Yonder is shutting down.')).toBeTruthy();
});

it('says a notice, and the same one twice only once', async () => {
  const { node } = await page();
  const error = apiError('mdns', 'devices on the local network cannot be looked for', '');
  node.emit({ event: 'notice', error });
  node.emit({ event: 'notice', error });
  expect((await screen.findByTestId('toast')).textContent).toContain('×2');
});

describe('a device that does not answer while files move', () => {
  it('is shown at the transfer and on the card, without a speed and a time that are not true', async () => {
    const device = someDevice({ name: 'Attic', rtt_ms: 0.8 });
    const transfer = someTransfer({ device: device.device_id, device_name: 'Attic', rate: 84_000_000, eta: 14 });
    const { node } = await page({ devices: [device], transfers: [transfer] });
    const row = () => screen.getByTestId('transfer-row');
    const status = () => within(card('Attic')).getByTestId('device-status');
    expect(row().textContent).toContain('MB/s');
    node.putTransfer({ ...transfer, silent: 3 });
    await waitFor(() => expect(screen.getByTestId('transfer-silent').textContent).toBe('No answer for 3\u00a0s'));
    expect(row().textContent).not.toMatch(/MB\/s|left/);
    expect(row().classList.contains('silent')).toBe(true);
    expect(status().textContent.trim()).toBe('No answer · 3\u00a0s');
    expect(status().classList.contains('silent')).toBe(true);
    node.putTransfer(transfer);
    await waitFor(() => expect(screen.queryByTestId('transfer-silent')).toBeNull());
    expect(status().textContent).toContain('Direct');
  });
});

describe('how a transfer ended', () => {
  const ended = (over: Parameters<typeof someTransfer>[0]) => page({ transfers: [someTransfer({ state: 'done', device_name: 'Attic', rate: 0, eta: null, ...over })] });
  const row = () => screen.getByTestId('transfer-row');
  const state = () => screen.getByTestId('transfer-state').textContent;

  it('in part says how much was taken, at the sender as no full success', async () => {
    await ended({ files: 1, files_done: 1, offered: { files: 6, bytes: 9000 }, skipped: 5, reasons: { not_taken: 5 }, reason: apiError('incomplete', 'x', 'y') });
    expect(row().textContent).toContain('1 of 6 files taken');
    expect(state()).toBe('Attic took only a part; it is received and checked');
    expect(row().querySelector('.lucide-check')).toBeNull();
    expect(row().querySelector('.reason')).toBeNull();
  });

  it('in part by choice is a success where it was chosen', async () => {
    await ended({ direction: 'receive', files: 1, files_done: 1, offered: { files: 6, bytes: 9000 }, skipped: 5, reasons: { not_taken: 5 }, into: '/d' });
    expect(row().textContent).toContain('1 of 6 files taken');
    expect(state()).toBe('Received and checked');
    expect(row().querySelector('.lucide-check')).toBeTruthy();
  });

  it.each([
    ['en', 'Not everything: 3 left out', '2: it may not be read', 'a/b is left out: a link to nothing'],
    ['de', 'Nicht alles: 3 ausgelassen', '2: darf nicht gelesen werden', 'a/b ist ausgelassen: ein Verweis ins Leere'],
  ] as const)('without everything says what is missing (%s)', async (language, said, counted, note) => {
    i18n.language = language;
    await ended({ skipped: 3, reasons: { file_unreadable: 2, link_broken: 1 }, notes: [{ code: 'skipped', args: { path: 'a/b', reason: 'link_broken' } }], reason: apiError('incomplete', 'x', 'y') });
    expect(state()).toBe(said);
    expect(row().textContent).toContain(counted);
    expect(row().textContent).toContain(note);
  });

  it.each([
    ['cancelled_here', 'Cancelled by you'],
    ['cancelled_there', 'Cancelled by Attic'],
  ])('by a cancel says by whom: %s', async (code, said) => {
    await ended({ state: 'cancelled', reason: apiError(code, 'it was cancelled here', '') });
    expect(state()).toBe(said);
    expect(row().textContent).not.toContain('it was cancelled');
  });
});

describe('a transfer that waits', () => {
  it('for its turn says so, unless its device is away', async () => {
    const device = someDevice({ name: 'Attic', state: 'offline', path: null, rtt_ms: null });
    await page({ devices: [device], transfers: [someTransfer({ state: 'queued', device: device.device_id, device_name: 'Attic', rate: 0, eta: null, place: 1 })] });
    expect(screen.getByTestId('transfer-row').textContent).toContain('Continues by itself when Attic is there again');
    expect(screen.getByTestId('transfer-row').textContent).not.toContain('turn');
  });

  it('for a device that is away is no failure', async () => {
    const { node } = await page({ transfers: [someTransfer({ state: 'waiting', device_name: 'Attic', rate: 0, eta: null, reason: apiError('connection_lost', 'the connection was lost', 'It goes on by itself.') })] });
    const row = screen.getByTestId('transfer-row');
    expect(row.textContent).toContain('Continues by itself when Attic is there again');
    expect(row.textContent).not.toContain('lost');
    expect(row.querySelector('.bad')).toBeNull();
    const [transfer] = node.state.transfers;
    if (transfer) node.putTransfer({ ...transfer, reason: apiError('disk_full', 'the receiving disk is full', 'Free some space.') });
    await waitFor(() => expect(row.textContent).toContain('The receiving disk is full'));
    expect(row.textContent).toContain('Free some space.');
  });
});
