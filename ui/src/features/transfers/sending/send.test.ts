import { fireEvent } from '@testing-library/svelte';
import { describe, expect, it } from 'vitest';
import { asked, page, screen, waitFor } from '../../../../test/page';
import { apiError, someDevice } from '../../../backend/fake';
import { placeOf } from '../../../common/text/speed';

const away = { state: 'offline', path: null, rtt_ms: null, address: null, key_exchange: null } as const;
const devices = () => [someDevice({ device_id: 'dev-a', name: 'A' }), someDevice({ device_id: 'dev-b', name: 'B' }), someDevice({ device_id: 'dev-c', name: 'C', ...away })];

async function asking(all = devices()) {
  const made = await page({ devices: all });
  document.elementFromPoint = () => null;
  made.node.tellShell({ event: 'dropped', x: 1, y: 2, picked: { pick: 'drop-1', names: ['a', 'b'], count: 2 } });
  await screen.findByRole('dialog', { name: 'Send to…' });
  return made;
}

const tick = (name: string) => screen.getByRole<HTMLInputElement>('checkbox', { name });

describe('what is sent', () => {
  it('is told before it is sent, with what cannot be', async () => {
    const made = await page({ devices: devices() });
    document.elementFromPoint = () => null;
    made.node.survey = { files: 3, bytes: 4_000_000, skipped: 5, reasons: { file_unreadable: 4, link_outside: 1 } };
    made.node.tellShell({ event: 'dropped', x: 1, y: 2, picked: { pick: 'drop-1', names: ['a', 'b'], count: 2 } });
    const told = await screen.findByTestId('send-survey');
    await waitFor(() => expect(told.textContent).toMatch(/3 files, 4\.00\sMB/));
    expect(told.textContent).toContain('5 things cannot be sent:');
    expect([...told.querySelectorAll('li')].map((line) => line.textContent)).toEqual(['4: it may not be read', '1: a link to something that is not sent along']);
  });

  it('is not waited for', async () => {
    const { node } = await asking();
    expect(screen.getByTestId<HTMLButtonElement>('send-confirm')).toBeTruthy();
    await waitFor(() => expect(asked(node, 'survey_picked')).toEqual([{ cmd: 'survey_picked', pick: 'drop-1' }]));
  });
});

describe('sending to several', () => {
  it('goes to each that was chosen, one that is away included', async () => {
    const { node, user } = await asking();
    expect(screen.getByTestId<HTMLButtonElement>('send-confirm').textContent).toContain('Choose a device');
    expect(screen.getByTestId('send-dialog').textContent).toContain('Away. Delivered when it comes back.');
    await user.click(tick('A'));
    await user.click(tick('C'));
    await user.click(screen.getByRole('button', { name: 'Send to 2 devices' }));
    await waitFor(() =>
      expect(asked(node, 'send_picked')).toEqual([{ cmd: 'send_picked', devices: ['dev-a', 'dev-c'], pick: 'drop-1', options: { compress: true, encrypt: true, limit: null, wait: true } }]),
    );
    const toast = await screen.findByTestId('toast');
    expect(toast.textContent).toContain('Offered to 2 devices');
    expect(toast.textContent).toContain('Delivered when C is there again');
    expect(screen.getAllByTestId('transfer-row').map((row) => row.dataset['state']).toSorted()).toEqual(['offered', 'waiting']);
    expect(screen.queryByRole('dialog')).toBeNull();
  });

  it('one that was chosen can be taken back', async () => {
    const { user } = await asking();
    await user.click(tick('A'));
    await user.click(tick('A'));
    expect(screen.getByTestId<HTMLButtonElement>('send-confirm').disabled).toBe(true);
  });

  it('says of each that refused why, and sends to the others', async () => {
    const { node, user } = await asking();
    await user.click(tick('A'));
    await user.click(tick('B'));
    // The other side unpairs at this moment.
    const b = node.state.devices.find((device) => device.device_id === 'dev-b');
    if (b) b.paired = false;
    await user.click(screen.getByTestId('send-confirm'));
    await waitFor(() => expect(screen.getByTestId('toast').dataset['code']).toBe('device_not_paired'));
    expect(screen.getAllByTestId('transfer-row')).toHaveLength(1);
  });

  it('says why when all refuse', async () => {
    const { node, user } = await asking();
    node.refuse.set('send_picked', apiError('file', '/x: permission denied'));
    await user.click(tick('A'));
    await user.click(screen.getByTestId('send-confirm'));
    await waitFor(() => expect(screen.getByTestId('toast').dataset['code']).toBe('file'));
  });

  it('leaves no choice to make where there is one device, not even where that is away', async () => {
    const { node, user } = await asking([someDevice({ device_id: 'dev-c', name: 'C', ...away })]);
    expect(tick('C').checked).toBe(true);
    await waitFor(() => expect(document.activeElement).toBe(screen.getByTestId('send-confirm')));
    await user.keyboard('{Enter}');
    await waitFor(() => expect(asked(node, 'send_picked')[0]?.devices).toEqual(['dev-c']));
  });

  it('has options behind a fold', async () => {
    const { node, user } = await asking();
    expect(screen.getByTestId<HTMLDetailsElement>('send-options').open).toBe(false);
    await user.click(tick('A'));
    screen.getByTestId<HTMLDetailsElement>('send-options').open = true;
    await user.click(screen.getByTestId('send-compress'));
    await user.click(screen.getByTestId('send-encrypt'));
    const slider = screen.getByTestId<HTMLInputElement>('send-limit');
    await fireEvent.input(slider, { target: { value: String(placeOf(5_000_000)) } });
    await fireEvent.change(slider);
    await user.click(screen.getByTestId('send-confirm'));
    await waitFor(() => expect(asked(node, 'send_picked')[0]?.options).toEqual({ compress: false, encrypt: false, limit: 5_000_000, wait: true }));
  });
});
