import { describe, expect, it } from 'vitest';
import { asked, page, screen, waitFor } from '../../test/page';
import { someDevice, someTransfer } from '../backend/fake';

const transfers = () => [
  someTransfer({ roots: ['Holiday <b>'], device_name: 'Attic', bytes: 400, total: 1000 }),
  someTransfer({ roots: ['letter.txt'], device_name: 'Attic', state: 'queued', place: 2 }),
  someTransfer({ roots: ['film.mkv'], device_name: 'Study', direction: 'receive', state: 'offered' }),
  someTransfer({ roots: ['later'], device_name: 'Study', state: 'paused' }),
  someTransfer({ roots: ['old'], device_name: 'Study', state: 'done' }),
];

describe('quitting while transfers are under way', () => {
  it('says what is under way and what becomes of it, and the person may stay', async () => {
    const { node, user } = await page({ devices: [someDevice({ name: 'Attic' })], transfers: transfers() });
    node.tellShell({ event: 'quit_asked' });
    await screen.findByRole('dialog', { name: 'Quit while transfers are under way?' });
    await waitFor(() => expect(asked(node, 'quit')).toEqual([{ cmd: 'quit', step: 'shown' }]));
    const said = screen.getAllByTestId('quit-transfer').map((each) => each.textContent?.replaceAll(/\s+/g, ' ').trim());
    expect(said).toHaveLength(3);
    expect(said[0]).toMatch(/Holiday <b>.*To Attic · 40\s?%/);
    expect(said[1]).toContain('waits for its turn');
    expect(said[2]).toContain('Study offers it, and offers it again');
    expect(screen.getByTestId('quit-dialog').textContent).toContain('continues by itself');
    await waitFor(() => expect(document.activeElement).toBe(screen.getByTestId('quit-stay')));
    expect(document.querySelector('.page')?.hasAttribute('inert')).toBe(true);
    await user.keyboard('{Escape}');
    expect(screen.queryByRole('dialog')).toBeNull();
    expect(asked(node, 'quit').at(-1)).toEqual({ cmd: 'quit', step: 'stay' });
  });

  it('quits when the person says so', async () => {
    const { node, user } = await page({ transfers: transfers() });
    node.tellShell({ event: 'quit_asked' });
    await user.click(await screen.findByTestId('quit-leave'));
    expect(asked(node, 'quit').at(-1)).toEqual({ cmd: 'quit', step: 'leave' });
  });

  it('says so when everything is done meanwhile', async () => {
    const one = someTransfer();
    const { node } = await page({ transfers: [one] });
    node.tellShell({ event: 'quit_asked' });
    await screen.findByTestId('quit-transfer');
    node.putTransfer({ ...one, state: 'done' });
    await waitFor(() => expect(screen.getByTestId('quit-dialog').textContent).toContain('Everything is done'));
  });

  it('is asked for by Ctrl+Q', async () => {
    const { node, user } = await page();
    await user.keyboard('{Control>}q{/Control}');
    expect(asked(node, 'quit')).toEqual([{ cmd: 'quit', step: 'ask' }]);
    await user.keyboard('q');
    expect(asked(node, 'quit')).toHaveLength(1);
  });
});
