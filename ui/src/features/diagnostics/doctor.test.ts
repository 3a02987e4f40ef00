import { describe, expect, it } from 'vitest';
import { asked, card, page, screen, waitFor, within } from '../../../test/page';
import { i18n } from '../../i18n/index.svelte';
import { apiError, someCheck, someDevice, type FakeNode } from '../../backend/fake';

const BLOCKED = someCheck({
  name: 'firewall',
  status: 'failed',
  code: 'firewall_blocks_udp',
  detail: 'A firewall on this machine (ufw) drops what comes in on UDP port 11204.',
  hint: 'Let it in: `sudo ufw allow 11204/udp`. See the check `udp`.',
});

async function visit(prepare: (node: FakeNode) => void = () => {}) {
  const made = await page({ devices: [someDevice({ device_id: 'dev-a', name: 'Attic', state: 'offline', path: null })] }, prepare);
  await made.user.click(screen.getByTestId('settings-open'));
  await made.user.click(screen.getByTestId('settings-doctor'));
  await screen.findByTestId('doctor');
  return made;
}

const names = () => screen.queryAllByTestId('doctor-check').map((each) => each.dataset['name']);

describe('the doctor', () => {
  it('shows each check while the others go on, and the worst first', async () => {
    let finish = () => {};
    const { node } = await visit((fake) => {
      fake.checks = [someCheck(), BLOCKED];
      fake.finish = new Promise((resolve) => (finish = resolve));
    });
    await waitFor(() => expect(names()).toEqual(['firewall', 'port']));
    expect(screen.getByTestId('doctor').dataset['running']).toBe('true');
    expect(screen.queryByTestId('doctor-copy')).toBeNull();
    finish();
    await waitFor(() => expect(screen.getByTestId('doctor-verdict').textContent).toBe('Something is in the way. What to do stands with it.'));
    expect(asked(node, 'doctor')).toEqual([{ cmd: 'doctor', device: null }]);
    const [firewall, port] = screen.getAllByTestId('doctor-check');
    expect(firewall?.textContent).toContain('In the way:');
    expect(firewall?.textContent).toContain('A firewall on this machine (ufw) drops');
    expect(port?.textContent).toContain('UDP port');
  });

  it('has commands that can be copied, and a report', async () => {
    const { node, user } = await visit((fake) => (fake.checks = [BLOCKED]));
    expect((await screen.findAllByTestId('command')).map((each) => each.textContent)).toEqual(['sudo ufw allow 11204/udp']);
    await user.click(screen.getByTestId('command-copy'));
    await waitFor(() => expect(node.clipboard).toBe('sudo ufw allow 11204/udp'));
    await user.click(await screen.findByTestId('doctor-copy'));
    await waitFor(() => expect(node.clipboard).toContain('failed firewall'));
  });

  it('stops for a person who does not want to wait, and begins anew', async () => {
    const { node, user } = await visit((fake) => (fake.finish = new Promise(() => {})));
    await user.click(await screen.findByTestId('doctor-stop'));
    expect(screen.getByTestId('doctor-verdict').textContent).toContain('Stopped.');
    expect(names()).toEqual(['port']);
    // A late answer of the earlier run is dropped.
    node.emit({ event: 'doctor_check', device: null, check: BLOCKED });
    await new Promise((resolve) => setTimeout(resolve));
    expect(names()).toEqual(['port']);
    node.finish = null;
    node.checks = [someCheck(), someCheck({ name: 'clock' })];
    await user.click(screen.getByTestId('doctor-again'));
    await waitFor(() => expect(names()).toEqual(['port', 'clock']));
    await waitFor(() => expect(screen.getByTestId('doctor-verdict').textContent).toBe('Everything is as it should be.'));
  });

  it('looks at one device from its card, and comes back', async () => {
    const { node, user } = await page({ devices: [someDevice({ device_id: 'dev-a', name: 'Attic', state: 'offline', path: null })] });
    await user.click(screen.getByRole('button', { name: 'More for Attic' }));
    await user.click(screen.getByRole('menuitem', { name: 'Check connection…' }));
    expect((await screen.findByRole('heading', { name: 'Check connection: Attic' })).textContent).toContain('Attic');
    expect(asked(node, 'doctor')).toEqual([{ cmd: 'doctor', device: 'dev-a' }]);
    await user.keyboard('{Escape}');
    expect(card('Attic')).toBeTruthy();
    await user.click(within(card('Attic')).getByTestId('device-open'));
    await user.click(await screen.findByTestId('device-doctor'));
    await waitFor(() => expect(asked(node, 'doctor')).toHaveLength(2));
    expect(screen.queryByRole('dialog')).toBeNull();
  });

  it('says why it could not look', async () => {
    await visit((fake) => fake.refuse.set('doctor', apiError('internal', 'something broke', 'Report it.')));
    expect((await screen.findByTestId('doctor-error')).textContent).toContain('Something broke');
  });

  it('shows names of other people as text', async () => {
    await visit((fake) => (fake.checks = [someCheck({ name: 'device', subject: '<img src=x>\u202e', status: 'info', code: 'brand_new', detail: 'x `<b>y z</b>`', hint: 'run `<i>a b</i>`' })]));
    const check = await screen.findByTestId('doctor-check');
    expect(check.querySelector('bdi')?.textContent).toBe('<img src=x>\ufffd');
    expect(check.querySelector('img, b, i')).toBeNull();
    expect(screen.getByTestId('command').textContent).toBe('<i>a b</i>');
  });

  it('speaks German throughout, figures, commands and what is in order too', async () => {
    i18n.language = 'de';
    const firewall = { ...BLOCKED, args: { port: '11204', kind: 'ufw' } };
    const fine = someCheck({ name: 'downloads', detail: '2.5 GB are free in the download folder /d.', args: { path: '/d', free: '2500000000' } });
    const late = someCheck({ name: 'clock', status: 'failed', code: 'clock_wrong', detail: 'x', hint: 'y', args: { behind: '180', by: 'relay.example' } });
    await visit((fake) => (fake.checks = [firewall, late, fine]));
    const [blocked, clock] = await screen.findAllByTestId('doctor-check');
    expect(blocked?.textContent).toContain('was auf UDP-Port 11204 von außen kommt');
    expect(blocked?.textContent).toContain('sudo ufw allow 11204/udp');
    expect(clock?.textContent).toContain('geht 3\u00a0min nach, verglichen mit relay.example');
    expect(screen.getByTestId('doctor').textContent).not.toMatch(/firewall on this machine|Let UDP|are free/);
    expect(document.querySelector('[data-testid="doctor-check"] [lang="en"]')).toBeNull();
    expect(i18n.check(fine).message).toBe('Im Ordner für Empfangenes (/d) sind 2,50\u00a0GB frei.');
  });

  it('speaks German by code, also where a core names no figures or says something new', async () => {
    i18n.language = 'de';
    await visit((fake) => (fake.checks = [BLOCKED, someCheck({ status: 'info', code: 'brand_new', detail: 'Something new.' })]));
    const [firewall, fresh] = await screen.findAllByTestId('doctor-check');
    expect(firewall?.textContent).toContain('Eine Firewall auf diesem Gerät verwirft');
    expect(firewall?.querySelector('[lang="en"]')).toBeNull();
    expect(fresh?.textContent).toContain('brand_new');
    expect(fresh?.textContent).not.toContain('Something new.');
  });
});
