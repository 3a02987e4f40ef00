import { fireEvent } from '@testing-library/svelte';
import { describe, expect, it, vi } from 'vitest';
import { asked, page, screen, waitFor, within } from '../../../test/page';
import { apiError, someDevice, someTransfer } from '../../backend/fake';
import type { TransferView } from '../../backend/bindings';
import { UNLIMITED, placeOf } from '../../common/text/speed';

const MARKUP = '<img src=x onerror=alert(1)>';
const still = { rate: 0, eta: null } as const;

async function open(transfers: TransferView[], more: Parameters<typeof page>[0] = {}) {
  const made = await page({ transfers, ...more });
  await made.user.click(screen.getByTestId('transfers-open'));
  await screen.findByTestId('transfers');
  return made;
}

const row = (name: string) => screen.getByRole('article', { name });
const names = (section: string) => within(screen.getByTestId(section)).getAllByTestId('transfer-row').map((each) => each.getAttribute('aria-label'));
const queued = (name: string, place: number, over: Partial<TransferView> = {}) => someTransfer({ roots: [name], state: 'queued', ...still, bytes: 0, place, id: `id-${name}`, started: 100 - place, ...over });
const slide = async (testid: string, place: number, end = true) => {
  const slider = screen.getByTestId<HTMLInputElement>(testid);
  await fireEvent.input(slider, { target: { value: String(place) } });
  if (end) await fireEvent.change(slider);
};

describe('the page of transfers', () => {
  it('has a section for what waits for an answer, what is under way, what is next, and what was', async () => {
    await open([
      someTransfer({ roots: ['offered'], direction: 'receive', state: 'offered', ...still }),
      someTransfer({ roots: ['proposed'], state: 'offered', ...still }),
      someTransfer({ roots: ['second'], place: 2, started: 9 }),
      someTransfer({ roots: ['first'], place: 1, started: 5 }),
      queued('third', 3),
      someTransfer({ roots: ['comes in'], direction: 'receive', started: 7 }),
      someTransfer({ roots: ['was'], state: 'done', ...still }),
    ]);
    expect(within(screen.getByTestId('transfers-asks')).getByTestId('offer-card')).toBeTruthy();
    expect(names('transfers-asks')).toEqual(['proposed']);
    expect(names('transfers-under')).toEqual(['first', 'second', 'comes in']);
    expect(names('transfers-queue')).toEqual(['third']);
    expect(names('transfers-history')).toEqual(['was']);
    expect(screen.getByTestId('rate-up').textContent).toBe('168\u00a0MB/s');
    expect(screen.getByTestId('rate-down').textContent).toBe('84.0\u00a0MB/s');
  });

  it('shows no share of a file whose size is not known', async () => {
    await open([
      someTransfer({ roots: ['stream'], growing: true, files: 1, files_done: 0, bytes: 4_000_000, total: 5_000_000, eta: null }),
      someTransfer({ roots: ['offered stream'], growing: true, direction: 'receive', state: 'offered', files: 1, bytes: 0, total: 0, ...still }),
    ]);
    const text = row('stream').textContent ?? '';
    expect(text).toContain('4.00\u00a0MB · size unknown');
    expect(text).not.toMatch(/\d\s?%|5\.00/);
    expect(within(row('stream')).queryByRole('progressbar')).toBeNull();
    expect(screen.getByTestId('offer-card').textContent).toContain('1 file · size unknown');
  });

  it('is left by Escape, but not out of a search', async () => {
    const { user } = await open([someTransfer({ state: 'done', ...still })]);
    await user.type(screen.getByTestId('history-search'), 'x');
    await user.keyboard('{Escape}');
    expect(screen.getByTestId('transfers')).toBeTruthy();
    await user.clear(screen.getByTestId('history-search'));
    await user.keyboard('{Escape}');
    expect(screen.queryByTestId('transfers')).toBeNull();
  });

  it('says what to do where there is nothing', async () => {
    await open([]);
    expect(screen.getByText('Nothing on its way')).toBeTruthy();
  });

  it('opens where a notification asks for it, and its button counts what waits for a person', async () => {
    const { node } = await page({ transfers: [someTransfer({ direction: 'receive', state: 'offered', ...still }), someTransfer({ state: 'paused', ...still, reason: apiError('disk_full', 'full') })] });
    expect(screen.getByRole('button', { name: 'Transfers, 2 wait for you' })).toBeTruthy();
    node.tellShell({ event: 'show', view: 'transfers' });
    expect(await screen.findByTestId('transfers')).toBeTruthy();
  });

  it('sends what is picked, after asking to whom', async () => {
    const { node, user } = await open([], { devices: [someDevice({ device_id: 'dev-a', name: 'A' })] });
    await user.click(screen.getByTestId('transfers-send'));
    await screen.findByRole('dialog', { name: 'Send to…' });
    expect(asked(node, 'pick')[0]?.folders).toBe(false);
    await user.click(screen.getByTestId('send-confirm'));
    await waitFor(() => expect(asked(node, 'send_picked')[0]?.devices).toEqual(['dev-a']));
  });
});

describe('a transfer', () => {
  it('is paused, and resumed', async () => {
    const { node, user } = await open([someTransfer({ roots: ['a'], place: 1 })]);
    await user.click(screen.getByRole('button', { name: 'Pause a' }));
    await waitFor(() => expect(row('a').dataset).toMatchObject({ state: 'paused', reason: 'paused_here' }));
    expect(row('a').textContent).toContain('Paused by you');
    expect(screen.queryByTestId('transfer-pause')).toBeNull();
    await user.click(screen.getByRole('button', { name: 'Resume a' }));
    await waitFor(() => expect(row('a').dataset['state']).toBe('active'));
    expect([asked(node, 'pause').length, asked(node, 'resume').length]).toEqual([1, 1]);
  });

  it('that the other side paused goes on from there alone', async () => {
    await open([someTransfer({ roots: ['a'], state: 'paused', ...still, device_name: 'Attic', reason: apiError('paused_there', 'x') })]);
    expect(row('a').textContent).toContain('Paused by Attic');
    expect(screen.getByTestId('transfer-hint').textContent).toContain('It goes on when it is resumed there.');
    expect(screen.queryByTestId('transfer-resume')).toBeNull();
  });

  it.each([
    ['receive', 'disk_full', 'The disk of this device is full', 'Free some space; it goes on by itself'],
    ['send', 'disk_full', 'The disk of Attic is full', 'Free some space there; it goes on by itself'],
    ['send', 'source_gone', 'What was to be sent is not there any more', 'It goes on by itself then.'],
  ] as const)('that stopped (%s, %s) says why and what to do', async (direction, code, why, hint) => {
    const { node, user } = await open([someTransfer({ roots: ['a'], direction, state: 'paused', ...still, device_name: 'Attic', reason: apiError(code, MARKUP) })]);
    expect(screen.getByTestId('transfer-state').textContent).toBe(why);
    expect(screen.getByTestId('transfer-hint').textContent).toContain(hint);
    expect(row('a').textContent).not.toContain(MARKUP);
    await user.click(screen.getByTestId('transfer-resume'));
    await waitFor(() => expect(asked(node, 'resume')).toHaveLength(1));
    await waitFor(() => expect(screen.queryByTestId('transfer-hint')).toBeNull());
  });

  it('that stops is said to a screen reader', async () => {
    const { node } = await open([someTransfer({ roots: ['a'], direction: 'receive', id: 'x' })]);
    node.putTransfer(someTransfer({ roots: ['a'], direction: 'receive', id: 'x', state: 'paused', reason: apiError('disk_full', 'full') }));
    expect(await screen.findByText('a: The disk of this device is full')).toBeTruthy();
  });

  it('that waits for another try is tried at once', async () => {
    const { node, user } = await open([someTransfer({ roots: ['a'], state: 'waiting', ...still })]);
    await user.click(screen.getByRole('button', { name: 'Try a again now' }));
    await waitFor(() => expect(asked(node, 'resume')).toHaveLength(1));
  });

  it('gets a limit of its own, while the slider moves, and not at every step', async () => {
    const { node, user } = await open([someTransfer({ roots: ['a'], id: 'x' })]);
    await user.click(screen.getByRole('button', { name: 'Speed limit for a' }));
    vi.useFakeTimers();
    try {
      for (const place of [20, 18, 15]) {
        await slide('transfer-speed', place, false);
        await vi.advanceTimersByTimeAsync(100);
      }
      expect(screen.getByTestId('transfer-speed-value').textContent).toBe('30\u00a0MB/s');
      expect(asked(node, 'limit')).toHaveLength(0);
      await vi.advanceTimersByTimeAsync(100);
      expect(asked(node, 'limit')).toEqual([{ cmd: 'limit', id: 'x', rate: 30_000_000 }]);
      expect(row('a').textContent).toContain('at most 30\u00a0MB/s');
    } finally {
      vi.useRealTimers();
    }
    // Releasing the slider applies the limit at once.
    await slide('transfer-speed', UNLIMITED);
    await waitFor(() => expect(asked(node, 'limit')[1]?.rate).toBeNull());
    await waitFor(() => expect(row('a').textContent).not.toContain('at most'));
  });

  it('that ended is sent again, if it was from here', async () => {
    const { node, user } = await open([someTransfer({ roots: ['a'], state: 'failed', ...still, id: 'x' }), someTransfer({ roots: ['b'], direction: 'receive', state: 'failed', ...still })]);
    expect(screen.getAllByTestId('transfer-retry')).toHaveLength(1);
    await user.click(screen.getByRole('button', { name: 'Send a again' }));
    await waitFor(() => expect(names('transfers-asks')).toEqual(['a']));
    expect(asked(node, 'retry')).toEqual([{ cmd: 'retry', id: 'x' }]);
    expect(names('transfers-history').toSorted()).toEqual(['a', 'b']);
  });

  it('that cannot be sent again says why', async () => {
    const { node, user } = await open([someTransfer({ roots: ['a'], state: 'done', ...still })]);
    node.refuse.set('retry', apiError('path_not_found', '/home/x/a: not found', 'Check the path.'));
    await user.click(screen.getByTestId('transfer-retry'));
    expect((await screen.findByTestId('toast')).dataset['code']).toBe('path_not_found');
  });
});

describe('those that wait for their turn', () => {
  const three = () => [someTransfer({ roots: ['goes'], place: 1 }), queued('a', 2), queued('b', 3), queued('c', 4)];

  it('are moved by buttons', async () => {
    const { node, user } = await open(three());
    expect(names('transfers-queue')).toEqual(['a', 'b', 'c']);
    await user.click(screen.getByRole('button', { name: 'Move c up' }));
    await waitFor(() => expect(names('transfers-queue')).toEqual(['a', 'c', 'b']));
    await user.click(screen.getByRole('button', { name: 'Move b to the front' }));
    await waitFor(() => expect(names('transfers-queue')).toEqual(['b', 'a', 'c']));
    await user.click(screen.getByRole('button', { name: 'Move a down' }));
    await waitFor(() => expect(names('transfers-queue')).toEqual(['b', 'c', 'a']));
    expect(asked(node, 'reorder').map(({ id, before }) => [id, before])).toEqual([['id-c', 'id-b'], ['id-b', 'id-a'], ['id-a', null]]);
    expect(screen.getByText('a is number 3 now.')).toBeTruthy();
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Move b up' }).disabled).toBe(true);
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Move a down' }).disabled).toBe(true);
  });

  it('are not there while their folders are being walked, or where the other side sends', async () => {
    await open([queued('walks', 0, { place: null }), queued('comes', 0, { place: null, direction: 'receive' })]);
    expect(screen.queryByTestId('transfers-queue')).toBeNull();
    expect(names('transfers-under').toSorted()).toEqual(['comes', 'walks']);
    expect(row('walks').textContent).toContain('Waits for its turn');
  });

  it('are moved by the keyboard, which stays with the one that moves', async () => {
    const { user } = await open(three());
    within(row('a')).getByTestId('transfer-grip').focus();
    expect(document.activeElement?.getAttribute('aria-label')).toContain('a, number 1 of 3 in line');
    await user.keyboard('{ArrowDown}');
    await waitFor(() => expect(names('transfers-queue')).toEqual(['b', 'a', 'c']));
    await waitFor(() => expect(document.activeElement).toBe(within(row('a')).getByTestId('transfer-grip')));
    await user.keyboard('{End}');
    await waitFor(() => expect(names('transfers-queue')).toEqual(['b', 'c', 'a']));
    await user.keyboard('{ArrowDown}');
    expect(names('transfers-queue')).toEqual(['b', 'c', 'a']);
  });

  it('are dragged by the handle; Escape lets go of it', async () => {
    const { node } = await open(three());
    // The test environment has no layout: each row is given a position.
    const rows = () => [...screen.getByTestId('transfers-queue').querySelectorAll('li')];
    for (const [at, each] of rows().entries()) each.getBoundingClientRect = () => new DOMRect(0, at * 100, 500, 90);
    const grip = within(row('c')).getByTestId('transfer-grip');
    const to = (type: string, y: number) => fireEvent(grip, new PointerEvent(type, { bubbles: true, clientY: y, button: 0 }));
    await to('pointerdown', 245);
    await to('pointermove', 20);
    expect(rows()[0]?.classList.contains('before')).toBe(true);
    await fireEvent.keyDown(window, { key: 'Escape' });
    await to('pointerup', 20);
    expect(asked(node, 'reorder')).toHaveLength(0);
    await to('pointerdown', 245);
    await to('pointermove', 120);
    await to('pointerup', 120);
    await waitFor(() => expect(names('transfers-queue')).toEqual(['a', 'c', 'b']));
    expect(asked(node, 'reorder')).toEqual([{ cmd: 'reorder', id: 'id-c', before: 'id-b' }]);
  });

  it('go when another is paused, and all are paused from the end', async () => {
    const { node, user } = await open(three(), {});
    node.state.settings.parallel = 1;
    await user.click(screen.getByRole('button', { name: 'Pause goes' }));
    await waitFor(() => expect(row('a').dataset['state']).toBe('active'));
    await user.click(screen.getByTestId('pause-all'));
    await waitFor(() => expect(screen.getByTestId<HTMLButtonElement>('pause-all').disabled).toBe(true));
    expect(asked(node, 'pause').slice(1).map(({ id }) => id)).toEqual(['id-c', 'id-b', 'id-a']);
    await user.click(screen.getByTestId('resume-all'));
    await waitFor(() => expect(asked(node, 'resume')).toHaveLength(4));
  });
});

describe('a limit for all', () => {
  it('holds at once, and a refused one goes back', async () => {
    const { node } = await open([]);
    expect(screen.getByTestId('limit-all-value').textContent).toBe('No limit');
    await slide('limit-all', placeOf(2_000_000));
    await waitFor(() => expect(node.state.settings.limit).toBe(2_000_000));
    expect(screen.getByTestId('limit-all').getAttribute('aria-valuetext')).toBe('2\u00a0MB/s');
    node.refuse.set('set_setting', apiError('invalid_input', 'no'));
    await slide('limit-all', 0);
    await screen.findByTestId('toast');
    await waitFor(() => expect(screen.getByTestId('limit-all-value').textContent).toBe('2\u00a0MB/s'));
    await slide('limit-all', UNLIMITED);
    await waitFor(() => expect(asked(node, 'set_setting').at(-1)).toMatchObject({ key: 'limit', value: '0' }));
  });

  it('is in the settings too, beside how many send at once and the rule for names', async () => {
    const { node, user } = await page({});
    await user.click(screen.getByTestId('settings-open'));
    await slide('settings-limit', placeOf(10_000_000));
    await user.selectOptions(screen.getByTestId('settings-parallel'), '5');
    await user.selectOptions(screen.getByTestId('settings-conflict'), 'replace');
    await waitFor(() => expect(node.state.settings).toMatchObject({ limit: 10_000_000, parallel: 5, conflict: 'replace' }));
    expect(await screen.findByText(/The old one goes to the trash/)).toBeTruthy();
  });
});

describe('the history', () => {
  const past = () => [
    someTransfer({ roots: ['Scans'], direction: 'receive', state: 'done', ...still, device_name: 'Attic NAS', bytes: 96_000_000, total: 96_000_000, files: 48, seconds: 3.2, into: '/srv/inbox', started: Math.floor(Date.now() / 1000) - 7200 }),
    someTransfer({ roots: ['disk.img'], state: 'failed', ...still, device_name: 'Attic NAS', started: 5 }),
    someTransfer({ roots: [MARKUP], state: 'cancelled', ...still, device_name: 'Desk', started: 4 }),
  ];

  it('tells result, size, speed and when', async () => {
    const { node, user } = await open(past());
    for (const said of ['48 files · 96.0\u00a0MB in 3.2\u00a0s', '30.0\u00a0MB/s', 'Received and checked']) expect(row('Scans').textContent).toContain(said);
    // Shortly after midnight, two hours ago is another day.
    expect(row('Scans').textContent).toMatch(/2 hours ago|Yesterday/);
    await user.click(within(row('Scans')).getByTestId('transfer-show'));
    expect(asked(node, 'show_in_folder')).toHaveLength(1);
    expect(document.querySelector('img')).toBeNull();
  });

  it.each([
    ['attic', ['Scans', 'disk.img']],
    ['ATTIC fail', ['disk.img']],
    ['attic cancelled', []],
    ['<img', [MARKUP]],
  ])('is searched by words: %s', async (typed, found) => {
    const { user } = await open(past());
    await user.type(screen.getByTestId('history-search'), typed);
    if (found.length > 0) expect(names('transfers-history')).toEqual(found);
    else expect(screen.getByTestId('history-none')).toBeTruthy();
  });

  const clear = async (user: Awaited<ReturnType<typeof open>>['user'], choice: string) => {
    await user.click(screen.getByTestId('history-clear'));
    await user.click(screen.getByTestId(choice));
  };

  it('clears what is found, and nothing else', async () => {
    const { node, user } = await open(past());
    await user.type(screen.getByTestId('history-search'), 'attic');
    await clear(user, 'clear-all');
    await waitFor(() => expect(screen.getByTestId('history-none')).toBeTruthy());
    expect(screen.getByTestId('toast').textContent).toContain('2 transfers taken off the list');
    await user.click(screen.getByRole('button', { name: 'Dismiss' }));
    await waitFor(() => expect(node.state.transfers.map((each) => each.device_name)).toEqual(['Desk']));
  });

  it.each([
    ['clear-done', ['disk.img', MARKUP]],
    ['clear-failed', ['Scans']],
  ])('is cleared in part: %s', async (choice, left) => {
    const { user } = await open(past());
    await clear(user, choice);
    await waitFor(() => expect(names('transfers-history')).toEqual(left));
  });

  it('that was cleared comes back by Undo, and nothing was forgotten', async () => {
    const { node, user } = await open(past());
    await clear(user, 'clear-all');
    await waitFor(() => expect(screen.queryByTestId('transfers-history')).toBeNull());
    expect(asked(node, 'forget')).toHaveLength(0);
    await user.click(screen.getByTestId('toast-undo'));
    await waitFor(() => expect(names('transfers-history')).toHaveLength(3));
    expect(screen.queryByTestId('toast')).toBeNull();
    expect([node.state.transfers.length, asked(node, 'forget').length]).toEqual([3, 0]);
  });

  it('that was cleared is gone for good after ten seconds', async () => {
    const { node } = await open(past());
    vi.useFakeTimers();
    try {
      await fireEvent.click(screen.getByTestId('history-clear'));
      await fireEvent.click(screen.getByTestId('clear-all'));
      await vi.advanceTimersByTimeAsync(9000);
      expect(asked(node, 'forget')).toHaveLength(0);
      await vi.advanceTimersByTimeAsync(1100);
      expect(asked(node, 'forget')).toHaveLength(3);
      expect(node.state.transfers).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('shows again what could not be forgotten', async () => {
    const { node, user } = await open(past());
    node.refuse.set('forget', apiError('storage_full', 'the disk is full', ''));
    await clear(user, 'clear-all');
    await user.click(screen.getByRole('button', { name: 'Dismiss' }));
    await waitFor(() => expect(names('transfers-history')).toEqual(['Scans']));
  });

  it('that is long comes in parts', async () => {
    const { user } = await open(Array.from({ length: 34 }, (_, n) => someTransfer({ roots: [`f${n}`], state: 'done', ...still })));
    expect(screen.getAllByTestId('transfer-row')).toHaveLength(30);
    await user.click(screen.getByTestId('history-more'));
    expect(screen.getAllByTestId('transfer-row')).toHaveLength(34);
  });
});
