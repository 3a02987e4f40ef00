import { fireEvent } from '@testing-library/svelte';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { card, page, screen, waitFor, within } from '../../../test/page';
import { someDevice } from '../../backend/fake';
import type { DeviceView } from '../../backend/bindings';

/** Three devices, for tests that change one of them. */
function three(): readonly [DeviceView, DeviceView, DeviceView] {
  const of = (name: string, at: number) => someDevice({ device_id: `id-${name}`, name, paired_at: 1_790_000_000 + at });
  return [of('Study', 0), of('Attic', 1), of('Kitchen', 2)];
}

const names = () => [...document.querySelectorAll('[data-testid="device-card"][data-paired="true"]')].map((each) => each.getAttribute('aria-label'));
const grip = (name: string) => within(card(name)).getByTestId('device-grip');

/** Devices whose order of pairing is not that of their names. */
function some(...of: string[]): DeviceView[] {
  return of.map((name, at) => someDevice({ device_id: `id-${name}`, name, paired_at: 1_790_000_000 + at }));
}

afterEach(() => void vi.useRealTimers());

describe('the cards', () => {
  it('stand in the order in which the devices were paired, whatever they are called', async () => {
    await page({ devices: some('Study', 'Attic', 'Kitchen').toReversed() });
    expect(names()).toEqual(['Study', 'Attic', 'Kitchen']);
  });

  it('stay where they are when devices come, go, and get another name', async () => {
    const devices = three();
    const { node } = await page({ devices: [...devices] });
    const before = [...document.querySelectorAll('[data-testid="device-card"]')];
    const [study, attic, kitchen] = devices;
    for (const state of ['connecting', 'offline', 'connected', 'offline'] as const) {
      node.putDevice({ ...study, state });
      node.putDevice({ ...kitchen, state });
      await waitFor(() => expect(card('Study').dataset['state']).toBe(state));
      expect([...document.querySelectorAll('[data-testid="device-card"]')]).toEqual(before);
    }
    node.putDevice({ ...attic, name: 'Zoo' });
    await waitFor(() => expect(names()).toEqual(['Study', 'Zoo', 'Kitchen']));
    expect(screen.getByTestId('devices-connected').textContent).toContain('1 of 3 connected');
  });

  it('have a new device at the end', async () => {
    const { node } = await page({ devices: some('Study', 'Kitchen') });
    grip('Kitchen').focus();
    await fireEvent.keyDown(grip('Kitchen'), { key: 'Home' });
    node.putDevice(someDevice({ name: 'Attic', paired_at: 1_790_000_002 }));
    await waitFor(() => expect(names()).toEqual(['Kitchen', 'Study', 'Attic']));
  });

  it('are moved by the keyboard, which stays with the one that moves, and the order is kept', async () => {
    const devices = some('Study', 'Attic', 'Kitchen');
    const { user, view } = await page({ devices });
    grip('Study').focus();
    expect(grip('Study').getAttribute('aria-label')).toBe('Place of Study: 1 of 3. Arrow keys move it.');
    await user.keyboard('{ArrowRight}');
    await waitFor(() => expect(names()).toEqual(['Attic', 'Study', 'Kitchen']));
    await waitFor(() => expect(document.activeElement).toBe(grip('Study')));
    expect(screen.getByText('Study is at place 2 of 3 now.').getAttribute('role')).toBe('status');
    await user.keyboard('{End}{ArrowDown}');
    await waitFor(() => expect(names()).toEqual(['Attic', 'Kitchen', 'Study']));
    view.unmount();
    await page({ devices });
    expect(names()).toEqual(['Attic', 'Kitchen', 'Study']);
  });

  it('are moved by the menu', async () => {
    const { user } = await page({ devices: some('Study', 'Attic') });
    await user.click(screen.getByRole('button', { name: 'More for Study' }));
    expect(screen.queryByRole('menuitem', { name: 'Move forward' })).toBeNull();
    await user.click(screen.getByRole('menuitem', { name: 'Move back' }));
    await waitFor(() => expect(names()).toEqual(['Attic', 'Study']));
  });

  it('are dragged by the handle; nothing moves before it is let go, and Escape lets go of it', async () => {
    const devices = three();
    const { node } = await page({ devices: [...devices] });
    // The test environment has no layout: two cards are put in the first row, one in the second.
    const items = [...document.querySelectorAll('li:has(> [data-testid="device-card"])')];
    for (const [at, each] of items.entries()) each.getBoundingClientRect = () => new DOMRect((at % 2) * 250, Math.floor(at / 2) * 140, 240, 130);
    const handle = grip('Study');
    const to = (type: string, x: number, y: number) => fireEvent(handle, new PointerEvent(type, { bubbles: true, clientX: x, clientY: y, button: 0 }));
    await to('pointerdown', 5, 20);
    await to('pointermove', 200, 200);
    expect(items[2]?.classList.contains('after')).toBe(true);
    node.putDevice({ ...devices[1], state: 'offline' });
    node.putDevice(someDevice({ device_id: 'id-new', name: 'New one', paired_at: 1 }));
    await waitFor(() => expect(card('Attic').dataset['state']).toBe('offline'));
    expect(names()).toEqual(['Study', 'Attic', 'Kitchen']);
    await fireEvent.keyDown(window, { key: 'Escape' });
    await to('pointerup', 200, 200);
    await waitFor(() => expect(names()).toEqual(['New one', 'Study', 'Attic', 'Kitchen']));
    node.dropDevice('id-new');
    await waitFor(() => expect(names()).toEqual(['Study', 'Attic', 'Kitchen']));
    await to('pointerdown', 5, 20);
    await to('pointermove', 450, 20);
    expect(items[1]?.classList.contains('after')).toBe(true);
    await to('pointerup', 450, 20);
    await waitFor(() => expect(names()).toEqual(['Attic', 'Study', 'Kitchen']));
  });

  it('have no handle where there is only one', async () => {
    await page({ devices: some('Study') });
    expect(screen.queryByTestId('device-grip')).toBeNull();
  });

  it('say anew now and then how long a device has been away', async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    const seen = Math.floor(Date.now() / 1000);
    await page({ devices: [someDevice({ name: 'Attic', state: 'offline', path: null, last_seen: seen })] });
    const before = card('Attic').textContent;
    await vi.advanceTimersByTimeAsync(180_000);
    await waitFor(() => expect(card('Attic').textContent).toContain('Seen 3 minutes ago'));
    expect(before).not.toContain('3 minutes');
  });
});

describe('the menu of the web view', () => {
  const opens = async (element: Element) => fireEvent(element, new MouseEvent('contextmenu', { bubbles: true, cancelable: true }));

  it('opens in fields that text is typed into, and nowhere else', async () => {
    const { user } = await page({ devices: some('Study') });
    expect(await opens(card('Study'))).toBe(false);
    expect(await opens(document.body)).toBe(false);
    expect(await opens(screen.getByTestId('pair-open'))).toBe(false);
    await user.click(screen.getByTestId('pair-open'));
    await user.click(screen.getByTestId('pair-tab-join'));
    expect(await opens(await screen.findByTestId('pair-input'))).toBe(true);
    expect(await opens(screen.getByRole('dialog'))).toBe(false);
  });
});
