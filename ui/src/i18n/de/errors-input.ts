// Errors of malformed arguments and of requests that do not fit the present state, in German, by code and case.

import type { ErrorText } from '../language';

const RELAY = 'Sie sieht so aus: https://relay.example.org; mehrere trennt ein Leerzeichen.';
const PKARR = 'Sie sieht so aus: https://pkarr.example.org/pkarr';
const FOLDER = 'Gib den ganzen Pfad eines Ordners an, den es gibt.';

export const inputErrors: Record<string, ErrorText> = {
  // The network and its servers.
  'invalid_input.endpoint_address': { message: ['„{text}“ ist keine Adresse eines Geräts.', 'Das ist keine Adresse eines Geräts.'], hint: 'Sie hat die Form KENNUNG@IP:PORT.' },
  'invalid_input.no_relay': { message: 'Es sind eigene Server angegeben, aber kein Relay, und benutzt werden dürfen nur Relays.', hint: 'Gib auch `--relay` an.' },
  'invalid_input.bind_address': { message: 'Diese Adresse lässt sich nicht benutzen.', hint: 'Prüfe `--bind`.' },
  'invalid_input.relay_url': { message: ['„{text}“ ist keine Adresse eines Relays.', 'Das ist keine Adresse eines Relays.'], hint: RELAY },
  'invalid_input.relay_url_long': { message: 'Die Adresse eines Relays ist zu lang.', hint: RELAY },
  'invalid_input.relay_tls': { message: ['„{text}“ ist keine Adresse eines Relays mit TLS.', 'Das ist keine Adresse eines Relays mit TLS.'], hint: RELAY },
  'invalid_input.relay_count': { message: ['{count:number} Relays sind zu viele.', 'Das sind zu viele Relays.'], hint: ['Höchstens {most:number}.', ''] },
  'invalid_input.relay_token': { message: 'Das kann kein Zugangswort eines Relays sein.', hint: '1 bis 512 Buchstaben, Ziffern und Zeichen aus ASCII, ohne Leerzeichen.' },
  'invalid_input.pkarr_url': { message: 'Die Adresse des Nachschlageservers ist ungültig.', hint: PKARR },
  'invalid_input.dht_node': { message: ['„{text}“ ist kein Knoten der DHT.', 'Das ist kein Knoten der DHT.'], hint: 'Er hat die Form HOST:PORT, mit einem Namen oder einer IPv4-Adresse.' },
  'invalid_input.authority': { message: ['In {path} sind keine lesbaren Zertifikate.', 'Die Zertifikatsstelle lässt sich nicht lesen.'], hint: 'Es muss eine PEM-Datei mit Zertifikaten sein.' },

  // Pairing.
  'invalid_input.link_relay': { message: 'Dieser Link nennt nur ein Relay, das dieses Gerät nicht fragt.', hint: 'Fremde Relays brauchen TLS und eine öffentliche Adresse. Ist es dein eigenes, trage es auch hier in den Einstellungen ein.' },
  'invalid_input.link_without_code': { message: 'Dieser Link sagt, wo ein Gerät ist, und trägt keinen Code.', hint: 'Wähle auf dem anderen Gerät das Koppeln, und nimm den Link oder die Wörter, die es zeigt.' },
  'invalid_input.code_words': { message: ['Ein Kopplungscode kann nicht {count:number} Wörter haben.', 'So viele Wörter kann ein Kopplungscode nicht haben.'], hint: 'Drei in einem Netzwerk, fünf über das Internet.' },
  'invalid_input.paired_blocked': { message: 'Ein Gerät kann nicht gekoppelt und zugleich gesperrt werden.', hint: 'Kopple es als eigenes oder als das von jemand anderem, oder lehne es ab.' },
  'invalid_input.blocked_by_trust': { message: 'Gesperrt wird ein Gerät auf eigenem Weg.', hint: 'In seinen Einzelheiten, oder mit `yonder-cli block GERÄT`.' },

  // Settings.
  'invalid_input.no_home': { message: 'Es gibt kein Benutzerverzeichnis, in dem Dateien empfangen werden könnten.', hint: 'Setze HOME, oder wähle einen Ordner.' },
  'invalid_input.settings_unreadable': { message: 'Die Einstellungen lassen sich nicht lesen.', hint: 'Vielleicht hat eine neuere Fassung von Yonder sie geschrieben. Aktualisiere Yonder.' },
  'invalid_input.setting_unknown': { message: ['Eine Einstellung „{setting}“ gibt es nicht.', 'Eine solche Einstellung gibt es nicht.'], hint: ['Es gibt: {known}.', ''] },
  'invalid_input.setting_value': { message: ['„{value}“ ist kein Wert von „{setting}“.', 'Das ist kein Wert dieser Einstellung.'], hint: '' },
  'invalid_input.setting_number': { message: ['„{value}“ ist kein Wert von „{setting}“.', 'Das ist kein Wert dieser Einstellung.'], hint: ['Eine Zahl von {least:number} bis {most:number}.', ''] },
  'invalid_input.setting_limit': { message: ['„{value}“ ist keine Grenze.', 'Das ist keine Grenze.'], hint: ['Mindestens {least:bytes} in der Sekunde; 0 für keine Grenze.', ''] },
  'invalid_input.setting_token': { message: 'Ein Zugangswort ist geheim und wird nicht so gesetzt.', hint: 'In den Einstellungen gibt es ein eigenes Feld dafür.' },
  'invalid_input.device_name': { message: 'So kann ein Gerät nicht heißen.', hint: ['1 bis {most:number} Zeichen, die alle zu sehen sind.', ''] },
  'invalid_input.device_name_id': { message: ['„{name}“ kann kein Name eines Geräts sein: Es liest sich wie eine Kennung.', 'Das kann kein Name eines Geräts sein: Es liest sich wie eine Kennung.'], hint: 'Füge ein Wort hinzu: Andere Geräte nehmen keinen Namen an, der der Anfang einer Kennung sein könnte.' },
  'invalid_input.folder_not_text': { message: ['{path}: Der Pfad ist kein gültiger Text.', 'Der Pfad ist kein gültiger Text.'], hint: FOLDER },
  'invalid_input.folder_relative': { message: ['{path} ist kein ganzer Pfad.', 'Das ist kein ganzer Pfad.'], hint: FOLDER },
  'invalid_input.folder_missing': { message: ['Den Ordner {path} gibt es nicht.', 'Diesen Ordner gibt es nicht.'], hint: FOLDER },
  'invalid_input.path_relative': { message: ['{path} ist kein ganzer Pfad.', 'Das ist kein ganzer Pfad.'], hint: 'Gib einen Pfad an, der an der Wurzel beginnt.' },
  'invalid_input.rule_folder': { message: ['{path} ist kein Ordner.', 'Das ist kein Ordner.'], hint: FOLDER },
  'invalid_input.rule_folder_refused': { message: ['Keine Regel darf Dateien in {path} legen: {reason:term}.', 'Keine Regel darf Dateien in {path} legen.', 'In diesen Ordner darf keine Regel Dateien legen.'], hint: 'Wähle einen Ordner, in dem nur liegt, was du empfängst.' },
  'invalid_input.transfer_limit': { message: 'Eine Grenze für eine Übertragung ist nicht so klein.', hint: ['Mindestens {least:bytes} in der Sekunde; ohne Angabe gilt keine.', ''] },
  'invalid_input.pings': { message: ['{count:number} Anfragen lassen sich nicht senden.', 'So viele Anfragen lassen sich nicht senden.'], hint: ['1 bis {most:number}.', ''] },

  // The shell.
  'invalid_input.clipboard_text': { message: 'Der Text ist zu lang für die Zwischenablage.', hint: '' },
  'invalid_input.request': { message: 'Diese Anfrage der Seite ist nicht zu verstehen.', hint: 'Das ist ein Fehler in Yonder. Bitte melde ihn mit dem Protokoll.' },
  'invalid_input.devices': { message: ['Auf einmal lässt sich an 1 bis {most:number} Geräte senden.', 'An so viele Geräte lässt sich nicht auf einmal senden.'], hint: '' },

  // What is not possible at present.
  invalid_state: { message: 'Das geht zurzeit nicht.', hint: '' },
  'invalid_state.protocol_taken': { message: ['Das Protokoll {protocol} ist schon angemeldet.', 'Dieses Protokoll ist schon angemeldet.'], hint: '' },
  'invalid_state.protocol_late': { message: 'Protokolle werden angemeldet, bevor das Netzwerk startet.', hint: '' },
  'invalid_state.source_late': { message: 'Quellen werden angemeldet, bevor das Netzwerk startet.', hint: '' },
  'invalid_state.no_pairing': { message: 'Kein Koppeln wartet auf eine Antwort.', hint: '' },
  'invalid_state.other_pairing': { message: 'Auf die Antwort wartet ein anderes Koppeln.', hint: 'Sieh nach, welches Gerät jetzt gefragt hat.' },
  'invalid_state.started': { message: 'Dieses Gerät ist schon gestartet.', hint: '' },
  'invalid_state.not_started': { message: 'Dieses Gerät ist noch nicht im Netzwerk.', hint: 'Versuche es gleich noch einmal.' },
  'invalid_state.nothing_stored': { message: 'Diese Übertragung hat auf diesem Gerät nichts gespeichert.', hint: '' },

  // Only at the start.
  path_not_text: { message: 'Der Name des Ordners ist kein gültiger Text.', hint: 'Wähle einen Ordner mit einem anderen Namen.' },
  no_data_dir: { message: 'Dieses System nennt keinen Ordner für die Daten von Programmen.', hint: 'Starte Yonder mit `--data-dir ORDNER`.' },
  control_socket: { message: ['Der Steuer-Socket {path} lässt sich nicht benutzen: {os:term}.', 'Der Steuer-Socket {path} lässt sich nicht benutzen.', 'Der Steuer-Socket lässt sich nicht benutzen.'], hint: 'Prüfe, ob das Datenverzeichnis dir gehört und du darin schreiben darfst.' },
  control_in_the_way: { message: ['{path} ist kein Socket von Yonder.', 'Wo der Steuer-Socket hingehört, liegt etwas anderes.'], hint: ['Räume {path} weg, und versuche es noch einmal.', 'Räume es weg, und versuche es noch einmal.'] },
  control_not_private: { message: ['{path} ist kein Ordner, den nur du benutzen kannst.', 'Der Ordner des Steuer-Sockets gehört nicht dir allein.'], hint: ['Entferne {path}, oder gib dir den Ordner mit den Rechten 0700.', 'Entferne ihn, oder gib ihn dir mit den Rechten 0700.'] },
  control_other_user: { message: 'Das Yonder, das auf diesem Datenverzeichnis läuft, gehört jemand anderem.', hint: 'Nimm mit `--data-dir` ein eigenes Datenverzeichnis.' },
  control_version: { message: ['Das laufende Yonder hat die Version {version} (Steuerprotokoll {found}), dieses spricht Protokoll {known}.', 'Das laufende Yonder hat eine andere Version.'], hint: 'Benutze überall dieselbe Version: Beende das laufende und starte es neu.' },
  control_no_answer: { message: 'Das laufende Yonder antwortet nicht.', hint: 'Beende es und starte es neu.' },
  control_busy: { message: 'Das laufende Yonder nimmt zurzeit keine weiteren Befehle an.', hint: 'Beende einige der Befehle, die warten, und versuche es noch einmal.' },
  control_lost: { message: 'Die Verbindung zum laufenden Yonder ging verloren.', hint: 'Sieh nach, ob Yonder noch läuft, und versuche es noch einmal.' },
  control_too_large: { message: ['Die Anfrage ist zu groß: {bytes:bytes}, erlaubt sind {limit:bytes}.', 'Die Anfrage ist zu groß.'], hint: 'Nenne weniger Dateien auf einmal; ein Ordner, in dem sie alle liegen, ist ein Name.' },
  control_bad_request: { message: 'Diese Fassung von Yonder kennt die Anfrage nicht.', hint: 'Benutze überall dieselbe Version: Beende das laufende Yonder und starte es neu.' },
  control_not_text: { message: 'Die Anfrage lässt sich nicht weitergeben: Ein Pfad ist kein gültiger Text.', hint: 'Benenne die Datei um, oder sende den Ordner, in dem sie liegt.' },
  control_bad_answer: { message: 'Das laufende Yonder gab eine Antwort, die diese Fassung nicht kennt.', hint: 'Benutze überall dieselbe Version: Beende das laufende und starte es neu.' },
};
