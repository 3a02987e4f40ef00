import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { asked, card, page, screen, waitFor, within } from '../../../test/page';
import { apiError, someDevice, someText } from '../../backend/fake';
import { i18n } from '../../i18n/index.svelte';
import type { MessageView } from '../../backend/bindings';

const HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script> \u202egpj.exe\u0000';

let focused = true;
beforeEach(() => {
  focused = true;
  vi.spyOn(document, 'hasFocus').mockImplementation(() => focused);
});
afterEach(() => vi.restoreAllMocks());

const said = (over: Partial<MessageView> = {}) => someText({ device_id: 'dev-a', ...over });

async function open(texts: MessageView[] = [], over: Parameters<typeof someDevice>[0] = {}) {
  const device = someDevice({ device_id: 'dev-a', name: 'Attic', ...over });
  const unread = texts.filter((text) => text.state === 'received').length;
  const made = await page({ devices: [device], texts, unread: unread ? [{ device_id: 'dev-a', count: unread }] : [] });
  await made.user.click(within(card(device.name)).getByTestId('device-texts'));
  await screen.findByTestId('talk');
  await waitFor(() => expect(asked(made.node, 'messages').length).toBeGreaterThan(0));
  return { ...made, field: screen.getByTestId<HTMLTextAreaElement>('talk-input') };
}

const words = () => screen.queryAllByTestId('text-words').map((each) => each.textContent);

describe('the texts of a device', () => {
  it('are counted on its card, and on the window', async () => {
    const { node } = await page({ devices: [someDevice({ device_id: 'dev-a', name: 'Attic' })], unread: [{ device_id: 'dev-a', count: 2 }] });
    expect(screen.getByRole('button', { name: 'Texts with Attic, 2 new' }).textContent).toContain('2');
    node.putText(said());
    expect(await screen.findByRole('button', { name: 'Texts with Attic, 3 new' })).toBeTruthy();
    await waitFor(() => expect(document.title).toBe('(3) Yonder'));
    expect(screen.getByText('A text of Attic has arrived.')).toBeTruthy();
    // A delivery receipt is not a new text.
    node.putText(said({ direction: 'send', state: 'delivered' }));
    await Promise.resolve();
    expect(screen.getByTestId('device-texts').dataset['unread']).toBe('3');
  });

  it('stand in order with time, side and state in words', async () => {
    const at = new Date(2026, 10, 20, 14, 5).getTime();
    await open([said({ text: 'one', sent_at: at }), said({ text: 'two', sent_at: at, direction: 'send', state: 'delivered' }), said({ text: 'three', sent_at: at + 86_400_000, direction: 'send', state: 'queued' })]);
    await waitFor(() => expect(words()).toEqual(['one', 'two', 'three']));
    const [one, two, three] = screen.getAllByTestId('text');
    expect(one?.textContent).toContain('Attic:');
    expect(two?.textContent).toContain('You:');
    expect(two?.textContent).toContain(i18n.time(at));
    expect(two?.textContent).toContain('Delivered');
    expect(three?.textContent).toContain('Not there yet');
    expect(screen.getAllByRole('listitem').filter((each) => each.classList.contains('day'))).toHaveLength(2);
  });

  it('are text, never markup, with nothing hidden', async () => {
    await open([said({ text: HOSTILE })]);
    await waitFor(() => expect(words()).toEqual([HOSTILE.replaceAll('\u202e', '\ufffd').replaceAll('\u0000', '\ufffd')]));
    expect(screen.getByTestId('talk').querySelector('img, script')).toBeNull();
    expect((globalThis as { hacked?: number }).hacked).toBeUndefined();
  });

  it('survive a clock that is out of its mind', async () => {
    await open([said({ text: 'early', sent_at: 0 }), said({ text: 'late', sent_at: 18_446_744_073_709_552_000 })]);
    await waitFor(() => expect(words()).toEqual(['early', 'late']));
  });

  it('link to the web alone, through the window, and say where they lead', async () => {
    const { node, user } = await open([said({ text: 'https://example.org/a javascript:alert(1) file:///etc/passwd data:text/html,x https://b\u00fccher.example/' })]);
    const links = await screen.findAllByTestId<HTMLAnchorElement>('text-link');
    expect(links.map((link) => link.textContent)).toEqual(['https://example.org/a', 'https://b\u00fccher.example/']);
    expect(screen.getByTestId('text-words').textContent).toContain('leads to xn--bcher-kva.example');
    for (const link of links) {
      let left = true;
      const watch = (event: Event) => (left = !event.defaultPrevented);
      window.addEventListener('click', watch, { once: true });
      await user.click(link);
      // The page itself does not navigate.
      expect(left).toBe(false);
    }
    expect(asked(node, 'open_link').map((call) => call.url)).toEqual(['https://example.org/a', 'https://xn--bcher-kva.example/']);
    node.refuse.set('open_link', apiError('browser', 'no browser could be opened', 'Copy it.'));
    if (links[0]) await user.click(links[0]);
    expect((await screen.findByTestId('toast')).dataset['code']).toBe('browser');
  });

  it('are copied whole, as they came', async () => {
    const { node, user } = await open([said({ text: 'a\n\tb \u202e' })]);
    await user.click(await screen.findByTestId('text-copy'));
    await waitFor(() => expect(node.clipboard).toBe('a\n\tb \u202e'));
  });

  it('are folded if they are long', async () => {
    const { user } = await open([said({ text: 'word '.repeat(1000) })]);
    await waitFor(() => expect(words()[0]?.length).toBeLessThan(1300));
    await user.click(screen.getByTestId('text-more'));
    expect(words()[0]).toBe('word '.repeat(1000));
    await user.click(screen.getByTestId('text-more'));
    expect(words()[0]?.length).toBeLessThan(1300);
  });

  it('are seen when they are looked at, and not before', async () => {
    focused = false;
    const { node } = await open([said()]);
    await waitFor(() => expect(words()).toHaveLength(1));
    expect(asked(node, 'messages_seen')).toEqual([]);
    expect(document.title).toBe('(1) Yonder');
    focused = true;
    window.dispatchEvent(new Event('focus'));
    await waitFor(() => expect(asked(node, 'messages_seen')).toEqual([{ cmd: 'messages_seen', device: 'dev-a' }]));
    expect(document.title).toBe('Yonder');
    // The next text arrives in view. It counts as seen as well, and is announced.
    node.putText(said({ text: 'and this' }));
    await waitFor(() => expect(asked(node, 'messages_seen')).toHaveLength(2));
    expect(screen.getByText('Attic: and this')).toBeTruthy();
    expect(node.state.unread).toEqual([]);
  });

  it('come page by page', async () => {
    const { node, user } = await open(Array.from({ length: 120 }, (_, n) => said({ text: `t${n}` })));
    await waitFor(() => expect(words()).toHaveLength(50));
    expect(words().at(-1)).toBe('t119');
    await user.click(screen.getByTestId('talk-older'));
    await waitFor(() => expect(words()).toHaveLength(100));
    await user.click(screen.getByTestId('talk-older'));
    await waitFor(() => expect(words()).toHaveLength(120));
    expect(words()[0]).toBe('t0');
    expect(screen.queryByTestId('talk-older')).toBeNull();
    expect(asked(node, 'messages').map((call) => call.before)).toHaveLength(3);
  });

  it('lack none after events were lost', async () => {
    const { node } = await open([said({ text: 'one' })]);
    await waitFor(() => expect(words()).toEqual(['one']));
    node.state.texts.push(said({ text: 'two' }));
    node.lose();
    node.putText(said({ text: 'three' }));
    await waitFor(() => expect(words()).toEqual(['one', 'two', 'three']));
  });

  it('say so where there are none', async () => {
    await open();
    expect(await screen.findByText('Nothing said yet')).toBeTruthy();
  });
});

describe('a text', () => {
  it('is sent by Enter, and Shift+Enter begins a line', async () => {
    const { node, user, field } = await open();
    await waitFor(() => expect(document.activeElement).toBe(field));
    await user.keyboard('one{Shift>}{Enter}{/Shift}two{Enter}');
    await waitFor(() => expect(asked(node, 'send_text')).toEqual([{ cmd: 'send_text', device: 'dev-a', text: 'one\ntwo' }]));
    await waitFor(() => expect(field.value).toBe(''));
    expect(words()).toEqual(['one\ntwo']);
    const [sent] = node.state.texts;
    if (sent) node.putText({ ...sent, state: 'delivered' });
    await waitFor(() => expect(screen.getByTestId('text-state').textContent).toBe('Delivered'));
    expect(screen.getAllByTestId('text')).toHaveLength(1);
    await user.keyboard('   {Enter}');
    expect(asked(node, 'send_text')).toHaveLength(1);
  });

  it('stays in the field if it is refused, with the reason', async () => {
    const { node, user, field } = await open();
    node.refuse.set('send_text', apiError('text_queue_full', '200 texts wait for this device already', 'Send the rest then.'));
    await user.type(field, 'hello{Enter}');
    const note = await screen.findByTestId('talk-error');
    expect(note.textContent).toContain('200 texts wait for this device already');
    expect(note.textContent).toContain('Send the rest then.');
    expect(field.value).toBe('hello');
    await user.type(field, '{Enter}');
    await waitFor(() => expect(screen.queryByTestId('talk-error')).toBeNull());
    expect(words()).toEqual(['hello']);
  });

  it('is counted in bytes, and not sent if it is too long', async () => {
    const { node, user, field } = await open();
    await user.click(field);
    await user.paste('\u00e4'.repeat(14 * 1024));
    await waitFor(() => expect(screen.getByTestId('talk-count').textContent).toContain('left'));
    await user.paste('\u00e4'.repeat(2 * 1024));
    await waitFor(() => expect(screen.getByTestId('talk-count').textContent).toContain('Too long by 2.05'));
    expect(screen.getByTestId<HTMLButtonElement>('talk-send').disabled).toBe(true);
    await user.keyboard('{Enter}');
    expect(asked(node, 'send_text')).toHaveLength(0);
  });

  it('waits for a device that is away, and says so', async () => {
    const { user, field } = await open([], { state: 'offline', path: null, rtt_ms: null });
    expect(screen.getByTestId('talk-away').textContent).toContain('Attic is away. What you write waits here and arrives by itself.');
    await user.type(field, 'later{Enter}');
    await waitFor(() => expect(screen.getByTestId('text-state').textContent).toBe('Waits until it is there'));
  });

  it('that was begun is there again', async () => {
    const { user, field } = await open([], {});
    await user.type(field, 'half a th');
    await user.keyboard('{Escape}');
    expect(screen.queryByTestId('talk')).toBeNull();
    await waitFor(() => expect(document.activeElement).toBe(screen.getByTestId('device-texts')));
    await user.keyboard('{Enter}');
    expect((await screen.findByTestId<HTMLTextAreaElement>('talk-input')).value).toBe('half a th');
  });

  it('cannot be written to a blocked device', async () => {
    const { node } = await open([said()]);
    const [device] = node.state.devices;
    if (device) node.putDevice({ ...device, trust: 'blocked', state: 'offline' });
    await screen.findByText('Attic is blocked. Unblock it to write to it.');
    expect(screen.queryByTestId('talk-input')).toBeNull();
  });
});

describe('the conversation', () => {
  it('opens from the details, and from a notification over whatever is open', async () => {
    const { node, user } = await page({ devices: [someDevice({ device_id: 'dev-a', name: 'Attic' }), someDevice({ device_id: 'dev-b', name: 'Barn' })] });
    await user.click(within(card('Attic')).getByTestId('device-open'));
    await user.click(await screen.findByTestId('device-talk'));
    expect((await screen.findByTestId('talk')).dataset['deviceId']).toBe('dev-a');
    expect(screen.queryByRole('dialog')).toBeNull();
    await user.click(screen.getByTestId('talk-details'));
    await screen.findByRole('dialog');
    node.tellShell({ event: 'show_texts', device: 'dev-b' });
    await waitFor(() => expect(screen.getByTestId('talk').dataset['deviceId']).toBe('dev-b'));
    expect(screen.queryByRole('dialog')).toBeNull();
  });

  it('leaves with the device', async () => {
    const { node } = await open([said()]);
    node.dropDevice('dev-a');
    await waitFor(() => expect(screen.queryByTestId('talk')).toBeNull());
    expect(document.title).toBe('Yonder');
  });

  it('speaks German', async () => {
    i18n.language = 'de';
    await open([], { state: 'offline' });
    expect(screen.getByTestId('talk').textContent).toContain('Attic ist fort.');
    expect(screen.getByLabelText('Text an Attic')).toBeTruthy();
  });
});
