import { beforeEach, describe, expect, it } from 'vitest';
import { asked, page, screen, waitFor } from '../../test/page';
import { apiError } from '../ipc/fake';

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
    const { user } = made;
    await user.selectOptions(screen.getByTestId('settings-language'), 'de');
    expect(screen.getByRole('heading', { name: 'Einstellungen' })).toBeTruthy();
    expect(document.documentElement.lang).toBe('de');
    await user.click(screen.getByRole('radio', { name: 'Dunkel' }));
    expect(document.documentElement.dataset['theme']).toBe('dark');
    expect(localStorage.getItem('yonder.language')).toBe('de');
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
