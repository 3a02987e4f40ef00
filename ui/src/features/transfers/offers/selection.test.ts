import { describe, expect, it } from 'vitest';
import { FakeNode, apiError, someTransfer } from '../../../backend/fake';
import { Manifest } from '../../../backend/fake-transfers';
import { MAX_CHOSEN, Selection } from './selection.svelte';

// Indices: 0 Trip, 1 Day, 2 a.jpg, 3 b.jpg, 4 map, 5 notes.
const TRIP = { 'Trip/Day/a.jpg': 10, 'Trip/Day/b.jpg': 20, 'Trip/map': 30, notes: 40 };

function made(files: Record<string, number>) {
  const manifest = new Manifest(files);
  const offer = someTransfer({ direction: 'receive', state: 'offered', ...manifest.view });
  const node = new FakeNode({ transfers: [offer] });
  node.manifests.set(offer.id, manifest);
  const asked = () => node.calls.filter((call) => call.cmd === 'offer_entries');
  return { node, asked, selection: new Selection(node, offer) };
}

describe('what is chosen of an offer', () => {
  it('is everything at first, and nothing has to be looked at for that', async () => {
    const { selection, asked } = made(TRIP);
    expect(selection.choice(null)).toBe('all');
    expect(selection.sum).toEqual({ files: 4, size: 100 });
    expect(await selection.only()).toBeNull();
    expect(asked()).toHaveLength(0);
  });

  it('a folder stands for all that is in it, seen or not', async () => {
    const { selection, asked } = made(TRIP);
    await selection.more(null);
    selection.mark(0, false);
    expect(selection.sum).toEqual({ files: 1, size: 40 });
    expect(await selection.only()).toEqual([4 + 1]);
    expect(asked()).toHaveLength(1);
  });

  it('half of a folder is half checked, all the way up, and named by its parts', async () => {
    const { selection } = made(TRIP);
    for (const folder of [null, 0, 1]) await selection.more(folder);
    selection.mark(2, false);
    expect([null, 0, 1, 2, 3].map((each) => selection.choice(each))).toEqual(['some', 'some', 'some', 'none', 'all']);
    expect(selection.sum).toEqual({ files: 3, size: 90 });
    expect(await selection.only()).toEqual([3, 4, 5]);
    selection.mark(2, true);
    expect(selection.choice(null)).toBe('all');
    expect(await selection.only()).toBeNull();
  });

  it('all parts of a folder, one by one, are the folder', async () => {
    const { selection } = made(TRIP);
    for (const folder of [null, 0, 1]) await selection.more(folder);
    selection.mark(null, false);
    expect(selection.choice(null)).toBe('none');
    expect(await selection.only()).toEqual([]);
    selection.mark(2, true);
    selection.mark(3, true);
    expect([selection.choice(1), selection.choice(0)]).toEqual(['all', 'some']);
    expect(await selection.only()).toEqual([1]);
    expect(selection.sum).toEqual({ files: 2, size: 30 });
  });

  it('what is said of a folder holds for what was said of its parts before', async () => {
    const { selection } = made(TRIP);
    for (const folder of [null, 0, 1]) await selection.more(folder);
    selection.mark(2, false);
    selection.mark(0, true);
    expect(selection.choice(2)).toBe('all');
    selection.mark(0, false);
    expect([selection.choice(1), selection.choice(4)]).toEqual(['none', 'none']);
  });

  it('of a folder of which a page was seen, the rest is asked for and named', async () => {
    const { selection, asked } = made(Object.fromEntries(Array.from({ length: 2500 }, (_, n) => [`All/${n}`, 1])));
    await selection.more(null);
    await selection.more(0);
    expect(selection.listing(0)).toMatchObject({ total: 2500 });
    expect(selection.listing(0).entries).toHaveLength(200);
    selection.mark(1, false);
    expect(selection.sum).toEqual({ files: 2499, size: 2499 });
    const only = await selection.only();
    expect(only).toHaveLength(2499);
    expect(only).not.toContain(1);
    // One request for the top, one for a page of 200, and three for a thousand each.
    expect(asked()).toHaveLength(5);
  });

  it('more single files than an answer can name are refused before they are asked for', async () => {
    const { selection, asked } = made(Object.fromEntries(Array.from({ length: MAX_CHOSEN + 2 }, (_, n) => [`All/${n}`, 1])));
    await selection.more(null);
    await selection.more(0);
    selection.mark(1, false);
    await expect(selection.only()).rejects.toMatchObject({ code: 'selection_too_large' });
    expect(asked()).toHaveLength(2);
  });

  it('says why a folder cannot be had, and tries again', async () => {
    const { node, selection } = made(TRIP);
    node.refuse.set('offer_entries', apiError('transfer_not_offered', 'the offer is gone'));
    expect(await selection.more(null)).toBe(false);
    expect(selection.listing(null).error?.code).toBe('transfer_not_offered');
    expect(await selection.more(null)).toBe(true);
    expect(selection.listing(null)).toMatchObject({ error: null, total: 2 });
  });

  it('asks for a page once, however often it is wanted meanwhile', async () => {
    const { selection, asked } = made(TRIP);
    await Promise.all([selection.more(null), selection.more(null)]);
    expect(asked()).toHaveLength(1);
    expect(selection.listing(null).entries).toHaveLength(2);
  });
});
