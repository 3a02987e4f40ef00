import { expect, it } from 'vitest';
import { FakeNode, someDevice, someText } from '../../backend/fake';
import { MAX_TEXT, ConversationState, textBytes } from './conversation-state.svelte';

const started = () => {
  const node = new FakeNode({ devices: [someDevice({ device_id: 'dev-a' })] });
  return { node, conversation: new ConversationState(node, 'dev-a') };
};

it('what is typed while a text is on its way is kept', async () => {
  const { conversation } = started();
  conversation.draft = 'one';
  const sent = conversation.send();
  conversation.draft = 'one and two';
  await sent;
  expect(conversation.draft).toBe(' and two');
});

it('counts bytes as the core does, and asks it nothing in vain', async () => {
  const { node, conversation } = started();
  conversation.draft = 'ä'.repeat(MAX_TEXT / 2 + 1);
  expect(textBytes(conversation.draft)).toBe(MAX_TEXT + 2);
  await conversation.send();
  expect(node.calls).toEqual([]);
});

it('an answer that is older than an event takes nothing back', () => {
  const { conversation } = started();
  const text = someText({ direction: 'send', state: 'delivered' });
  conversation.add(text);
  conversation.add({ ...text, state: 'queued' });
  expect(conversation.list.map((each) => each.state)).toEqual(['delivered']);
});

it('a page that does not join what is here takes its place', async () => {
  const { node, conversation } = started();
  node.state.texts = Array.from({ length: 10 }, () => someText({ device_id: 'dev-a' }));
  await conversation.load();
  node.state.texts.push(...Array.from({ length: 80 }, () => someText({ device_id: 'dev-a' })));
  await conversation.load();
  expect(conversation.list.map((each) => each.id)).toEqual(node.state.texts.slice(-50).map((each) => each.id));
  expect(conversation.more).toBe(true);
});
