// The interface between the page and the node. `tauri.ts` implements it in the window, `fake.ts` in tests and a plain browser.

import type { ApiError, NumberedEvent, Request, Response, ShellEvent, ShellRequest, ShellResponse } from './bindings';

/** Ends a subscription. */
export type Unlisten = () => void;

/** The node, and the shell around the page. All calls reject with an `ApiError`. */
export interface Backend {
  call(request: Request): Promise<Response>;
  shell(request: ShellRequest): Promise<ShellResponse>;
  /** Reads the pairing link in a pasted picture. `bytes` are those of its file. */
  picture(bytes: Uint8Array): Promise<ShellResponse>;
  /** Resolves once every later event will be heard. */
  onEvent(listener: (event: NumberedEvent) => void): Promise<Unlisten>;
  /** Resolves once every later event will be heard. */
  onShellEvent(listener: (event: ShellEvent) => void): Promise<Unlisten>;
}

/** The kind of answer to each request. */
type Answers = typeof expected;

type Value<K extends Response['kind']> = Extract<Response, { kind: K }> extends { value: infer V } ? V : null;

/** Asks the node and unwraps the answer, typed by the command. Any other answer is an error. */
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
  return { code: 'internal', message, hint: '', args: { detail: message } };
}

/** Converts whatever was thrown into an `ApiError`. Tauri itself rejects with strings when it refuses a call. */
export function toApiError(thrown: unknown): ApiError {
  if (typeof thrown === 'object' && thrown !== null && 'code' in thrown && 'message' in thrown) {
    const { code, message, hint, args } = thrown as Partial<ApiError>;
    const error = { code: String(code), message: String(message), hint: typeof hint === 'string' ? hint : '' };
    return typeof args === 'object' && args !== null ? { ...error, args } : error;
  }
  return fault(thrown instanceof Error ? thrown.message : String(thrown));
}
