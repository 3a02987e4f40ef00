// German for the sentences that the core shows while a code of five words is shown or entered. The key is the core's English
// sentence, because the core sends no code for them.

export const pairingNotes: Record<string, string> = {
  'Looking for a relay. Until there is one, the words work on this network alone.': 'Ein Relay wird gesucht. Bis es eines gibt, gelten die Wörter nur in diesem Netzwerk.',
  'Making this device findable on the internet…': 'Dieses Gerät wird im Internet auffindbar gemacht …',
  'The words work on this network and across the internet.': 'Die Wörter gelten in diesem Netzwerk und über das Internet.',
  'No server answers at which this device could be found. The words work on this network; still trying the rest.':
    'Kein Server antwortet, bei dem dieses Gerät zu finden wäre. Die Wörter gelten in diesem Netzwerk; alles Weitere wird noch versucht.',
  'Looking on this network and on the internet…': 'Es wird in diesem Netzwerk und im Internet gesucht …',
  'No server answers at which the code could be looked up. Still trying…': 'Kein Server antwortet, bei dem der Code nachzuschlagen wäre. Es wird weiter versucht …',
  'Found a device on the internet. Connecting through its relay…': 'Ein Gerät ist im Internet gefunden. Verbindung über sein Relay …',
};
