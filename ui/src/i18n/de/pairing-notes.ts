import type { PairingNote } from '../../backend/bindings';

/** What is said beside a pairing with a code of five words, in German. */
export const pairingNotes: Record<PairingNote, string> = {
  no_relay_yet: 'Ein Relay wird gesucht. Bis es eines gibt, gelten die Wörter nur in diesem Netzwerk.',
  publishing: 'Dieses Gerät wird im Internet auffindbar gemacht …',
  findable: 'Die Wörter gelten in diesem Netzwerk und über das Internet.',
  publish_failing: 'Kein Server antwortet, bei dem dieses Gerät zu finden wäre. Die Wörter gelten in diesem Netzwerk; alles Weitere wird noch versucht.',
  looking: 'Es wird in diesem Netzwerk und im Internet gesucht …',
  no_look_up_server: 'Kein Server antwortet, bei dem der Code nachzuschlagen wäre. Es wird weiter versucht …',
  found_connecting: 'Ein Gerät ist im Internet gefunden. Verbindung über sein Relay …',
};
