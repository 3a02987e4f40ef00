import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { asked, card, page, screen, waitFor, within } from '../../../../test/page';
import { apiError, someDevice, someTransfer } from '../../../backend/fake';
import { deviceAt } from '../../../common/state/drops.svelte';

const picked = { pick: 'drop-1', names: ['<img src=x>.png', 'b'], count: 9 };

/** Says which element is at a point, because the test environment has no layout. */
let under: Element | null = null;

beforeEach(() => {
  under = null;
  document.elementFromPoint = vi.fn(() => under);
});

afterEach(() => void vi.restoreAllMocks());

describe('hit test', () => {
  it('finds the card beneath whatever part of it is hit', async () => {
    await page({ devices: [someDevice({ device_id: 'dev-a', name: 'A' })] });
    under = card('A').querySelector('h3 bdi');
    expect(deviceAt(12.5, 40)).toBe('dev-a');
    expect(document.elementFromPoint).toHaveBeenCalledWith(12.5, 40);
    under = screen.getByRole('banner');
    expect(deviceAt(1, 1)).toBeNull();
    under = null;
    expect(deviceAt(-1, -1)).toBeNull();
  });
});

describe('a drag', () => {
  it('lights the card beneath it, and leaves without a trace', async () => {
    const { node } = await page({ devices: [someDevice({ device_id: 'dev-a', name: 'A' }), someDevice({ device_id: 'dev-b', name: 'B' })] });
    under = card('A');
    node.tellShell({ event: 'drag_over', x: 1, y: 2 });
    await waitFor(() => expect(card('A').classList.contains('target')).toBe(true));
    expect(card('A').textContent).toContain('Drop to send');
    expect(card('B').classList.contains('target')).toBe(false);
    expect(card('B').classList.contains('ready')).toBe(true);
    under = card('B');
    node.tellShell({ event: 'drag_over', x: 3, y: 4 });
    await waitFor(() => expect(card('B').classList.contains('target')).toBe(true));
    expect(card('A').classList.contains('target')).toBe(false);
    node.tellShell({ event: 'drag_leave' });
    await waitFor(() => expect(document.querySelector('.target, .ready')).toBeNull());
  });
});

describe('a drop', () => {
  it('on a card is sent there, where it falls and not where it was', async () => {
    const { node } = await page({ devices: [someDevice({ device_id: 'dev-a', name: 'A' }), someDevice({ device_id: 'dev-b', name: 'B' })] });
    under = card('A');
    node.tellShell({ event: 'drag_over', x: 1, y: 2 });
    under = card('B');
    node.tellShell({ event: 'dropped', x: 5, y: 6, picked });
    await waitFor(() => expect(asked(node, 'send_picked')).toHaveLength(1));
    expect(asked(node, 'send_picked')[0]).toMatchObject({ devices: ['dev-b'], pick: 'drop-1' });
    expect(document.querySelector('.target')).toBeNull();
  });

  it('goes where it was aimed while devices come and go and offers arrive', async () => {
    const [a, b] = [someDevice({ device_id: 'dev-a', name: 'A' }), someDevice({ device_id: 'dev-b', name: 'B' })];
    const { node } = await page({ devices: [a, b] });
    const drawn = () => [...document.querySelectorAll('[data-testid="device-card"], [data-testid="offer-card"]')].map((each) => each.getAttribute('aria-label'));
    const before = drawn();
    under = card('B');
    node.tellShell({ event: 'drag_over', x: 1, y: 2 });
    await waitFor(() => expect(card('B').classList.contains('target')).toBe(true));
    node.putDevice({ ...a, state: 'offline' });
    node.putDevice(someDevice({ name: 'New one', paired_at: 1 }));
    node.putDevice(someDevice({ name: 'Stranger', paired: false, state: 'discovered' }));
    node.dropDevice('dev-a');
    node.putDevice({ ...b, state: 'offline', name: 'B away' });
    node.putTransfer(someTransfer({ direction: 'receive', state: 'offered', device_name: 'B' }));
    await waitFor(() => expect(card('B away').dataset['state']).toBe('offline'));
    expect(drawn()).toEqual(before.map((name) => (name === 'B' ? 'B away' : name)));
    node.tellShell({ event: 'dropped', x: 1, y: 2, picked });
    await waitFor(() => expect(asked(node, 'send_picked')[0]).toMatchObject({ devices: ['dev-b'] }));
    await waitFor(() => expect(drawn()).toEqual(['Offer from B', 'New one', 'B away', 'Stranger']));
  });

  it('whose end was never told does not hold the page for ever', async () => {
    const { node, user } = await page({ devices: [someDevice({ device_id: 'dev-a', name: 'A' })] });
    under = card('A');
    node.tellShell({ event: 'drag_over', x: 1, y: 2 });
    await waitFor(() => expect(card('A').classList.contains('target')).toBe(true));
    await user.click(screen.getByRole('banner'));
    await waitFor(() => expect(document.querySelector('.target, .ready')).toBeNull());
  });

  it('on a device that is not paired says so and sends nothing', async () => {
    const { node } = await page({ devices: [someDevice({ name: 'A', paired: false, state: 'discovered' })] });
    under = card('A');
    node.tellShell({ event: 'drag_over', x: 1, y: 2 });
    await waitFor(() => expect(card('A').textContent).toContain('Pair it first'));
    node.tellShell({ event: 'dropped', x: 1, y: 2, picked });
    const toast = await screen.findByTestId('toast');
    expect(toast.textContent).toContain('A is not paired yet');
    expect(toast.dataset['kind']).toBe('refused');
    expect(toast.querySelector('.lucide-check')).toBeNull();
    expect(asked(node, 'send_picked')).toHaveLength(0);
  });

  it('beside the cards asks, if one device is connected', async () => {
    const { node, user } = await page({ devices: [someDevice({ device_id: 'dev-a', name: 'A' }), someDevice({ name: 'B', state: 'offline' })] });
    node.tellShell({ event: 'dropped', x: 1, y: 2, picked });
    const dialog = await screen.findByRole('dialog', { name: 'Send to…' });
    expect(dialog.textContent).toContain('<img src=x>.png');
    expect(dialog.querySelector('img')).toBeNull();
    expect(dialog.textContent).toContain('and 7 more');
    expect(asked(node, 'send_picked')).toHaveLength(0);
    await user.click(screen.getByTestId('send-confirm'));
    await waitFor(() => expect(asked(node, 'send_picked')[0]).toMatchObject({ devices: ['dev-a'], pick: 'drop-1' }));
    expect(screen.queryByRole('dialog')).toBeNull();
  });

  it('beside the cards asks which, if there are several', async () => {
    const { node, user } = await page({ devices: [someDevice({ device_id: 'dev-a', name: 'A' }), someDevice({ device_id: 'dev-b', name: 'B' })] });
    node.tellShell({ event: 'dropped', x: 1, y: 2, picked });
    const dialog = await screen.findByRole('dialog', { name: 'Send to…' });
    expect(screen.getByTestId<HTMLButtonElement>('send-confirm').disabled).toBe(true);
    await user.click(within(dialog).getByRole('checkbox', { name: 'B' }));
    await user.click(screen.getByRole('button', { name: 'Send to B' }));
    await waitFor(() => expect(asked(node, 'send_picked')[0]).toMatchObject({ devices: ['dev-b'] }));
  });

  it('with nothing paired says what to do first', async () => {
    const { node } = await page();
    node.tellShell({ event: 'dropped', x: 1, y: 2, picked });
    expect((await screen.findByTestId('toast')).textContent).toContain('Pair a device first');
  });

  it('of which something is gone sends the rest, and says what is missing', async () => {
    const { node } = await page({ devices: [someDevice({ name: 'A' })] });
    node.missing = ['moved.txt'];
    under = card('A');
    node.tellShell({ event: 'dropped', x: 1, y: 2, picked });
    const toast = await screen.findByTestId('toast');
    expect(toast.textContent).toContain('Not there any more, and not sent: moved.txt');
    expect(toast.dataset['kind']).toBe('error');
    expect(node.state.transfers).toHaveLength(1);
  });

  it('that is refused shows why', async () => {
    const { node } = await page({ devices: [someDevice({ name: 'A' })] });
    node.refuse.set('send_picked', apiError('file', '/home/x: permission denied', 'Check that you may use it.'));
    under = card('A');
    node.tellShell({ event: 'dropped', x: 1, y: 2, picked });
    const toast = await screen.findByTestId('toast');
    expect(toast.textContent).toContain('/home/x: permission denied');
    expect(toast.textContent).toContain('Check that you may use it.');
  });
});
