// What the page needs of the world. The window gives it through Tauri, tests and a plain browser through a fake.

import type { ApiError, NumberedEvent, Request, Response, ShellEvent, ShellRequest, ShellResponse } from './bindings';

/** Ends a subscription. */
export type Unlisten = () => void;

/** The node and the window around the page. All calls reject with an `ApiError`. */
export interface Backend {
  call(request: Request): Promise<Response>;
  shell(request: ShellRequest): Promise<ShellResponse>;
  /** The pairing link in a picture that was pasted: the bytes of its file. */
  picture(bytes: Uint8Array): Promise<ShellResponse>;
  /** Resolves once no later event can be missed. */
  onEvent(listener: (event: NumberedEvent) => void): Promise<Unlisten>;
  /** Resolves once no later event can be missed. */
  onShellEvent(listener: (event: ShellEvent) => void): Promise<Unlisten>;
}

/** What each request is answered by. */
type Answers = typeof expected;

type Value<K extends Response['kind']> = Extract<Response, { kind: K }> extends { value: infer V } ? V : null;

/** Asks and unwraps: the answer has the type that belongs to the command, and any other answer is a fault. */
export async function ask<R extends Request>(backend: Backend, request: R): Promise<Value<Answers[R['cmd']]>> {
  const response = await backend.call(request);
  if (response.kind !== expected[request.cmd]) {
    throw fault(`unexpected answer to ${request.cmd}: ${response.kind}`);
  }
  return ('value' in response ? response.value : null) as Value<Answers[R['cmd']]>;
}

const expected = {
  snapshot: 'snapshot',
  identity: 'identity',
  devices: 'devices',
  pair_host: 'pairing',
  pair_join: 'pairing',
  pair_answer: 'pairing',
  pair_cancel: 'done',
  complete_word: 'words',
  unpair: 'done',
  rename: 'settings',
  settings: 'settings',
  set_setting: 'settings',
  survey: 'survey',
  send: 'transfer',
  transfers: 'transfers',
  transfer: 'transfer',
  offer_entries: 'offer_entries',
  pause: 'transfer',
  resume: 'transfer',
  retry: 'transfer',
  reorder: 'transfers',
  limit: 'transfer',
  accept: 'transfer',
  decline: 'transfer',
  cancel: 'transfer',
  forget: 'done',
  ping: 'ping',
  block: 'done',
  unblock: 'done',
  trust: 'devices',
  take_name: 'devices',
  rotate_secret: 'done',
  keystore: 'keystore',
  keystore_move: 'keystore',
  keystore_rotate: 'done',
  keystore_backup: 'backup',
  send_text: 'message',
  messages: 'messages',
  messages_seen: 'done',
  doctor: 'doctor',
  relays: 'relays',
  set_relay_token: 'settings',
} as const satisfies Record<Request['cmd'], Response['kind']>;

function fault(message: string): ApiError {
  return { code: 'internal', message, hint: '' };
}

/** Whatever was thrown, as an `ApiError`: Tauri itself rejects with strings when it refuses a call. */
export function toApiError(thrown: unknown): ApiError {
  if (typeof thrown === 'object' && thrown !== null && 'code' in thrown && 'message' in thrown) {
    const { code, message, hint } = thrown as Partial<ApiError>;
    return { code: String(code), message: String(message), hint: typeof hint === 'string' ? hint : '' };
  }
  return fault(thrown instanceof Error ? thrown.message : String(thrown));
}
