import { describe, expect, it } from 'vitest';
import { asked, page, screen, waitFor } from '../../../test/page';
import { PAIR_LINK, apiError, someDevice } from '../../backend/fake';
import type { ShellEvent } from '../../backend/bindings';

const DEVICE = '0a1b2c3d-0000-8000-8000-000000000000';
const opened: ShellEvent = { event: 'link_opened', link: { link: PAIR_LINK, device_id: DEVICE } };

/** Checks that no request for a pairing was made. */
const untouched = (node: Awaited<ReturnType<typeof page>>['node']) => {
  for (const cmd of ['pair_join', 'pair_answer', 'pair_host'] as const) expect(asked(node, cmd)).toEqual([]);
};

describe('a link from another program', () => {
  it('asks, and pairs with nobody before a click', async () => {
    const { node, user } = await page();
    node.tellShell(opened);
    const dialog = await screen.findByRole('dialog', { name: 'Pair with this device?' });
    expect(screen.getByTestId('pair-offered').dataset['deviceId']).toBe(DEVICE);
    expect(dialog.textContent).toContain('Go on only if you have just opened this link yourself');
    // The link is not shown, because it is long and contains a secret.
    expect(dialog.textContent).not.toContain('yonder:');
    await user.keyboard('{Enter}');
    untouched(node);
    await user.click(screen.getByTestId('pair-join'));
    await waitFor(() => expect(asked(node, 'pair_join')).toEqual([{ cmd: 'pair_join', code: PAIR_LINK, device: null, approve: false, level: null }]));
  });

  it('can be refused, and closed', async () => {
    const { node, user } = await page();
    node.tellShell(opened);
    await user.click(await screen.findByTestId('pair-offered-no'));
    expect(screen.getByTestId('pair-input')).toBeTruthy();
    await user.keyboard('{Escape}');
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
    untouched(node);
  });

  it('waits for a node that is not up yet', async () => {
    const { node } = await page();
    node.lock();
    await screen.findByTestId('start-failed');
    node.tellShell(opened);
    expect(screen.queryByRole('dialog')).toBeNull();
    node.start();
    expect(await screen.findByTestId('pair-offered')).toBeTruthy();
    untouched(node);
  });

  it('is asked for once the page listens', async () => {
    const { node } = await page();
    expect(asked(node, 'page_listens')).toHaveLength(1);
  });

  it('names the device that it says it is from, as text', async () => {
    const { node } = await page({ devices: [someDevice({ device_id: DEVICE, name: '<b>Study</b>', paired: false, state: 'discovered' })] });
    node.tellShell(opened);
    const offered = await screen.findByTestId('pair-offered');
    expect(offered.textContent).toContain('<b>Study</b>');
    expect(offered.querySelector('b')).toBeNull();
    expect(offered.textContent).not.toContain('paired already');
  });

  it('of a paired device says so, and of this very device pairs with nobody', async () => {
    const { node, user } = await page({ devices: [someDevice({ device_id: DEVICE })] });
    node.tellShell(opened);
    expect((await screen.findByTestId('pair-offered')).textContent).toContain('paired already');
    await user.click(screen.getByTestId('pair-offered-no'));
    node.tellShell({ event: 'link_opened', link: { link: PAIR_LINK, device_id: node.state.identity.device_id } });
    expect((await screen.findByTestId('pair-offered')).textContent).toContain('from this very device');
    expect(screen.getByTestId<HTMLButtonElement>('pair-join').disabled).toBe(true);
  });

  it('does not end a code that is shown, nor a pairing that waits', async () => {
    const { node, user } = await page();
    await user.click(screen.getByTestId('pair-open'));
    const words = await screen.findByTestId('pair-words');
    node.tellShell(opened);
    expect((await screen.findByTestId('toast')).textContent).toContain('A pairing is under way');
    expect(words.isConnected).toBe(true);
    expect(node.state.pairing.step).toBe('hosting');
    node.proven('host');
    await screen.findByTestId('pair-approve');
    node.tellShell(opened);
    expect(node.state.pairing.step).toBe('confirm');
    expect(screen.queryByTestId('pair-offered')).toBeNull();
  });

  it('takes the place of one before it', async () => {
    const { node } = await page();
    node.tellShell(opened);
    await screen.findByTestId('pair-offered');
    node.tellShell({ event: 'link_opened', link: { link: 'yonder:pair?e=other&s=x', device_id: 'ffffffff-0000-8000-8000-000000000000' } });
    await waitFor(() => expect(screen.getByTestId('pair-offered').dataset['deviceId']).toMatch(/^ffffffff/));
    untouched(node);
  });

  it('that is no good is a message with the reason', async () => {
    const { node } = await page();
    node.tellShell({ event: 'open_refused', error: apiError('link_invalid', 'this is not a valid yonder: link: it carries no secret', 'Copy the whole link.') });
    const toast = await screen.findByTestId('toast');
    expect(toast.dataset['code']).toBe('link_invalid');
    expect(toast.textContent).toContain('it carries no secret');
    expect(screen.queryByRole('dialog')).toBeNull();
  });
});

describe('files that the app is opened with', () => {
  const files: ShellEvent = { event: 'files_opened', picked: { pick: 'open-1', names: ['<i>a</i>.pdf'], count: 1 } };

  it('are offered, and sent by a click alone', async () => {
    const { node, user } = await page({ devices: [someDevice({ device_id: 'dev-a', name: 'A' })] });
    node.tellShell(files);
    const dialog = await screen.findByRole('dialog', { name: 'Send to…' });
    expect(dialog.querySelector('i')).toBeNull();
    expect(asked(node, 'send_picked')).toHaveLength(0);
    await user.click(screen.getByTestId('send-confirm'));
    await waitFor(() => expect(asked(node, 'send_picked')[0]).toMatchObject({ devices: ['dev-a'], pick: 'open-1' }));
  });
});

describe('a picture of the code', () => {
  const joining = async (...args: Parameters<typeof page>) => {
    const made = await page(...args);
    await made.user.click(screen.getByTestId('pair-open'));
    await made.user.click(screen.getByTestId('pair-tab-join'));
    await screen.findByTestId('pair-input');
    return made;
  };
  const paste = (data: Partial<Record<string, string>>, files: File[] = []) => {
    const event = new Event('paste', { bubbles: true, cancelable: true });
    Object.assign(event, { clipboardData: { files, getData: (type: string) => data[type] ?? '' } });
    screen.getByTestId('pair-input').dispatchEvent(event);
    return event;
  };
  const found = async ({ node, user }: Awaited<ReturnType<typeof page>>) => {
    expect((await screen.findByTestId('pair-offered')).dataset['from']).toBe('picture');
    expect(asked(node, 'pair_join')).toEqual([]);
    await user.click(screen.getByTestId('pair-join'));
    await waitFor(() => expect(asked(node, 'pair_join')[0]?.code).toBe(PAIR_LINK));
  };

  it('is chosen as a file', async () => {
    const made = await joining();
    await made.user.click(screen.getByTestId('pair-picture'));
    await found(made);
  });

  it('comes from the clipboard', async () => {
    const made = await joining();
    await made.user.click(screen.getByTestId('pair-clipboard'));
    await found(made);
    expect(asked(made.node, 'clipboard_link')).toHaveLength(1);
  });

  it('is pasted, as the bytes of its file', async () => {
    const made = await joining();
    const event = paste({}, [new File([new Uint8Array([1, 2, 3])], 'x.png', { type: 'image/png' })]);
    expect(event.defaultPrevented).toBe(true);
    await found(made);
    expect(made.node.pictures).toEqual([new Uint8Array([1, 2, 3])]);
  });

  it('is looked for by the window where the page may not see it', async () => {
    const made = await joining();
    paste({});
    await found(made);
    expect(asked(made.node, 'clipboard_link')).toHaveLength(1);
  });

  it('is not looked for where text is pasted', async () => {
    const { node } = await joining();
    expect(paste({ 'text/plain': 'brave-lion-sunset' }).defaultPrevented).toBe(false);
    expect(asked(node, 'clipboard_link')).toHaveLength(0);
    expect(node.pictures).toHaveLength(0);
  });

  it('is dropped on the dialog, and not sent to anybody', async () => {
    const made = await joining({ devices: [someDevice()] });
    made.node.tellShell({ event: 'dropped', x: 1, y: 1, picked: { pick: 'drop-1', names: ['code.png'], count: 1 } });
    await found(made);
    expect(asked(made.node, 'picture_dropped')).toEqual([{ cmd: 'picture_dropped', pick: 'drop-1' }]);
    expect(asked(made.node, 'send_picked')).toHaveLength(0);
  });

  it('without a code says what to do, and the words can still be typed', async () => {
    const { node, user } = await joining();
    node.willFind = null;
    await user.click(screen.getByTestId('pair-picture'));
    const error = await screen.findByTestId('pair-error');
    expect(error.dataset['code']).toBe('no_code_in_picture');
    expect(error.textContent).toContain('Let the whole square be in the picture');
    await user.type(screen.getByTestId('pair-input'), 'brave-lion-sunset{Enter}');
    await waitFor(() => expect(asked(node, 'pair_join')[0]?.code).toBe('brave-lion-sunset'));
  });

  it('is forgotten with the dialog', async () => {
    const { node, user } = await joining();
    let answer: (() => void) | undefined;
    const shell = node.shell.bind(node);
    node.shell = async (request) => {
      if (request.cmd === 'picture_file') await new Promise<void>((go) => (answer = go));
      return shell(request);
    };
    await user.click(screen.getByTestId('pair-picture'));
    expect(await screen.findByText('Looking for a code…')).toBeTruthy();
    await user.click(screen.getByTestId('pair-close'));
    answer?.();
    await waitFor(() => expect(asked(node, 'picture_file')).toHaveLength(1));
    await new Promise((resolve) => setTimeout(resolve));
    await user.click(screen.getByTestId('pair-open'));
    await user.click(screen.getByTestId('pair-tab-join'));
    expect(screen.queryByTestId('pair-offered')).toBeNull();
    untouched({ ...node, calls: node.calls.filter((call) => call.cmd !== 'pair_host') } as typeof node);
  });
});
