// Stable names in arguments of errors and checks, in German. They are clauses within a sentence.

export const terms: Record<string, string> = {
  // Errors of the system.
  not_found: 'das gibt es nicht',
  permission_denied: 'das Recht dazu fehlt',
  already_exists: 'das gibt es schon',
  not_a_folder: 'das ist kein Ordner',
  is_a_folder: 'das ist ein Ordner',
  folder_not_empty: 'der Ordner ist nicht leer',
  read_only: 'das Dateisystem lässt sich nur lesen',
  disk_full: 'die Platte ist voll',
  quota_exceeded: 'das Kontingent auf der Platte ist erschöpft',
  file_too_large: 'die Datei ist zu groß',
  in_use: 'ein anderes Programm benutzt es gerade',
  other_disk: 'es liegt auf einer anderen Platte',
  too_many_links: 'es hat zu viele Verweise',
  name_not_possible: 'der Name ist hier nicht möglich',
  not_supported: 'das System kann das nicht',
  ended_early: 'das Ende fehlt',
  out_of_memory: 'der Speicher reicht nicht',
  stale_handle: 'das Netzlaufwerk kennt die Datei nicht mehr',
  timed_out: 'es kam keine Antwort',
  connection_refused: 'die Verbindung wurde abgelehnt',
  connection_lost: 'die Verbindung ging verloren',
  address_in_use: 'ein anderes Programm belegt ihn',
  address_not_here: 'die Adresse gehört nicht zu diesem Gerät',
  network_down: 'das Netzwerk ist aus',
  unreachable: 'dorthin führt kein Weg',
  disk_failed: 'die Platte meldet einen Fehler',
  no_device: 'das Gerät ist nicht da',
  too_many_open_files: 'es sind so viele Dateien offen, wie das System zulässt',

  // Places of the secret.
  keychain: 'Schlüsselbund',
  file: 'verschlüsselte Datei',
  plain: 'unverschlüsselte Datei',

  // Folders into which no rule may put files.
  holds_home: 'in ihm liegt das ganze Benutzerverzeichnis',
  holds_settings: 'Programme lesen daraus ihre Einstellungen',
  holds_programs: 'aus ihm werden Programme gestartet',
  of_the_system: 'er gehört zum System',
  own_data: 'in ihm liegen Yonders eigene Daten, oder er liegt darin',

  // How a device is reached, and why not otherwise.
  direct: 'direkt',
  relay: 'über ein Relay',
  mode: 'in dieser Betriebsart gibt es nur Relays',
  udp: 'dieses Netzwerk lässt kein UDP hinaus',
  router: 'der Router hier nimmt für jedes Ziel einen anderen Port',
  unknown: 'ein direkter Weg fand sich nicht; vielleicht ist der Router oder die Firewall der anderen Seite im Weg',
  lan: 'in dieser Betriebsart wird kein Server gefragt, der es anderswo fände',
};
