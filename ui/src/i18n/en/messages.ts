// English texts of messages.

import { format } from './count';

export const messages = {
  messages: {
    open: 'Texts…',
    button: 'Texts',
    with: (name: string) => `Texts with ${name}`,
    withNew: (name: string, n: number) => `Texts with ${name}, ${format(n)} new`,
    emptyTitle: 'Nothing said yet',
    empty: (name: string) => `Write something, or paste a link. Only ${name} can read it.`,
    older: 'Show earlier ones',
    loading: 'Fetching texts…',
    input: (name: string) => `Text to ${name}`,
    placeholder: 'Write a text',
    keys: 'Enter sends, Shift+Enter begins a new line',
    send: 'Send',
    left: (bytes: string) => `${bytes} left`,
    tooLong: (bytes: string) => `Too long by ${bytes}. Send it in parts, or as a file.`,
    waits: (name: string) => `${name} is away. What you write waits here and arrives by itself.`,
    blocked: (name: string) => `${name} is blocked. Unblock it to write to it.`,
    own: 'You',
    state: { queued: 'Not there yet', delivered: 'Delivered', received: 'Received' },
    queuedAway: 'Waits until it is there',
    copy: 'Copy this text',
    copied: 'Text copied',
    all: 'Show all of it',
    fewer: 'Show less',
    link: (host: string) => `Opens ${host} in the browser`,
    host: (host: string) => `leads to ${host}`,
    latest: 'Newest',
    arrived: (name: string) => `A text of ${name} has arrived.`,
    says: (name: string, text: string) => `${name}: ${text}`,
  },
};
