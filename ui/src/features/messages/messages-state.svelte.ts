// The messages feature: the conversation that is shown, and the drafts of the others.

import { createContext } from 'svelte';
import { ask } from '../../backend/backend';
import type { MessageView } from '../../backend/bindings';
import { i18n } from '../../i18n/index.svelte';
import type { AppContext } from '../../common/context';
import { visible } from '../../common/text/visible';
import { ConversationState } from './conversation-state.svelte';

export class MessagesState {
  /** The conversation that is shown, or was last. */
  conversation = $state.raw<ConversationState | null>(null);

  readonly #app: AppContext;
  /** What was written to other devices and not sent. */
  readonly #drafts = new Map<string, string>();

  constructor(app: AppContext) {
    this.#app = app;
  }

  /** Opens the conversation with a device. */
  open(device: string): void {
    if (this.conversation?.device === device) return;
    if (this.conversation) this.#drafts.set(this.conversation.device, this.conversation.draft);
    this.conversation = new ConversationState(this.#app.backend, device, this.#drafts.get(device));
    if (this.#app.node.phase === 'ready') void this.conversation.load();
  }

  /** Marks the texts of a device as seen. */
  seen(device: string): void {
    const { backend, node } = this.#app;
    if (!node.unread.get(device)) return;
    node.unread.delete(device);
    // If this fails, the texts only count as unseen again after the next start.
    ask(backend, { cmd: 'messages_seen', device }).catch(() => {});
  }

  /** Takes in a text, and announces one that has arrived. */
  take(message: MessageView): void {
    const here = this.conversation?.device === message.device_id;
    if (here) this.conversation?.add(message);
    if (message.state !== 'received') return;
    const name = visible(this.#app.node.devices.get(message.device_id)?.name ?? '');
    const shown = here && this.#app.page === 'conversation';
    this.#app.announce(shown ? i18n.t.messages.says(name, visible(message.text.slice(0, 500))) : i18n.t.messages.arrived(name));
  }
}

export const [getMessages, setMessages] = createContext<MessagesState>();
