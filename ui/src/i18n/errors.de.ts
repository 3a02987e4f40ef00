// The core's errors in German, by code. Names that the English sentence carries stand beside it in the window anyway.

export const germanErrors: Record<string, { message: string; hint: string }> = {
  connection_failed: {
    message: 'Es kam keine Verbindung zustande.',
    hint: 'Läuft Yonder auf dem anderen Gerät, und sind beide im selben Netzwerk? Eine Firewall könnte UDP sperren.',
  },
  connection_timeout: {
    message: 'Das andere Gerät hat nicht rechtzeitig geantwortet.',
    hint: 'Läuft Yonder auf dem anderen Gerät, und sind beide im selben Netzwerk? Eine Firewall könnte UDP sperren.',
  },
  connection_lost: {
    message: 'Die Verbindung zum anderen Gerät ging verloren.',
    hint: 'Prüfe das Netzwerk und versuche es dann noch einmal.',
  },
  unknown_protocol: { message: 'Die beiden Geräte sprechen nicht dasselbe Protokoll.', hint: 'Aktualisiere Yonder auf beiden Geräten.' },
  protocol_violation: { message: 'Das andere Gerät hat sich nicht an das Protokoll gehalten.', hint: 'Aktualisiere Yonder auf beiden Geräten.' },
  invalid_signature: {
    message: 'Eine Unterschrift des anderen Geräts ist ungültig.',
    hint: 'Jemand könnte die Verbindung stören. Geschieht es wieder, entkopple beide Geräte und kopple sie neu.',
  },
  decryption_failed: {
    message: 'Eine Nachricht ließ sich nicht entschlüsseln.',
    hint: 'Jemand könnte die Verbindung stören. Geschieht es wieder, entkopple beide Geräte und kopple sie neu.',
  },
  device_not_paired: { message: 'Das Gerät ist nicht mit diesem gekoppelt.', hint: 'Kopple zuerst die beiden Geräte.' },
  device_unknown: { message: 'Ein solches Gerät ist nicht bekannt.', hint: '' },
  device_offline: {
    message: 'Das Gerät ist gerade nicht erreichbar.',
    hint: 'Läuft Yonder auf dem anderen Gerät, und sind beide im selben Netzwerk? Eine Firewall könnte UDP sperren.',
  },
  checksum_mismatch: {
    message: 'Der Inhalt einer Datei ist nicht, was gesendet wurde.',
    hint: 'Die Datei könnte sich währenddessen geändert haben. Sende sie noch einmal.',
  },
  refused: { message: 'Die andere Seite hat abgelehnt.', hint: '' },
  refused_not_paired: {
    message: 'Das andere Gerät hat abgelehnt: Es ist mit diesem nicht gekoppelt.',
    hint: 'Entkopple es auch hier und kopple beide Geräte neu.',
  },
  shutting_down: { message: 'Dieses Gerät wird beendet.', hint: '' },
};
