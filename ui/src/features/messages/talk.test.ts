import { expect, it } from 'vitest';
import { FakeNode, someDevice, someText } from '../../backend/fake';
import { MAX_TEXT, Talk, textBytes } from './talk.svelte';

const started = () => {
  const node = new FakeNode({ devices: [someDevice({ device_id: 'dev-a' })] });
  return { node, talk: new Talk(node, 'dev-a') };
};

it('what is typed while a text is on its way is kept', async () => {
  const { talk } = started();
  talk.draft = 'one';
  const sent = talk.send();
  talk.draft = 'one and two';
  await sent;
  expect(talk.draft).toBe(' and two');
});

it('counts bytes as the core does, and asks it nothing in vain', async () => {
  const { node, talk } = started();
  talk.draft = 'ä'.repeat(MAX_TEXT / 2 + 1);
  expect(textBytes(talk.draft)).toBe(MAX_TEXT + 2);
  await talk.send();
  expect(node.calls).toEqual([]);
});

it('an answer that is older than an event takes nothing back', () => {
  const { talk } = started();
  const text = someText({ direction: 'send', state: 'delivered' });
  talk.hear(text);
  talk.hear({ ...text, state: 'queued' });
  expect(talk.list.map((each) => each.state)).toEqual(['delivered']);
});

it('a page that does not join what is here takes its place', async () => {
  const { node, talk } = started();
  node.state.texts = Array.from({ length: 10 }, () => someText({ device_id: 'dev-a' }));
  await talk.load();
  node.state.texts.push(...Array.from({ length: 80 }, () => someText({ device_id: 'dev-a' })));
  await talk.load();
  expect(talk.list.map((each) => each.id)).toEqual(node.state.texts.slice(-50).map((each) => each.id));
  expect(talk.more).toBe(true);
});
