// The transfers feature: selections of offers, and actions on transfers that ended.

import { createContext } from 'svelte';
import { ask, toApiError } from '../../backend/backend';
import type { TransferView } from '../../backend/bindings';
import { isFinal, isOffer } from '../../backend/node.svelte';
import { i18n } from '../../i18n/index.svelte';
import type { AppContext } from '../../common/context';
import { visible } from '../../common/text/visible';
import { Selection } from './offers/selection.svelte';

export class TransfersState {
  readonly #app: AppContext;
  /** Selections of the offers that wait, by transfer. */
  readonly #selections = new Map<string, Selection>();

  constructor(app: AppContext) {
    this.#app = app;
  }

  /** Returns what is chosen of an offer. It is kept as long as the offer waits, whatever page is shown. */
  selection(offer: TransferView): Selection {
    for (const id of this.#selections.keys()) {
      const waits = this.#app.node.transfers.get(id);
      if (!waits || !isOffer(waits)) this.#selections.delete(id);
    }
    const kept = this.#selections.get(offer.id) ?? new Selection(this.#app.backend, offer);
    this.#selections.set(offer.id, kept);
    return kept;
  }

  /**
   * Takes transfers that ended off the list. The node forgets them once the toast that can take this back has left. If the
   * window is closed before that, they are kept.
   */
  clearAway(transfers: readonly TransferView[]): void {
    const { hidden } = this.#app.node;
    const ids = transfers.filter(isFinal).map(({ id }) => id);
    for (const id of ids) hidden.add(id);
    const show = (id: string) => hidden.delete(id);
    this.#app.toasts.undoable(i18n.t.transfers.cleared(ids.length), { undo: () => ids.forEach(show), commit: () => void this.#forget(ids) });
  }

  /** Forgets one after the other. One that fails is shown again, and the rest is still forgotten. */
  async #forget(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      await this.#app.attempt(() => ask(this.#app.backend, { cmd: 'forget', id }));
      this.#app.node.hidden.delete(id);
    }
  }

  /** Opens what a transfer stored, or shows it in its folder. The page names the transfer; the shell knows the path. */
  async showStored(transfer: TransferView, cmd: 'open_stored' | 'show_in_folder'): Promise<void> {
    try {
      await this.#app.backend.shell({ cmd, id: transfer.id });
    } catch (thrown) {
      const error = toApiError(thrown);
      const nobody = error.code === 'file_manager' || error.code === 'no_program';
      this.#app.toasts.error(error, nobody && transfer.into !== null ? i18n.t.transfers.filesIn(visible(transfer.into)) : '');
    }
  }
}

export const [getTransfers, setTransfers] = createContext<TransfersState>();
