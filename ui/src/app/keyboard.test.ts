import { describe, expect, it } from 'vitest';
import { page, screen, waitFor } from '../../test/page';
import { someDevice } from '../backend/fake';

const focus = () => document.activeElement as HTMLElement;

describe('a dialog', () => {
  it('takes the focus, keeps it, and gives it back', async () => {
    const { user } = await page({ devices: [someDevice({ name: 'A' })] });
    const opener = screen.getByTestId('pair-open');
    opener.focus();
    await user.keyboard('{Enter}');
    const dialog = await screen.findByRole('dialog');
    await screen.findByTestId('pair-words');
    await waitFor(() => expect(dialog.contains(focus())).toBe(true));
    expect(document.querySelector('.page')?.hasAttribute('inert')).toBe(true);
    const seen = new Set<HTMLElement>();
    for (let n = 0; n < 12; n += 1) {
      await user.tab();
      expect(dialog.contains(focus())).toBe(true);
      seen.add(focus());
    }
    expect(seen.size).toBeGreaterThan(2);
    const back = new Set<HTMLElement>();
    for (let n = 0; n < 12; n += 1) {
      await user.tab({ shift: true });
      expect(dialog.contains(focus())).toBe(true);
      back.add(focus());
    }
    expect(back).toEqual(seen);
    await user.keyboard('{Escape}');
    expect(screen.queryByRole('dialog')).toBeNull();
    expect(document.querySelector('.page')?.hasAttribute('inert')).toBe(false);
    await waitFor(() => expect(focus()).toBe(opener));
  });

  it('on top of another leaves first', async () => {
    const { node, user } = await page({ devices: [someDevice({ name: 'A' })] });
    await user.click(screen.getByTestId('pair-open'));
    document.elementFromPoint = () => null;
    node.tellShell({ event: 'dropped', x: 0, y: 0, picked: { pick: 'p', names: ['x'], count: 1 } });
    await screen.findByRole('dialog', { name: 'Send to…' });
    await user.keyboard('{Escape}');
    expect(screen.getAllByRole('dialog')).toHaveLength(1);
    expect(screen.getByRole('dialog', { name: 'Pair a device' })).toBeTruthy();
    await user.keyboard('{Escape}');
    expect(screen.queryByRole('dialog')).toBeNull();
  });
});

it('the tabs of the pair dialog follow the arrow keys', async () => {
  const { user } = await page();
  await user.click(screen.getByTestId('pair-open'));
  screen.getByTestId('pair-tab-host').focus();
  await user.keyboard('{ArrowRight}');
  expect(screen.getByTestId('pair-tab-join').getAttribute('aria-selected')).toBe('true');
  expect(focus()).toBe(screen.getByTestId('pair-tab-join'));
  await user.keyboard('{Home}');
  expect(screen.getByTestId('pair-tab-host').getAttribute('aria-selected')).toBe('true');
});

describe('a menu', () => {
  it('opens, moves and leaves by keys alone', async () => {
    const { user } = await page({ devices: [someDevice({ name: 'A' })] });
    const button = screen.getByRole('button', { name: 'More for A' });
    button.focus();
    await user.keyboard('{ArrowDown}');
    await waitFor(() => expect(focus().textContent).toContain('Details…'));
    await user.keyboard('{ArrowDown}');
    expect(focus().textContent).toContain('Texts…');
    await user.keyboard('{ArrowUp}{ArrowUp}');
    expect(focus().textContent).toContain('Unpair…');
    await user.keyboard('{Escape}');
    expect(screen.queryByRole('menu')).toBeNull();
    expect(focus()).toBe(button);
    await user.keyboard('{ArrowUp}{Enter}');
    expect(await screen.findByRole('dialog', { name: 'Unpair A?' })).toBeTruthy();
  });

  it('leaves when the pointer goes elsewhere', async () => {
    const { user } = await page({ devices: [someDevice({ name: 'A' })] });
    await user.click(screen.getByRole('button', { name: 'More for A' }));
    expect(screen.getByRole('menu')).toBeTruthy();
    await user.click(screen.getByRole('banner'));
    expect(screen.queryByRole('menu')).toBeNull();
  });
});
