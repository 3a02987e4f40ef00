import type { PairingNote } from '../../backend/bindings';

/** What is said beside a pairing with a code of five words. */
export const pairingNotes: Record<PairingNote, string> = {
  no_relay_yet: 'Looking for a relay. Until there is one, the words work on this network alone.',
  publishing: 'Making this device findable on the internet…',
  findable: 'The words work on this network and across the internet.',
  publish_failing: 'No server answers at which this device could be found. The words work on this network; still trying the rest.',
  looking: 'Looking on this network and on the internet…',
  no_look_up_server: 'No server answers at which the code could be looked up. Still trying…',
  found_connecting: 'Found a device on the internet. Connecting through its relay…',
};
