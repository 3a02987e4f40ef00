import { afterEach, describe, expect, it, vi } from 'vitest';
import { asked, page, screen, waitFor, within } from '../../../test/page';
import { i18n } from '../../i18n/index.svelte';
import { apiError, someDevice, someSettings } from '../../backend/fake';

const open = async (...args: Parameters<typeof page>) => {
  const made = await page(...args);
  await made.user.click(screen.getByTestId('pair-open'));
  return made;
};

afterEach(() => void vi.useRealTimers());

describe('showing a code', () => {
  it('shows words, link and square, and burns the code on leaving', async () => {
    const { node, user } = await open();
    const words = await screen.findByTestId('pair-words');
    expect(words.textContent).toBe('brave-lion-sunset');
    const { pairing } = node.state;
    if (pairing.step !== 'hosting') throw new Error('not hosting');
    expect(screen.getByTestId('pair-link').dataset['link']).toBe(pairing.link);
    const side = pairing.qr.length + 8;
    const square = screen.getByTestId('pair-qr');
    expect(square.getAttribute('viewBox')).toBe(`0 0 ${side} ${side}`);
    expect(Number(square.getAttribute('width')) % side).toBe(0);
    expect(screen.getByTestId('pair-attempts').textContent).toBe('3 attempts left');
    await user.click(screen.getByTestId('pair-link'));
    await waitFor(() => expect(node.clipboard).toBe(pairing.link));
    await user.click(screen.getByTestId('pair-close'));
    await waitFor(() => expect(node.state.pairing.step).toBe('idle'));
    expect(screen.queryByRole('dialog')).toBeNull();
  });

  it('has five words for a device that is anywhere, and burns the three', async () => {
    const { node, user } = await open();
    await screen.findByTestId('pair-words');
    expect(asked(node, 'pair_host')).toEqual([{ cmd: 'pair_host', approve: false, level: null, words: 3 }]);
    await user.click(screen.getByTestId('pair-length-5'));
    await waitFor(() => expect(screen.getByTestId('pair-words').textContent).toBe('copper-violin-brave-lion-sunset'));
    expect(asked(node, 'pair_host')[1]).toEqual({ cmd: 'pair_host', approve: false, level: null, words: 5 });
    expect(asked(node, 'pair_cancel')).toHaveLength(2);
    expect(screen.getByText(/The first two let the other device find this one/)).toBeTruthy();
    await user.click(screen.getByTestId('pair-length-3'));
    await waitFor(() => expect(screen.getByTestId('pair-words').textContent).toBe('brave-lion-sunset'));
  });

  it('that cannot have five words says why, and goes back to three', async () => {
    const { node, user } = await open();
    await screen.findByTestId('pair-words');
    node.refuse.set('pair_host', apiError('no_rendezvous', 'a code of five words is not possible here: only the local network is used', 'Use three words.'));
    await user.click(screen.getByTestId('pair-length-5'));
    expect((await screen.findByTestId('pair-error')).dataset['code']).toBe('no_rendezvous');
    await user.click(screen.getByTestId('pair-length-3'));
    await waitFor(() => expect(screen.getByTestId('pair-words').textContent).toBe('brave-lion-sunset'));
    expect(screen.queryByTestId('pair-error')).toBeNull();
  });

  it('tells how far the words reach', async () => {
    const { node } = await open();
    await screen.findByTestId('pair-words');
    const { pairing } = node.state;
    if (pairing.step !== 'hosting') throw new Error('not hosting');
    expect(screen.queryByTestId('pair-note')).toBeNull();
    node.setPairing({ ...pairing, note: 'findable' });
    expect((await screen.findByTestId('pair-note')).textContent).toContain('across the internet');
    i18n.language = 'de';
    await waitFor(() => expect(screen.getByTestId('pair-note').textContent).toContain('über das Internet'));
  });

  it('counts down by the page’s own clock, and says when the code has run out', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    await open();
    expect((await screen.findByTestId('pair-countdown')).textContent).toBe('5:00');
    await vi.advanceTimersByTimeAsync(61_000);
    expect(screen.getByTestId('pair-countdown').textContent).toBe('3:59');
    await vi.advanceTimersByTimeAsync(240_000);
    expect(screen.queryByTestId('pair-words')).toBeNull();
    expect(screen.getByText('This code has run out')).toBeTruthy();
  });

  it('starts from what the node says is left', async () => {
    const { node } = await open();
    await screen.findByTestId('pair-words');
    const { pairing } = node.state;
    if (pairing.step !== 'hosting') throw new Error('not hosting');
    node.setPairing({ ...pairing, expires_in: 42 });
    await waitFor(() => expect(screen.getByTestId('pair-countdown').textContent).toBe('0:42'));
  });

  it('warns of wrong codes, and tells when the code is burnt', async () => {
    const { node, user } = await open();
    await screen.findByTestId('pair-words');
    node.wrongCode();
    await waitFor(() => expect(screen.getByTestId('pair-attempts').textContent).toBe('2 attempts left'));
    expect(screen.getByText(/Somebody entered a wrong code/)).toBeTruthy();
    node.wrongCode();
    await waitFor(() => expect(screen.getByTestId('pair-attempts').textContent).toBe('1 attempt left'));
    node.wrongCode();
    const error = await screen.findByTestId('pair-error');
    expect(error.dataset['code']).toBe('code_burnt');
    expect(error.textContent).toContain('Show a new code.');
    await user.click(screen.getByTestId('pair-again'));
    expect(await screen.findByTestId('pair-words')).toBeTruthy();
  });

  it('shows why no code could be made, and tries again', async () => {
    const { user } = await open({}, (node) => node.refuse.set('pair_host', apiError('randomness_unavailable', 'no randomness', 'Restart.')));
    expect((await screen.findByTestId('pair-error')).textContent).toContain('Restart.');
    await user.click(screen.getByRole('button', { name: 'Try again' }));
    expect(await screen.findByTestId('pair-words')).toBeTruthy();
    expect(screen.queryByTestId('pair-error')).toBeNull();
  });

  it('keeps the order of calls when the node is slower than the person', async () => {
    let slow: (() => void) | undefined;
    const { node, user } = await open({}, (fake) => {
      const call = fake.call.bind(fake);
      fake.call = async (request) => {
        // The first request for a code is slow. Later requests must not overtake it.
        if (request.cmd === 'pair_host' && !slow) await new Promise<void>((go) => (slow = go));
        return call(request);
      };
    });
    await waitFor(() => expect(slow).toBeDefined());
    await user.click(screen.getByTestId('pair-tab-join'));
    slow?.();
    await waitFor(() => expect(asked(node, 'pair_host')).toHaveLength(1));
    await waitFor(() => expect(asked(node, 'pair_cancel')).toHaveLength(2));
    await new Promise((resolve) => setTimeout(resolve));
    await waitFor(() => expect(node.state.pairing.step).toBe('idle'));
    expect(screen.getByTestId('pair-input')).toBeTruthy();
    expect(screen.queryByTestId('pair-error')).toBeNull();
  });
});

describe('entering a code', () => {
  const join = async (...args: Parameters<typeof page>) => {
    const made = await open(...args);
    await made.user.click(screen.getByTestId('pair-tab-join'));
    return { ...made, field: screen.getByTestId<HTMLInputElement>('pair-input') };
  };
  const slots = () => screen.getAllByTestId('pair-slot').map((slot) => slot.dataset['state']);

  it('takes the whole code in one field', async () => {
    const { node, user, field } = await join();
    await user.type(field, 'brave-lion-sunset');
    await user.click(screen.getByTestId('pair-join'));
    await waitFor(() => expect(asked(node, 'pair_join')).toEqual([{ cmd: 'pair_join', code: 'brave-lion-sunset', device: null, approve: false, level: null }]));
    expect(await screen.findByText('Looking for the other device…')).toBeTruthy();
  });

  it.each(['brav lion suns', 'BRAVE – lion\tsunset'])('completes %j', async (text) => {
    const { node, user, field } = await join();
    await user.click(field);
    await user.paste(text);
    await user.keyboard('{Enter}');
    await waitFor(() => expect(asked(node, 'pair_join')[0]?.code).toBe('brave-lion-sunset'));
  });

  it('takes five words, and shows places for them from the fourth on', async () => {
    const { node, user, field } = await join();
    await user.type(field, 'copper-violin-brave');
    expect(slots()).toHaveLength(3);
    await user.type(field, '-lion');
    await waitFor(() => expect(slots()).toEqual(['whole', 'whole', 'whole', 'whole', 'empty']));
    await user.click(screen.getByTestId('pair-join'));
    expect(screen.getByTestId('pair-stalls').textContent).toBe('A code has three or five words.');
    expect(asked(node, 'pair_join')).toHaveLength(0);
    await user.type(field, '-suns{Enter}');
    await waitFor(() => expect(asked(node, 'pair_join')).toEqual([{ cmd: 'pair_join', code: 'copper-violin-brave-lion-sunset', device: null, approve: false, level: null }]));
  });

  it('has no code of six words', async () => {
    const { node, user, field } = await join();
    await user.type(field, 'copper-violin-brave-lion-sunset-sun{Enter}');
    await waitFor(() => expect(screen.getByTestId('pair-stalls').textContent).toBe('A code has three or five words.'));
    expect(asked(node, 'pair_join')).toHaveLength(0);
  });

  it('takes a link as it is', async () => {
    const { node, user, field } = await join({ devices: [someDevice({ paired: false, pairing: true, state: 'discovered' })] });
    await user.click(field);
    await user.paste(' yonder:pair?e=abc&s=1 ');
    expect(screen.getByText(/Pairing link recognised/)).toBeTruthy();
    expect(screen.queryByRole('radio')).toBeNull();
    await user.click(screen.getByTestId('pair-join'));
    await waitFor(() => expect(asked(node, 'pair_join')[0]).toMatchObject({ code: 'yonder:pair?e=abc&s=1', device: null }));
  });

  it('says at once that a word is not on the list, and does not send it', async () => {
    const { node, user, field } = await join();
    await user.type(field, 'brave-lixn');
    await waitFor(() => expect(screen.getByTestId('pair-stalls').textContent).toBe('“lixn” is not on the list of words.'));
    expect(slots()).toEqual(['whole', 'unknown', 'empty']);
    expect(field.getAttribute('aria-invalid')).toBe('true');
    await user.type(field, '-sunset');
    await user.click(screen.getByTestId('pair-join'));
    expect(asked(node, 'pair_join')).toHaveLength(0);
    expect(document.activeElement).toBe(field);
  });

  it('shows markup that is typed as text', async () => {
    const { user, field } = await join();
    await user.click(field);
    await user.paste('<img src=x>');
    await waitFor(() => expect(screen.getByTestId('pair-stalls').textContent).toContain('not on the list'));
    expect(document.querySelector('img')).toBeNull();
  });

  it('offers words by arrow keys, Enter and click', async () => {
    const { user, field } = await join();
    await user.type(field, 'su');
    await waitFor(() => expect(screen.getAllByTestId('pair-suggestion')).toHaveLength(8));
    const [first, second] = screen.getAllByTestId('pair-suggestion').map((option) => option.textContent?.trim() ?? '');
    await user.keyboard('{ArrowDown}{ArrowDown}');
    expect(field.getAttribute('aria-activedescendant')).toBe('pair-word-1');
    await user.keyboard('{Escape}');
    expect(screen.getByRole('dialog')).toBeTruthy();
    await user.keyboard('{ArrowDown}{Enter}');
    expect(field.value).toBe(`${first}-`);
    await user.type(field, 'su');
    await waitFor(() => expect(screen.getAllByTestId('pair-suggestion')).toHaveLength(8));
    const [, option] = screen.getAllByTestId('pair-suggestion');
    if (option) await user.click(option);
    expect(field.value).toBe(`${first}-${second}-`);
  });

  it('names a nearby device that shows a code, or an address', async () => {
    const device = someDevice({ name: 'Phone', paired: false, pairing: true, state: 'discovered' });
    const { node, user, field } = await join({ devices: [device, someDevice({ name: 'Silent', paired: false, state: 'discovered' })] });
    expect(screen.queryByRole('radio', { name: /Silent/ })).toBeNull();
    await user.click(screen.getByRole('radio', { name: /Phone/ }));
    await user.type(field, 'brave-lion-sunset{Enter}');
    await waitFor(() => expect(asked(node, 'pair_join')[0]?.device).toBe(device.device_id));
    await user.click(screen.getByTestId('pair-stop'));
    await user.click(screen.getByRole('radio', { name: /Find it for me/ }));
    await user.type(screen.getByTestId('pair-address'), 'ab12@192.168.1.5:11204');
    await user.click(screen.getByTestId('pair-join'));
    await waitFor(() => expect(asked(node, 'pair_join')[1]?.device).toBe('ab12@192.168.1.5:11204'));
  });

  it('comes with the device whose button was pressed', async () => {
    const device = someDevice({ name: 'Phone', paired: false, pairing: true, state: 'discovered' });
    const { node, user } = await page({ devices: [device] });
    await user.click(screen.getByRole('button', { name: 'Pair with Phone' }));
    await user.type(await screen.findByTestId('pair-input'), 'brave-lion-sunset{Enter}');
    await waitFor(() => expect(asked(node, 'pair_join')[0]?.device).toBe(device.device_id));
  });

  it('keeps what was typed when the code was wrong', async () => {
    const { node, user, field } = await join();
    await user.type(field, 'brave-lion-sunset{Enter}');
    await waitFor(() => expect(node.state.pairing.step).toBe('joining'));
    node.setPairing({ step: 'failed', error: apiError('code_wrong', 'the pairing code is wrong', 'Compare the words.') });
    expect((await screen.findByTestId('pair-error')).textContent).toContain('Compare the words.');
    await user.click(screen.getByTestId('pair-again'));
    expect((await screen.findByTestId<HTMLInputElement>('pair-input')).value).toBe('brave-lion-sunset');
  });
});

describe('approval', () => {
  it('comes to the front, waits for the other side, and ends', async () => {
    const { node, user } = await page();
    node.proven('host', '<b>Study</b>');
    const dialog = await screen.findByRole('dialog');
    expect(screen.getByTestId('pair-check-words').textContent).toBe('amber-falcon');
    expect(dialog.textContent).toContain('<b>Study</b>');
    expect(dialog.querySelector('b')).toBeNull();
    expect(dialog.textContent).toContain('Offer files to this device, which you accept or decline');
    await user.click(screen.getByTestId('pair-approve'));
    expect(await screen.findByText('Approved here. Waiting for the other side…')).toBeTruthy();
    expect(screen.queryByTestId('pair-approve')).toBeNull();
    // The focused button has been removed.
    await waitFor(() => expect(dialog.contains(document.activeElement)).toBe(true));
    expect(asked(node, 'pair_approve')).toHaveLength(1);
    expect(asked(node, 'pair_answer')).toHaveLength(0);
    node.bothApproved();
    await user.click(await screen.findByTestId('pair-done'));
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
    expect(screen.getByTestId('device-card').dataset['paired']).toBe('true');
    await waitFor(() => expect(node.state.pairing.step).toBe('idle'));
  });

  it('leaves it to the window whose device it is, and waits when that was cancelled', async () => {
    const { node, user } = await page();
    node.willConfirm = null;
    node.proven('joiner');
    await user.click(await screen.findByTestId('pair-approve'));
    await waitFor(() => expect(asked(node, 'pair_approve')).toHaveLength(1));
    expect(screen.getByTestId('pair-approve')).toBeTruthy();
    node.willConfirm = 'other';
    await waitFor(() => expect(screen.getByTestId<HTMLButtonElement>('pair-approve').disabled).toBe(false));
    await user.click(screen.getByTestId('pair-approve'));
    await screen.findByText('Approved here. Waiting for the other side…');
    node.bothApproved();
    await screen.findByTestId('pair-done');
    expect(node.state.devices[0]?.trust).toBe('other');
    for (const cmd of ['pair_answer', 'trust'] as const) expect(asked(node, cmd)).toHaveLength(0);
  });

  it('says what will happen by the rule that holds, and not that one is asked where one is not', async () => {
    const { node } = await page({ settings: { ...someSettings(), accept: 'paired' } });
    node.proven('host');
    await screen.findByRole('dialog');
    const [own, other] = screen.getAllByTestId('pair-grants');
    expect(own?.textContent).toContain('if it is yours');
    expect(own?.textContent).toContain('without asking you');
    expect(own?.textContent).not.toContain('accept or decline');
    expect(other?.textContent).toContain('which you accept or decline');
  });

  it('says by which name a device of a taken name will be called', async () => {
    const { node } = await page();
    node.proven('host', 'Attic');
    await screen.findByRole('dialog');
    expect(screen.getAllByTestId('pair-grants')).toHaveLength(1);
    expect(screen.queryByTestId('pair-called')).toBeNull();
    const { pairing } = node.state;
    if (pairing.step === 'confirm') node.setPairing({ ...pairing, called: 'Attic (2)' });
    await waitFor(() => expect(screen.getByTestId('pair-called').textContent).toContain('“Attic (2)”'));
  });

  it('is rejected', async () => {
    const { node, user } = await page();
    node.proven('joiner');
    await user.click(await screen.findByTestId('pair-reject'));
    expect((await screen.findByTestId('pair-error')).dataset['code']).toBe('pairing_rejected');
    expect(asked(node, 'pair_answer')).toEqual([{ cmd: 'pair_answer', approve: false, level: null, check_words: null }]);
  });

  it('that is closed is cancelled, and does not come back', async () => {
    const { node, user } = await page();
    node.proven('host');
    await screen.findByRole('dialog');
    await user.keyboard('{Escape}');
    await waitFor(() => expect(node.state.pairing.step).toBe('idle'));
    expect(screen.queryByRole('dialog')).toBeNull();
    expect(asked(node, 'pair_answer')).toHaveLength(0);
  });
});

describe('the window’s menu', () => {
  it('opens pairing, settings and transfers', async () => {
    const { node } = await page({ devices: [someDevice()] });
    node.tellShell({ event: 'show', view: 'settings' });
    expect(await screen.findByTestId('settings')).toBeTruthy();
    node.tellShell({ event: 'show', view: 'transfers' });
    await waitFor(() => expect(screen.queryByTestId('settings')).toBeNull());
    node.tellShell({ event: 'show', view: 'pair' });
    const dialog = await screen.findByRole('dialog', { name: 'Pair a device' });
    expect(within(dialog).getByTestId('pair-tab-host').getAttribute('aria-selected')).toBe('true');
  });
});
