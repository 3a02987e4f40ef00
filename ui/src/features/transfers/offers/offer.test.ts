import { describe, expect, it } from 'vitest';
import { asked, page, screen, waitFor, within } from '../../../../test/page';
import { apiError, someTransfer } from '../../../backend/fake';
import { Manifest } from '../../../backend/fake-transfers';

const MARKUP = '<img src=x onerror=alert(1)>';
// Indices: 0 Trip, 1 Day, 2 a.jpg, 3 b.jpg, 4 map, 5 the one with markup.
const TRIP = { 'Trip/Day/a.jpg': 10_000_000, 'Trip/Day/b.jpg': 20_000_000, 'Trip/map': 30_000, [MARKUP]: 40 };

async function offered(files: Record<string, number> = TRIP, look = true) {
  const manifest = new Manifest(files);
  const offer = someTransfer({ id: 'offer', direction: 'receive', state: 'offered', bytes: 0, rate: 0, eta: null, device_name: 'Laptop', ...manifest.view });
  const made = await page({ transfers: [offer] }, (node) => node.manifests.set('offer', manifest));
  if (look) {
    await made.user.click(screen.getByTestId('offer-open'));
    await screen.findByRole('checkbox', { name: `Take ${offer.roots[0]}` });
  }
  return made;
}

const box = (name: string) => screen.getByRole<HTMLInputElement>('checkbox', { name: `Take ${name}` });
const sum = () => screen.getByTestId('offer-sum').textContent?.trim();

describe('an offer', () => {
  it('of one file has no list and no rules', async () => {
    const { node, user } = await offered({ 'a.txt': 10 }, false);
    expect(screen.queryByTestId('offer-open')).toBeNull();
    await user.click(screen.getByTestId('offer-accept'));
    await waitFor(() => expect(asked(node, 'accept')[0]).toMatchObject({ conflict: 'keep-both', only: null }));
    expect(asked(node, 'offer_entries')).toHaveLength(0);
  });

  it('shows what is in it, a folder at a time, and only when it is opened', async () => {
    const { node, user } = await offered(TRIP, false);
    expect(asked(node, 'offer_entries')).toHaveLength(0);
    await user.click(screen.getByTestId('offer-open'));
    await screen.findByRole('checkbox', { name: 'Take Trip' });
    expect(screen.getAllByTestId('offer-entry')).toHaveLength(2);
    expect(document.querySelector('img')).toBeNull();
    expect(screen.getByTestId('offer-inside').textContent).toContain('3 files · 30.0\u00a0MB');
    await user.click(screen.getByRole('button', { name: 'Open Trip' }));
    await screen.findByRole('checkbox', { name: 'Take map' });
    expect(asked(node, 'offer_entries').map(({ parent }) => parent)).toEqual([null, 0]);
    await user.click(screen.getByRole('button', { name: 'Open Trip' }));
    expect(screen.queryByRole('checkbox', { name: 'Take map' })).toBeNull();
  });

  it('marks what is hidden and what starts a program', async () => {
    await offered({ 'photo.jpg': 1, '.profile': 2, 'Read me.desktop': 3 });
    const marks = screen.getAllByTestId('offer-entry').map((entry) => entry.querySelector('.mark')?.textContent ?? '');
    expect(marks).toEqual(['', 'hidden', 'starts a program']);
  });

  it('is accepted in part, with a sum and boxes that are half checked', async () => {
    const { node, user } = await offered();
    expect(sum()).toBe('Chosen: 4 files, 30.0\u00a0MB');
    await user.click(screen.getByRole('button', { name: 'Open Trip' }));
    await user.click(await screen.findByRole('button', { name: 'Open Day' }));
    await screen.findByRole('checkbox', { name: 'Take a.jpg' });
    await user.click(box('a.jpg'));
    expect(sum()).toBe('Chosen: 3 files, 20.0\u00a0MB');
    expect([box('Trip').indeterminate, box('Day').indeterminate, box('b.jpg').checked, box('a.jpg').checked]).toEqual([true, true, true, false]);
    expect(screen.getByTestId<HTMLInputElement>('offer-check-all').indeterminate).toBe(true);
    await user.click(screen.getByRole('button', { name: 'Accept selection' }));
    await waitFor(() => expect(asked(node, 'accept')).toEqual([{ cmd: 'accept', id: 'offer', into: null, conflict: 'keep-both', only: [3, 4, 5] }]));
    expect((await screen.findByTestId('transfer-row')).dataset['state']).toBe('active');
    expect(node.state.transfers[0]).toMatchObject({ files: 3, total: 20_030_040 });
  });

  it('goes elsewhere in part, and the page names no folder', async () => {
    const { node, user } = await offered();
    await user.click(box('Trip'));
    await user.click(screen.getByRole('button', { name: 'Selection into…' }));
    await waitFor(() => expect(asked(node, 'accept_into')).toEqual([{ cmd: 'accept_into', id: 'offer', conflict: 'keep-both', only: [5] }]));
  });

  it('of which nothing is chosen can only be declined', async () => {
    const { user } = await offered();
    await user.click(screen.getByTestId('offer-check-all'));
    expect(sum()).toBe('Nothing is chosen');
    expect(box('Trip').checked).toBe(false);
    for (const id of ['offer-accept', 'offer-accept-into']) expect(screen.getByTestId<HTMLButtonElement>(id).disabled).toBe(true);
    expect(screen.getByTestId<HTMLButtonElement>('offer-decline').disabled).toBe(false);
    await user.click(screen.getByTestId('offer-check-all'));
    expect(sum()).toBe('Chosen: 4 files, 30.0\u00a0MB');
  });

  it('follows a rule that explains itself, at first the one of the settings', async () => {
    const manifest = new Manifest(TRIP);
    const { node, user } = await page({ transfers: [someTransfer({ id: 'offer', direction: 'receive', state: 'offered', ...manifest.view })] }, (fake) => {
      fake.manifests.set('offer', manifest);
      fake.state.settings.conflict = 'skip';
    });
    await user.click(screen.getByTestId('offer-open'));
    const rules = screen.getByRole('radiogroup', { name: 'Where a name is taken already' });
    expect(within(rules).getByRole<HTMLInputElement>('radio', { name: /Skip what is identical/ }).checked).toBe(true);
    for (const said of ['gets a number behind its name', 'is not written again', 'goes to the trash']) expect(rules.textContent).toContain(said);
    await user.click(screen.getByTestId('offer-rule-replace'));
    await user.click(screen.getByTestId('offer-accept'));
    await waitFor(() => expect(asked(node, 'accept')[0]).toMatchObject({ conflict: 'replace', only: null }));
  });

  it('is gone through by the keyboard', async () => {
    const { user } = await offered();
    box('Trip').focus();
    await user.keyboard('{ArrowRight}');
    await screen.findByRole('checkbox', { name: 'Take Day' });
    await user.keyboard('{ArrowDown}');
    expect(document.activeElement).toBe(box('Day'));
    await user.keyboard(' ');
    expect(sum()).toBe('Chosen: 2 files, 30.0\u00a0kB');
    await user.keyboard('{ArrowUp}{ArrowLeft}');
    expect(document.activeElement).toBe(box('Trip'));
    expect(screen.queryByRole('checkbox', { name: 'Take Day' })).toBeNull();
    expect(box('Trip').indeterminate).toBe(true);
  });

  it('keeps what was chosen while another page is looked at', async () => {
    const { user } = await offered();
    await user.click(box('Trip'));
    await user.click(screen.getByTestId('transfers-open'));
    expect(within(await screen.findByTestId('transfers-asks')).getByTestId('offer-sum').textContent?.trim()).toBe('Chosen: 1 file, 40\u00a0B');
  });

  it('says why its list cannot be had', async () => {
    const { node, user } = await offered(TRIP, false);
    node.refuse.set('offer_entries', apiError('transfer_not_offered', `gone ${MARKUP}`));
    await user.click(screen.getByTestId('offer-open'));
    expect((await screen.findByRole('alert')).textContent).toContain(`Gone ${MARKUP}`);
    await user.click(screen.getByRole('button', { name: 'Try again' }));
    expect(await screen.findByRole('checkbox', { name: 'Take Trip' })).toBeTruthy();
  });

  it('that does not fit says so', async () => {
    await page({ transfers: [someTransfer({ direction: 'receive', state: 'offered', reason: apiError('no_space', 'there is not enough room', 'Free some space.') })] });
    expect(screen.getByTestId('offer-reason').textContent).toContain('There is not enough room');
  });
});
