import { beforeEach, describe, expect, it } from 'vitest';
import { asked, page, screen, waitFor } from '../../../test/page';
import { apiError, someRelay } from '../../backend/fake';

let made: Awaited<ReturnType<typeof page>>;

beforeEach(async () => {
  made = await page();
  await made.user.click(screen.getByTestId('settings-open'));
});

describe('settings', () => {
  it('rename this device once the field is left', async () => {
    const { node, user } = made;
    const field = screen.getByTestId<HTMLInputElement>('settings-name');
    expect(field.value).toBe('Desk');
    await user.clear(field);
    expect(screen.getByText('A name has 1 to 64 characters.')).toBeTruthy();
    await user.tab();
    expect(asked(node, 'rename')).toHaveLength(0);
    await user.type(field, '  Kitchen {Enter}');
    await waitFor(() => expect(node.state.settings.name).toBe('Kitchen'));
    await user.tab();
    expect(asked(node, 'rename')).toEqual([{ cmd: 'rename', name: 'Kitchen' }]);
    expect(screen.getByRole('banner').textContent).toContain('Kitchen');
  });

  it('keep what was typed if the name is refused', async () => {
    const { node, user } = made;
    node.refuse.set('rename', apiError('invalid_input', 'a name has 1 to 64 characters', ''));
    const field = screen.getByTestId<HTMLInputElement>('settings-name');
    await user.type(field, '!{Enter}');
    expect((await screen.findByTestId('toast')).dataset['code']).toBe('invalid_input');
    expect(field.value).toBe('Desk!');
  });

  it('let go of what was typed by Escape', async () => {
    const { node, user } = made;
    const field = screen.getByTestId<HTMLInputElement>('settings-name');
    await user.type(field, '!{Escape}');
    expect(field.value).toBe('Desk');
    expect(screen.getByTestId('settings')).toBeTruthy();
    await user.tab();
    expect(asked(node, 'rename')).toHaveLength(0);
  });

  it('set the rule, the kind and the visibility', async () => {
    const { node, user } = made;
    await user.selectOptions(screen.getByTestId('settings-accept'), 'paired');
    await user.selectOptions(screen.getByTestId('settings-discoverable'), 'nobody');
    await user.selectOptions(screen.getByLabelText(/Kind/), 'laptop');
    await waitFor(() => expect(node.state.settings).toMatchObject({ accept: 'paired', discoverable: 'nobody', type: 'laptop' }));
  });

  it('show what counts again where an option of this run overrides them', async () => {
    const { node, user } = made;
    const lists = { 'settings-accept': 'none', 'settings-discoverable': 'nobody', 'settings-dht': 'on', 'relay-choice': 'fixed' };
    for (const [list, value] of Object.entries(lists)) {
      const field = screen.getByTestId<HTMLSelectElement>(list);
      const before = field.value;
      node.refuse.set('set_setting', apiError('setting_overridden', 'this Yonder was started with --accept', 'Start it without.'));
      await user.selectOptions(field, value);
      await waitFor(() => expect(field.value).toBe(before));
    }
    expect((await screen.findAllByTestId('toast')).at(-1)?.dataset['code']).toBe('setting_overridden');
  });

  it('choose the download folder through the window', async () => {
    const { user } = made;
    await user.click(screen.getByTestId('settings-choose'));
    await waitFor(() => expect(screen.getByTestId('settings-download').textContent).toBe('/media/usb/Inbox'));
  });

  it('show and copy what this device is', async () => {
    const { node, user } = made;
    expect(screen.getByTestId('settings-device-id').textContent).toBe(node.state.identity.device_id);
    await user.click(screen.getByRole('button', { name: 'Copy: Ticket' }));
    await waitFor(() => expect(node.clipboard).toBe(node.state.identity.ticket));
  });

  it('say where the secret is, and warn of a plain file', async () => {
    const { node } = made;
    const keystore = screen.getByTestId('settings-keystore');
    expect(keystore.textContent).toContain('the system’s keychain');
    expect(keystore.querySelector('.plain')).toBeNull();
    node.emit({ event: 'identity', ...node.state.identity, keystore: 'plain' });
    await waitFor(() => expect(keystore.querySelector('.plain')?.textContent).toContain('without passphrase'));
  });

  it('change language and theme, and remember both', async () => {
    const { node, user } = made;
    await user.selectOptions(screen.getByTestId('settings-language'), 'de');
    expect(screen.getByRole('heading', { name: 'Einstellungen' })).toBeTruthy();
    expect(document.documentElement.lang).toBe('de');
    await user.click(screen.getByRole('radio', { name: 'Dunkel' }));
    expect(document.documentElement.dataset['theme']).toBe('dark');
    expect(localStorage.getItem('yonder.language')).toBe('de');
    expect(asked(node, 'speak').at(-1)).toEqual({ cmd: 'speak', language: 'de' });
    expect(localStorage.getItem('yonder.theme')).toBe('dark');
    await user.click(screen.getByRole('radio', { name: 'Wie das System' }));
    expect(document.documentElement.dataset['theme']).toBeUndefined();
  });

  it('go back by Escape and by the arrow', async () => {
    const { user } = made;
    await user.click(screen.getByTestId('settings-back'));
    expect(screen.queryByTestId('settings')).toBeNull();
    await user.click(screen.getByTestId('settings-open'));
    await user.keyboard('{Escape}');
    expect(screen.queryByTestId('settings')).toBeNull();
  });
});

describe('relays', () => {
  it('of one’s own are added and taken away, and what is none is said at once', async () => {
    const { node, user } = made;
    const field = screen.getByTestId('relay-url');
    await user.type(field, 'relay.home.example{Enter}');
    expect(screen.getByText('It is an address that begins with https://.')).toBeTruthy();
    expect(asked(node, 'set_setting')).toHaveLength(0);
    await user.clear(field);
    await user.type(field, 'https://relay.home.example{Enter}');
    await waitFor(() => expect(screen.getByTestId('own-relay').textContent).toContain('https://relay.home.example'));
    expect((field as HTMLInputElement).value).toBe('');
    await user.type(field, 'https://two.example{Enter}');
    await waitFor(() => expect(node.state.settings.relays).toEqual(['https://relay.home.example', 'https://two.example']));
    await user.click(screen.getByRole('button', { name: 'Remove https://relay.home.example' }));
    await waitFor(() => expect(node.state.settings.relays).toEqual(['https://two.example']));
  });

  it('keep what was typed if it is refused', async () => {
    const { node, user } = made;
    node.refuse.set('set_setting', apiError('invalid_input', 'this is no relay', 'Look at it.'));
    const field = screen.getByTestId<HTMLInputElement>('relay-url');
    await user.type(field, 'https://x.example{Enter}');
    expect((await screen.findByTestId('toast')).textContent).toContain('This is no relay');
    expect(field.value).toBe('https://x.example');
  });

  it('are chosen by a rule that explains itself', async () => {
    const { node, user } = made;
    await user.selectOptions(screen.getByTestId('relay-choice'), 'fixed');
    await waitFor(() => expect(node.state.settings.relay_choice).toBe('fixed'));
    expect(screen.getByText(/No public server of any kind is asked/)).toBeTruthy();
  });

  it('get a token that is never shown again', async () => {
    const { node, user } = made;
    const field = screen.getByTestId<HTMLInputElement>('relay-token');
    expect(field.type).toBe('password');
    await user.type(field, 'open sesame{Enter}');
    await waitFor(() => expect(node.relayToken).toBe('open sesame'));
    await waitFor(() => expect(field.value).toBe(''));
    expect(new XMLSerializer().serializeToString(document.body)).not.toContain('sesame');
    await user.click(await screen.findByTestId('relay-token-forget'));
    await waitFor(() => expect(node.relayToken).toBeNull());
  });

  it('say how they stand, and why not', async () => {
    const { node } = made;
    node.emit({
      event: 'relays',
      relays: [someRelay({ url: 'https://own.example/', own: true }), someRelay({ url: 'https://other.example/', home: false, connected: false, latency_ms: null, error: apiError('relay_refused', 'the relay refuses this device', '') })],
    });
    await waitFor(() => expect(screen.getAllByTestId('relay-state')).toHaveLength(2));
    const [own, other] = screen.getAllByTestId('relay-state');
    expect(own?.textContent).toContain('own · in use · 18\u00a0ms');
    expect(other?.textContent).toContain('The relay refuses this device');
  });
});

it('who sees this device is explained for each choice', async () => {
  const { user } = made;
  for (const [choice, said] of [
    ['paired', 'Others see random bytes and no name'],
    ['nobody', 'Nothing is announced.'],
    ['everyone', 'Its name and kind are announced'],
  ] as const) {
    await user.selectOptions(screen.getByTestId('settings-discoverable'), choice);
    expect(await screen.findByText(new RegExp(said))).toBeTruthy();
  }
});
