// Describes a transfer in words.

import type { TransferView } from '../../backend/bindings';
import { i18n } from '../../i18n/index.svelte';
import { visible } from '../../common/text/visible';

/** Names what a transfer carries, in one line. */
export function transferTitle(transfer: TransferView): string {
  const [first] = transfer.roots;
  if (first === undefined) return i18n.t.transfers.nothing;
  const more = transfer.root_count - 1;
  return more > 0 ? i18n.t.list.and(visible(first), more) : visible(first);
}

/** Says why a transfer is paused, and what a person can do about it. */
export function pauseReason(transfer: TransferView): { message: string; hint: string } {
  const { transfers: t } = i18n.t;
  const name = visible(transfer.device_name);
  const here = transfer.direction === 'receive';
  switch (transfer.reason?.code ?? 'paused_here') {
    case 'paused_here':
      return { message: t.pausedHere, hint: '' };
    case 'paused_there':
      return { message: t.pausedThere(name), hint: t.pausedThereHint };
    case 'disk_full':
      return here ? { message: t.fullHere, hint: t.fullHereHint } : { message: t.fullThere(name), hint: t.fullThereHint };
    case 'source_gone':
      return { message: t.sourceGone, hint: t.sourceGoneHint };
    default:
      return transfer.reason ? i18n.error(transfer.reason) : { message: t.state.paused, hint: '' };
  }
}
