import { render } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import { asked, page, screen, waitFor } from '../../../test/page';
import App from '../../app/App.svelte';
import { FakeNode, apiError } from '../../backend/fake';
import type { KeystoreView } from '../../backend/bindings';

const SECRET = 'correct horse battery';

/** Checks that the passphrase is neither in a field nor anywhere else in the page. */
function nothingIsKept(): void {
  const fields = [...document.querySelectorAll('input')].map((field) => field.value);
  expect(fields.filter((value) => value.includes(SECRET))).toEqual([]);
  expect(new XMLSerializer().serializeToString(document)).not.toContain(SECRET);
}

describe('a start that failed', () => {
  const failed = async (code: string, recorded: KeystoreView | null, passphrase: string | null = SECRET) => {
    const node = new FakeNode({}, false);
    node.passphrase = passphrase;
    render(App, { backend: node });
    await waitFor(() => expect(asked(node, 'snapshot')).toHaveLength(1));
    node.lock(code, recorded);
    await screen.findByTestId('start-failed');
    return { node, user: userEvent.setup() };
  };
  const ready = () => waitFor(() => expect(screen.getByTestId('app').dataset['ready']).toBe('true'));

  it('asks for the passphrase, says that it is wrong, and starts with the right one', async () => {
    const { node, user } = await failed('passphrase_needed', 'file');
    expect(screen.getByRole('heading', { name: 'Yonder is locked' })).toBeTruthy();
    expect(screen.queryByTestId('start-passphrase-again')).toBeNull();
    await user.type(screen.getByTestId('start-passphrase'), 'guess{Enter}');
    await waitFor(() => expect(screen.getByTestId('start-failed').dataset['code']).toBe('passphrase_wrong'));
    expect(screen.getByText('The passphrase is wrong')).toBeTruthy();
    expect(screen.getByTestId<HTMLInputElement>('start-passphrase').value).toBe('');
    await user.type(screen.getByTestId('start-passphrase'), SECRET);
    await user.click(screen.getByTestId('start-unlock'));
    nothingIsKept();
    await ready();
    expect(asked(node, 'start').at(-1)).toEqual({ cmd: 'start', passphrase: SECRET, in_file: false });
  });

  it('takes no empty passphrase', async () => {
    const { node, user } = await failed('passphrase_needed', 'file');
    await user.click(screen.getByTestId('start-unlock'));
    expect(screen.getByTestId('start-passphrase-bad').textContent).toBe('Type a passphrase.');
    expect(asked(node, 'start')).toHaveLength(0);
  });

  it('has a new passphrase typed twice on a first start', async () => {
    const { node, user } = await failed('passphrase_needed', null);
    await user.type(screen.getByTestId('start-passphrase'), SECRET);
    await user.type(screen.getByTestId('start-passphrase-again'), 'another{Enter}');
    expect(screen.getByTestId('start-passphrase-bad').textContent).toBe('The two are not the same.');
    expect(asked(node, 'start')).toHaveLength(0);
    await user.type(screen.getByTestId('start-passphrase-again'), `${SECRET}{Enter}`);
    await ready();
    expect(asked(node, 'start')).toEqual([{ cmd: 'start', passphrase: SECRET, in_file: true }]);
  });

  it('for a locked keychain tries again, and offers nothing that would make a new identity', async () => {
    const { node, user } = await failed('keystore_locked', 'keychain', null);
    expect(screen.queryByTestId('start-in-file')).toBeNull();
    expect(screen.getByText(/never makes a new identity/)).toBeTruthy();
    await user.click(screen.getByTestId('start-retry'));
    await ready();
    expect(asked(node, 'start')).toEqual([{ cmd: 'start', passphrase: null, in_file: false }]);
  });

  it('without a keychain on a first start is no fault: it asks to choose a passphrase, and the field has the keyboard', async () => {
    const { node, user } = await failed('keystore_unavailable', null);
    expect(screen.getByRole('heading', { name: 'Choose a passphrase' })).toBeTruthy();
    expect(screen.queryByText(/could not start/)).toBeNull();
    await waitFor(() => expect(document.activeElement).toBe(screen.getByTestId('start-passphrase')));
    await user.keyboard(SECRET);
    await user.type(screen.getByTestId('start-passphrase-again'), `${SECRET}{Enter}`);
    await ready();
    expect(asked(node, 'start')[0]).toMatchObject({ in_file: true });
  });

  it('keeps technical details folded', async () => {
    await failed('keystore_unavailable', null);
    const details = screen.getByTestId<HTMLDetailsElement>('start-details');
    expect(details.open).toBe(false);
    expect(details.textContent).toContain('keystore_unavailable');
    expect(details.textContent).toContain('no such service');
    expect(screen.getByRole('alert').textContent).not.toContain('no such service');
  });

  it('without a keychain can try it again, once one was started', async () => {
    const { node, user } = await failed('keystore_unavailable', null, null);
    await user.click(screen.getByTestId('start-retry'));
    await ready();
    expect(asked(node, 'start')).toEqual([{ cmd: 'start', passphrase: null, in_file: false }]);
  });

  it('asks for a passphrase with the keyboard in its field', async () => {
    await failed('passphrase_needed', 'file');
    await waitFor(() => expect(document.activeElement).toBe(screen.getByTestId('start-passphrase')));
  });

  it('with a lost secret restores a backup, or says why not', async () => {
    const { node, user } = await failed('keystore_entry_gone', 'keychain');
    await user.click(screen.getByTestId('start-to-restore'));
    node.refuse.set('restore', apiError('backup_passphrase_wrong', 'the passphrase of the backup is wrong', 'Try again.'));
    await user.type(screen.getByTestId('start-backup'), `${SECRET}{Enter}`);
    expect((await screen.findByTestId('start-refused')).dataset['code']).toBe('backup_passphrase_wrong');
    nothingIsKept();
    expect(asked(node, 'restore')).toEqual([{ cmd: 'restore', backup_passphrase: SECRET, passphrase: null }]);
  });

  it('can be tried again, whatever it was', async () => {
    const { node, user } = await failed('already_running', 'keychain', null);
    await user.click(screen.getByTestId('start-retry'));
    await ready();
    expect(asked(node, 'start')).toHaveLength(1);
  });
});

describe('the secret in the settings', () => {
  const settings = async (keystore: KeystoreView, prepare: (node: FakeNode) => void = () => {}) => {
    const made = await page({}, (node) => {
      node.state.identity = { ...node.state.identity, keystore };
      prepare(node);
    });
    await made.user.click(screen.getByTestId('settings-open'));
    await waitFor(() => expect(asked(made.node, 'keystore')).toHaveLength(1));
    return made;
  };
  const type = async (user: ReturnType<typeof userEvent.setup>, testid: string, text: string) => user.type(screen.getByTestId(testid), text);

  it('moves from the keychain to a file', async () => {
    const { node, user } = await settings('keychain');
    expect(screen.getByTestId('settings-keystore').textContent).toContain('the system’s keychain');
    await user.click(screen.getByTestId('keystore-file'));
    await type(user, 'keystore-fresh', SECRET);
    await type(user, 'keystore-fresh-again', `${SECRET}{Enter}`);
    nothingIsKept();
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
    expect(asked(node, 'keystore_move')).toEqual([{ cmd: 'keystore_move', to: 'file', passphrase: null, new_passphrase: SECRET }]);
    await waitFor(() => expect(screen.getByTestId('settings-keystore').dataset['keystore']).toBe('file'));
  });

  it('moves from a file to the keychain, with its passphrase', async () => {
    const { node, user } = await settings('file', (fake) => (fake.passphrase = SECRET));
    await user.click(screen.getByTestId('keystore-keychain'));
    await type(user, 'keystore-now', 'guess{Enter}');
    expect((await screen.findByTestId('keystore-error')).dataset['code']).toBe('passphrase_wrong');
    expect(node.state.identity.keystore).toBe('file');
    await type(user, 'keystore-now', `${SECRET}{Enter}`);
    await waitFor(() => expect(node.state.identity.keystore).toBe('keychain'));
    nothingIsKept();
  });

  it('changes the passphrase', async () => {
    const { node, user } = await settings('file', (fake) => (fake.passphrase = 'old'));
    await user.click(screen.getByTestId('keystore-passphrase'));
    const form = screen.getByTestId('keystore-form');
    expect(form.dataset['task']).toBe('passphrase');
    await type(user, 'keystore-now', 'old');
    await type(user, 'keystore-fresh', SECRET);
    await type(user, 'keystore-fresh-again', `${SECRET}{Enter}`);
    await waitFor(() => expect(node.passphrase).toBe(SECRET));
    await screen.findByText('The passphrase is changed');
  });

  it('offers no keychain where there is none', async () => {
    await settings('file', (fake) => (fake.keystore = { ...fake.keystore, keychain: 'absent' }));
    await waitFor(() => expect(screen.getByTestId<HTMLButtonElement>('keystore-keychain').disabled).toBe(true));
  });

  it('is backed up under a passphrase of eight characters, where the person says', async () => {
    const { node, user } = await settings('keychain');
    await user.click(screen.getByTestId('keystore-backup'));
    await type(user, 'keystore-fresh', 'short');
    await type(user, 'keystore-fresh-again', 'short{Enter}');
    expect(screen.getByTestId('keystore-fresh-bad').textContent).toContain('8 characters');
    await user.clear(screen.getByTestId('keystore-fresh'));
    await user.clear(screen.getByTestId('keystore-fresh-again'));
    await type(user, 'keystore-fresh', SECRET);
    await type(user, 'keystore-fresh-again', `${SECRET}{Enter}`);
    await screen.findByText('The backup is written, with 2 paired devices');
    expect(asked(node, 'backup')).toEqual([{ cmd: 'backup', backup_passphrase: SECRET, passphrase: null }]);
    nothingIsKept();
  });

  it('says that a plain file is no safe place, and the ways out of it', async () => {
    await settings('plain');
    expect(screen.getByTestId('settings-keystore').textContent).toContain('Whoever can read this file can pose as this device');
    expect(screen.getByTestId('keystore-keychain')).toBeTruthy();
    expect(screen.getByTestId('keystore-file')).toBeTruthy();
  });
});
