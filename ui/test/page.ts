// Draws the whole page over a fake node, for tests.

import { render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import App from '../src/app/App.svelte';
import { FakeNode, type FakeState } from '../src/backend/fake';
import type { Request, ShellRequest } from '../src/backend/bindings';

export async function page(state: Partial<FakeState> = {}, prepare: (node: FakeNode) => void = () => {}) {
  const node = new FakeNode(state);
  prepare(node);
  const view = render(App, { backend: node });
  await waitFor(() => {
    if (screen.getByTestId('app').dataset['ready'] !== 'true') throw new Error('no snapshot yet');
  });
  return { node, view, user: userEvent.setup() };
}

/** Returns the requests with this command, in order. */
export function asked<C extends (Request | ShellRequest)['cmd']>(node: FakeNode, cmd: C) {
  return node.calls.filter((call): call is Extract<Request | ShellRequest, { cmd: C }> => call.cmd === cmd);
}

export function card(name: string): HTMLElement {
  return screen.getByRole('article', { name });
}

export { screen, waitFor, within };
