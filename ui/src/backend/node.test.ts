import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeNode, apiError, someDevice, someTransfer } from './fake';
import type { Response } from './bindings';
import { NodeStore, type NodeListener } from './node.svelte';

const listener = (): NodeListener => ({ notice: vi.fn(), offer: vi.fn(), ended: vi.fn(), text: vi.fn(), stuck: vi.fn(), check: vi.fn(), refreshed: vi.fn() });
const snapshots = (fake: FakeNode) => fake.calls.filter((call) => call.cmd === 'snapshot').length;

async function opened(fake = new FakeNode()) {
  const heard = listener();
  const store = new NodeStore(fake, heard);
  const close = await store.open();
  return { fake, store, heard, close };
}

/** Holds back the answers to snapshots until the gate opens. */
function holding(fake: FakeNode) {
  const gates: (() => void)[] = [];
  const call = fake.call.bind(fake);
  fake.call = async (request) => {
    // The node answers now, and the answer is on its way until the gate opens.
    const answer: Promise<Response> = call(request);
    if (request.cmd === 'snapshot') await new Promise<void>((open) => gates.push(open));
    return answer;
  };
  return gates;
}

const settle = () => new Promise((resolve) => setTimeout(resolve));

describe('events', () => {
  it('are applied in order after the snapshot', async () => {
    const { fake, store } = await opened();
    const device = someDevice({ name: 'A' });
    fake.putDevice(device);
    expect(store.devices.get(device.device_id)?.name).toBe('A');
    fake.putDevice({ ...device, name: 'B' });
    expect(store.devices.get(device.device_id)?.name).toBe('B');
    fake.dropDevice(device.device_id);
    expect(store.devices.size).toBe(0);
    expect(snapshots(fake)).toBe(1);
  });

  it('that the snapshot contains already are dropped', async () => {
    const device = someDevice({ name: 'new' });
    const fake = new FakeNode({ devices: [device] });
    fake.seq = 7;
    const { store } = await opened(fake);
    store.hear({ seq: 7, event: 'device', device: { ...device, name: 'old' } });
    store.hear({ seq: 3, event: 'device_gone', device_id: device.device_id });
    expect(store.devices.get(device.device_id)?.name).toBe('new');
    expect(snapshots(fake)).toBe(1);
  });

  it('wait while a snapshot is on its way', async () => {
    const fake = new FakeNode();
    const gates = holding(fake);
    const store = new NodeStore(fake, listener());
    const open = store.open();
    await settle();
    const device = someDevice();
    fake.putDevice(device);
    expect(store.devices.size).toBe(0);
    gates[0]?.();
    await open;
    expect(store.phase).toBe('ready');
    expect(store.devices.get(device.device_id)).toEqual(device);
  });

  it('with a gap bring a new snapshot', async () => {
    const { fake, store } = await opened();
    const missed = someDevice({ name: 'missed' });
    fake.state.devices = [missed];
    fake.lose();
    const seen = someDevice({ name: 'seen' });
    fake.putDevice(seen);
    await vi.waitFor(() => expect(store.devices.size).toBe(2));
    expect(snapshots(fake)).toBe(2);
    // Later events are applied again.
    fake.dropDevice(seen.device_id);
    expect(store.devices.size).toBe(1);
    expect(snapshots(fake)).toBe(2);
  });

  it('of a node that began anew are not taken for old ones', async () => {
    const { fake, store } = await opened();
    for (let n = 0; n < 5; n += 1) fake.putDevice(someDevice());
    fake.seq = 0;
    fake.state.devices = [];
    store.started();
    await vi.waitFor(() => expect(store.devices.size).toBe(0));
    fake.putDevice(someDevice());
    expect(store.devices.size).toBe(1);
  });

  it('an older snapshot that comes late is dropped', async () => {
    const fake = new FakeNode();
    const gates = holding(fake);
    const store = new NodeStore(fake, listener());
    void store.open();
    await settle();
    const device = someDevice();
    fake.putDevice(device);
    store.started();
    await settle();
    gates[1]?.();
    await vi.waitFor(() => expect(store.devices.size).toBe(1));
    gates[0]?.();
    await settle();
    expect(store.devices.size).toBe(1);
  });
});

describe('start', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('waits for the core', async () => {
    const fake = new FakeNode({}, false);
    const { store } = await opened(fake);
    await fake.onShellEvent((event) => event.event === 'started' && store.started());
    expect(store.phase).toBe('starting');
    fake.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(store.phase).toBe('ready');
  });

  it('asks again by itself, should the word be missed', async () => {
    const fake = new FakeNode({}, false);
    const { store } = await opened(fake);
    fake.up = true;
    await vi.advanceTimersByTimeAsync(999);
    expect(store.phase).toBe('starting');
    await vi.advanceTimersByTimeAsync(2);
    expect(store.phase).toBe('ready');
  });

  it('that fails in another way is told, and forgiven', async () => {
    const fake = new FakeNode();
    fake.refuse.set('snapshot', apiError('storage_corrupt', 'the store is damaged', 'Check the disk.'));
    const { store } = await opened(fake);
    expect(store.phase).toBe('failed');
    expect(store.startError?.code).toBe('storage_corrupt');
    await vi.advanceTimersByTimeAsync(1001);
    expect(store.phase).toBe('ready');
    expect(store.startError).toBeNull();
  });

  it('stops asking once closed', async () => {
    const fake = new FakeNode({}, false);
    const { close } = await opened(fake);
    close();
    await vi.advanceTimersByTimeAsync(5000);
    expect(snapshots(fake)).toBe(1);
  });
});

describe('people hear', () => {
  it('of offers, notices, and of ends that they saw coming', async () => {
    const { fake, heard } = await opened();
    fake.putTransfer(someTransfer({ direction: 'receive', state: 'offered' }));
    expect(heard.offer).toHaveBeenCalledOnce();
    fake.emit({ event: 'notice', error: apiError('disk_full', 'full') });
    expect(heard.notice).toHaveBeenCalledOnce();
    const transfer = someTransfer();
    fake.putTransfer(transfer);
    fake.putTransfer({ ...transfer, state: 'done' });
    fake.putTransfer({ ...transfer, state: 'done' });
    expect(heard.ended).toHaveBeenCalledOnce();
  });
});

it('sorts transfers into offers, running and ended, newest first', async () => {
  const at = (started: number, over: Parameters<typeof someTransfer>[0]) => someTransfer({ started, ...over });
  const fake = new FakeNode({
    transfers: [
      at(1, { roots: ['old'], state: 'done' }),
      at(5, { roots: ['new'], state: 'failed' }),
      at(2, { roots: ['sent offer'], direction: 'send', state: 'offered' }),
      at(3, { roots: ['offer'], direction: 'receive', state: 'offered' }),
      at(4, { roots: ['runs'], state: 'waiting' }),
    ],
  });
  const { store } = await opened(fake);
  const names = (list: readonly { roots: string[] }[]) => list.map((t) => t.roots[0]);
  expect(names(store.offers)).toEqual(['offer']);
  expect(names(store.running)).toEqual(['runs', 'sent offer']);
  expect(names(store.ended)).toEqual(['new', 'old']);
});
