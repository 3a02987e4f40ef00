import { describe, expect, it, vi } from 'vitest';
import { asked, card, page, screen, waitFor, within } from '../../../test/page';
import { apiError, someConnection, someDevice } from '../../backend/fake';

const MARKUP = '<img src=x onerror=alert(1)>';

const open = async (over: Parameters<typeof someDevice>[0] = {}) => {
  const device = someDevice({ device_id: 'dev-a', name: 'Attic', ...over });
  const made = await page({ devices: [device] });
  await made.user.click(within(card(device.name)).getByTestId('device-open'));
  const detail = await screen.findByTestId('device-detail');
  return { ...made, detail, now: () => made.node.state.devices[0] };
};

describe('details of a device', () => {
  it('say how it is connected, and by which key exchange', async () => {
    const { detail } = await open({ rtt_ms: 0.8, address: '192.168.1.24:11204' });
    for (const said of ['Direct, from device to device', '192.168.1.24:11204', '0.8', 'X25519MLKEM768 (post-quantum)', 'dev-a', 'paired since']) {
      expect(detail.textContent).toContain(said);
    }
  });

  it('say of an ordinary key exchange no more than its name', async () => {
    const { detail } = await open({ key_exchange: 'X25519', path: 'relay' });
    expect(detail.textContent).toContain('X25519');
    expect(detail.textContent).not.toContain('post-quantum');
    expect(detail.textContent).toContain('Through a relay');
  });

  it('show a name with markup as text', async () => {
    const { detail } = await open({ name: MARKUP });
    expect(detail.textContent).toContain(MARKUP);
    expect(document.querySelector('img')).toBeNull();
  });

  it('open from the menu too, and close by Escape', async () => {
    const { user } = await page({ devices: [someDevice({ name: 'Attic' })] });
    await user.click(screen.getByRole('button', { name: 'More for Attic' }));
    await user.click(screen.getByRole('menuitem', { name: 'Details…' }));
    expect(await screen.findByRole('dialog', { name: 'Device' })).toBeTruthy();
    await user.keyboard('{Escape}');
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
  });

  it('leave with the device', async () => {
    const { node } = await open();
    node.dropDevice('dev-a');
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
  });

  it('change whose device it is', async () => {
    const { user, now, detail } = await open();
    await user.click(screen.getByTestId('device-trust-other'));
    await waitFor(() => expect(now()?.trust).toBe('other'));
    expect(detail.dataset['trust']).toBe('other');
    expect(detail.textContent).toContain('You are asked about everything that it sends');
  });

  it('show again what holds when the window’s question was cancelled, and say nothing', async () => {
    const { user, node, now } = await open({ trust: 'other' });
    for (const cmd of ['trust_rule', 'trust']) node.refuse.set(cmd, apiError('not_confirmed', 'it was not confirmed', ''));
    await user.selectOptions(screen.getByTestId('device-accept'), 'always');
    await waitFor(() => expect(screen.getByTestId<HTMLSelectElement>('device-accept').value).toBe('default'));
    await user.click(screen.getByTestId('device-trust-own'));
    await waitFor(() => expect(screen.getByTestId<HTMLInputElement>('device-trust-other').checked).toBe(true));
    expect(now()?.rule.accept).toBe('default');
    expect(screen.queryByTestId('toast')).toBeNull();
  });

  it('show a name that the device announces, which is taken by a click', async () => {
    const { user, node, now, detail } = await open({ announced: { name: '<i>Loft</i>', is_free: true } });
    expect(detail.textContent).toContain('It calls itself “<i>Loft</i>” now.');
    expect(detail.querySelector('i')).toBeNull();
    await user.click(screen.getByTestId('device-take-name'));
    await waitFor(() => expect(now()?.name).toBe('<i>Loft</i>'));
    expect(screen.queryByTestId('device-announced')).toBeNull();
    const [device] = node.state.devices;
    if (device) node.putDevice({ ...device, announced: { name: 'Studio', is_free: false } });
    await waitFor(() => expect(screen.getByTestId('device-announced').textContent).toContain('looks like the name of another'));
    expect(screen.queryByTestId('device-take-name')).toBeNull();
  });

  it('set a rule, with a limit, and a folder that the page never names', async () => {
    const { user, node, now } = await open();
    expect(screen.queryByTestId('device-limit')).toBeNull();
    await user.selectOptions(screen.getByTestId('device-accept'), 'always');
    await user.selectOptions(await screen.findByTestId('device-limit'), '10000000000');
    await waitFor(() => expect(now()?.rule).toEqual({ accept: 'always', up_to: 10_000_000_000, into: null }));
    await user.click(screen.getByTestId('device-choose'));
    await waitFor(() => expect(screen.getByTestId('device-into').textContent).toBe('/media/usb/Inbox'));
    await user.selectOptions(screen.getByTestId('device-limit'), 'Any size');
    await waitFor(() => expect(now()?.rule).toEqual({ accept: 'always', up_to: null, into: '/media/usb/Inbox' }));
    await user.click(screen.getByRole('button', { name: 'Use the download folder' }));
    await waitFor(() => expect(now()?.rule.into).toBeNull());
    expect(JSON.stringify(node.calls)).not.toContain('/media');
    await user.selectOptions(screen.getByTestId('device-accept'), 'ask');
    await waitFor(() => expect(now()?.rule.accept).toBe('ask'));
  });

  it('shows a limit that was set elsewhere', async () => {
    await open({ rule: { accept: 'always', up_to: 2_500_000_000, into: '/srv/in' } });
    expect(screen.getByTestId<HTMLSelectElement>('device-limit').selectedOptions[0]?.textContent).toBe('2.5\u00a0GB a day');
  });

  it('renew the keys, and say why not', async () => {
    const { user, node, detail } = await open();
    node.refuse.set('rotate_secret', apiError('device_offline', 'Attic is not reachable now', 'Is it on?'));
    await user.click(screen.getByTestId('device-renew'));
    expect((await screen.findByTestId('toast')).dataset['code']).toBe('device_offline');
    await user.click(await screen.findByTestId('device-renew'));
    await screen.findByText('The keys with Attic are new');
    expect(detail.textContent).toContain('The keys of this pairing are from');
  });

  it('renew nothing while the device is away', async () => {
    await open({ state: 'offline', path: null, rtt_ms: null, address: null, key_exchange: null });
    expect(screen.getByTestId<HTMLButtonElement>('device-renew').disabled).toBe(true);
  });

  it('unpair after a question', async () => {
    const { user, node } = await open();
    await user.click(screen.getByTestId('device-unpair'));
    expect(await screen.findByRole('dialog', { name: 'Unpair Attic?' })).toBeTruthy();
    expect(asked(node, 'unpair')).toHaveLength(0);
    await user.click(screen.getByTestId('unpair-confirm'));
    await waitFor(() => expect(asked(node, 'unpair')).toHaveLength(1));
  });
});

describe('a blocked device', () => {
  it('is asked about first, then listed apart, and comes back', async () => {
    const { user, node, now } = await open();
    await user.click(screen.getByTestId('device-block'));
    expect(asked(node, 'block')).toHaveLength(0);
    await user.click(screen.getByTestId('device-block-confirm'));
    await waitFor(() => expect(now()?.trust).toBe('blocked'));
    expect(screen.queryByTestId('device-trust-own')).toBeNull();
    expect(screen.getByTestId('device-detail').textContent).toContain('refused everywhere');
    await user.keyboard('{Escape}');
    expect(screen.queryByTestId('device-card')).toBeNull();
    const row = screen.getByTestId('blocked-device');
    expect(row.textContent).toContain('Attic');
    await user.click(within(row).getByTestId('blocked-unblock'));
    await waitFor(() => expect(now()?.trust).toBe('other'));
    expect(card('Attic').dataset['paired']).toBe('true');
  });
});

describe('the connection of a device', () => {
  const two = [
    someConnection({ rtt_ms: 0.8, loss: 0.004, bytes_sent: 1_000_000, bytes_received: 2_000, since: Math.floor(Date.now() / 1000) }),
    someConnection({ protocol: 'transfer/1.0', state: 'idle', bytes_sent: 500_000, bytes_received: 1_000, cwnd: 120_000, mtu: 1452 }),
  ];

  it('has figures, and each of its parts can be unfolded', async () => {
    const { detail } = await open({ connections: two });
    for (const said of ['Round trip', 'Packets lost', '0.4%', '1.50\u00a0MB sent, 3.00\u00a0kB received', '2 connections', 'Texts and signs of life · in use · Direct', 'Files · idle · Direct', 'window 120\u00a0kB', 'packets up to 1.45\u00a0kB']) {
      expect(detail.textContent).toContain(said);
    }
    expect(screen.getAllByTestId('device-connection-row')).toHaveLength(2);
  });

  it('is looked at again while it is on the screen, and no longer', async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    try {
      const { node, detail, user } = await open({ connections: two });
      await waitFor(() => expect(asked(node, 'devices')).toHaveLength(1));
      // Figures that change by themselves come without an event.
      const [device] = node.state.devices;
      if (device) node.state.devices = [{ ...device, rtt_ms: 7 }];
      await vi.advanceTimersByTimeAsync(1000);
      await waitFor(() => expect(detail.textContent).toContain('7\u00a0ms'));
      await vi.advanceTimersByTimeAsync(1000);
      expect(screen.getByRole('img', { name: 'Round trips of the last minute' }).querySelector('polyline')?.getAttribute('points')?.split(' ').length).toBeGreaterThan(1);
      await user.keyboard('{Escape}');
      const before = asked(node, 'devices').length;
      await vi.advanceTimersByTimeAsync(5000);
      expect(asked(node, 'devices')).toHaveLength(before);
    } finally {
      vi.useRealTimers();
    }
  });

  it('that comes back is no alarm, and one that is away is looked for', async () => {
    const { node, detail } = await open({ state: 'connecting', path: null, rtt_ms: null, address: null, key_exchange: null });
    expect(detail.textContent).toContain('Reconnecting…');
    expect(detail.textContent).toContain('Nothing is lost: what is under way goes on by itself.');
    const [device] = node.state.devices;
    if (device) node.putDevice({ ...device, state: 'offline' });
    await waitFor(() => expect(detail.textContent).toContain('It is looked for all the time.'));
    expect(detail.textContent).toContain('Last seen');
    expect(screen.queryByRole('alert')).toBeNull();
  });

  it('through a relay says so in words', async () => {
    const { detail } = await open({ path: 'relay', connections: [someConnection({ path: 'relay', address: 'https://relay.example/<b>' })], address: 'https://relay.example/<b>' });
    expect(detail.textContent).toContain('Through a relay, which sees only ciphertext');
    expect(detail.textContent).toContain('https://relay.example/<b>');
    expect(detail.querySelector('b')).toBeNull();
  });
});
