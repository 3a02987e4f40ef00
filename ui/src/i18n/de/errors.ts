// The core's errors in German, by code.

import type { ErrorText } from '../language';

const REACH = 'Läuft Yonder auf dem anderen Gerät, und sind beide im selben Netzwerk? Eine Firewall könnte UDP sperren.';
const TAMPER = 'Jemand könnte die Verbindung stören. Geschieht es wieder, entkopple beide Geräte und kopple sie neu.';
const UPDATE = 'Aktualisiere Yonder auf beiden Geräten.';
const BACKUP = 'Spiele die Datei aus einer Sicherung zurück. Um als neues Gerät anzufangen, räume das ganze Datenverzeichnis beiseite.';

export const errors: Record<string, ErrorText> = {
  left_behind: { message: ['Nicht mehr vorhanden und nicht gesendet: {names}', 'Einiges ist nicht mehr vorhanden und wurde nicht gesendet.'], hint: 'Der Rest wurde gesendet. Wurde etwas verschoben oder gelöscht?' },
  starting: { message: 'Yonder startet noch.', hint: 'Versuche es gleich noch einmal.' },

  // The network.
  port_unavailable: {
    message: ['UDP-Port {port} lässt sich nicht öffnen: {os:term}.', 'UDP-Port {port} lässt sich nicht öffnen.', 'Der UDP-Port lässt sich nicht öffnen.'],
    hint: 'Beende das Programm, das ihn belegt, oder gib mit „--port“ einen anderen an.',
  },
  invalid_input: {
    message: 'Das geht so nicht.',
    hint: '',
  },
  connection_failed: {
    message: ['Mit {device} kam keine Verbindung zustande.', 'Es kam keine Verbindung zustande.'],
    hint: REACH,
  },
  connection_timeout: {
    message: ['{device} hat nicht innerhalb von {seconds:span} geantwortet.', 'Das andere Gerät hat nicht innerhalb von {seconds:span} geantwortet.', 'Das andere Gerät hat nicht rechtzeitig geantwortet.'],
    hint: REACH,
  },
  connection_lost: { message: 'Die Verbindung zum anderen Gerät ging verloren.', hint: 'Prüfe das Netzwerk und versuche es dann noch einmal.' },
  unknown_protocol: {
    message: 'Die beiden Geräte sprechen nicht dasselbe Protokoll.',
    hint: UPDATE,
  },
  protocol_violation: { message: 'Das andere Gerät hat sich nicht an das Protokoll gehalten.', hint: UPDATE },
  invalid_signature: { message: 'Eine Unterschrift des anderen Geräts ist ungültig.', hint: TAMPER },
  decryption_failed: { message: 'Eine Nachricht ließ sich nicht entschlüsseln.', hint: TAMPER },
  device_not_paired: {
    message: ['{device} ist nicht mit diesem Gerät gekoppelt.', 'Das Gerät ist nicht mit diesem gekoppelt.'],
    hint: 'Kopple zuerst die beiden Geräte.',
  },
  device_unknown: {
    message: ['Kein Gerät heißt „{text}“.', 'Ein solches Gerät ist nicht bekannt.'],
    hint: '',
  },
  device_ambiguous: {
    message: ['„{text}“ passt auf mehr als ein Gerät: {devices}.', '„{text}“ passt auf mehr als ein Gerät.', 'Das passt auf mehr als ein Gerät.'],
    hint: 'Gib die ganze Kennung des gemeinten Geräts an.',
  },
  device_offline: {
    message: ['{device} ist gerade nicht erreichbar.', 'Das Gerät ist gerade nicht erreichbar.'],
    hint: REACH,
  },
  refused: {
    message: ['{device} hat abgelehnt.', 'Die andere Seite hat abgelehnt.'],
    hint: '',
  },
  'refused.not_pairing': { message: ['{device} zeigt gerade keinen Kopplungscode.', 'Das andere Gerät zeigt gerade keinen Kopplungscode.'], hint: 'Lass es einen zeigen.' },
  'refused.busy': { message: ['{device} ist mit anderen Geräten beschäftigt.', 'Das andere Gerät ist mit anderen beschäftigt.'], hint: 'Versuche es gleich noch einmal.' },
  refused_not_paired: {
    message: 'Das andere Gerät hat abgelehnt: Es ist mit diesem nicht gekoppelt.',
    hint: 'Entkopple es auch hier und kopple beide Geräte neu.',
  },
  shutting_down: { message: 'Dieses Gerät wird beendet.', hint: '' },
  setting_overridden: {
    message: ['Die Einstellung „{setting}“ lässt sich gerade nicht ändern: Yonder wurde mit {option} gestartet.', 'Diese Einstellung lässt sich gerade nicht ändern: Yonder wurde mit einer Option gestartet, die sie festlegt.'],
    hint: ['Beende es und starte es ohne {option}; dann gilt die Einstellung und lässt sich ändern.', 'Beende es und starte es ohne diese Option.'],
  },
  internal: {
    message: 'Ein Fehler in Yonder selbst.',
    hint: 'Bitte melde ihn mit dem Protokoll.',
  },

  // Files.
  checksum_mismatch: {
    message: ['Der Inhalt von {path} ist nicht, was gesendet wurde.', 'Der Inhalt einer Datei ist nicht, was gesendet wurde.'],
    hint: 'Die Datei könnte sich währenddessen geändert haben. Sende sie noch einmal.',
  },
  file: {
    message: ['{path} lässt sich nicht lesen oder schreiben: {os:term}.', '{path} lässt sich nicht lesen oder schreiben.', 'Eine Datei lässt sich nicht lesen oder schreiben.'],
    hint: 'Prüfe, ob es sie gibt und ob du sie benutzen darfst.',
  },
  'file.missing': { message: ['{path} gibt es nicht.', 'Diese Datei gibt es nicht.'], hint: 'Wurde sie verschoben oder gelöscht?' },
  'file.no_text': { message: ['{path} ließ sich nicht finden: Der Name ist kein gültiger Text.', 'Der Name der Datei ist kein gültiger Text.'], hint: 'Zieh sie stattdessen ins Fenster.' },

  // Transfers.
  transfer_unknown: { message: 'Eine solche Übertragung gibt es nicht.', hint: '' },
  transfer_not_offered: { message: 'Diese Übertragung wartet auf keine Antwort.', hint: '' },
  transfer_ended: { message: 'Diese Übertragung ist zu Ende.', hint: '' },
  transfer_active: { message: 'Diese Übertragung läuft noch.', hint: 'Brich sie zuerst ab.' },
  no_space: {
    message: ['In {folder} ist nicht genug Platz: {needed:bytes} werden gebraucht, {free:bytes} sind frei.', 'Auf der Platte des Empfängers ist nicht genug Platz.'],
    hint: 'Schaffe Platz oder wähle einen anderen Ordner, und sende es dann noch einmal.',
  },
  disk_full: { message: 'Die Platte des Empfängers ist voll.', hint: 'Schaffe Platz oder wähle einen anderen Ordner, und sende es dann noch einmal.' },
  destination_unusable: {
    message: ['In den Ordner {path} lässt sich nicht schreiben: {os:term}.', 'In den Ordner {path} lässt sich nicht schreiben.', 'In den Ordner des Empfängers lässt sich nicht schreiben.'],
    hint: 'Prüfe, ob es ihn gibt und ob du dort schreiben darfst.',
  },
  write_failed: {
    message: ['Die Platte des Empfängers ließ sich nicht beschreiben: {os:term}.', 'Die Platte des Empfängers ließ sich nicht beschreiben.'],
    hint: 'Prüfe, ob es den Ordner gibt und ob du dort schreiben darfst.',
  },
  nothing_to_send: {
    message: ['Nichts davon lässt sich senden. {path}: {reason:error}', 'Es gibt nichts zu senden.'],
    hint: '',
  },
  path_not_found: {
    message: ['{path} gibt es nicht.', 'Das gibt es nicht.'],
    hint: 'Wurde es verschoben oder gelöscht?',
  },
  path_unreadable: {
    message: ['{path} lässt sich nicht lesen: {os:term}.', '{path} lässt sich nicht lesen.', 'Das lässt sich nicht lesen.'],
    hint: 'Prüfe, ob du es lesen darfst.',
  },
  path_special: {
    message: ['{path} ist weder eine Datei noch ein Ordner auf einem Datenträger.', 'Das ist weder eine Datei noch ein Ordner auf einem Datenträger.'],
    hint: 'Nur Dateien und Ordner lassen sich senden.',
  },
  path_private: {
    message: ['{path} gehört zu Yonder selbst und wird nie gesendet.', 'Das gehört zu Yonder selbst und wird nie gesendet.'],
    hint: 'Im Datenverzeichnis liegen die Schlüssel dieses Geräts.',
  },
  path_elsewhere: {
    message: ['{path} ist für das laufende Yonder eine andere Datei.', 'Für das laufende Yonder ist das eine andere Datei.'],
    hint: 'Es läuft in einem anderen Container. Lege die Datei dorthin, wo beide sie sehen.',
  },
  input_ended_early: { message: 'Der Befehl, der es sendete, wurde beendet, bevor er seine Eingabe ganz gelesen hatte.', hint: 'Führe den Befehl, dessen Ausgabe es war, noch einmal aus, und sende sie.' },
  stream_gone: { message: 'Was aus einem Datenstrom gelesen wurde, ist nicht mehr da.', hint: 'Führe den Befehl noch einmal aus.' },
  source_deleted: {
    message: ['{path} wurde gelöscht oder verschoben, bevor es gesendet war.', 'Es wurde gelöscht oder verschoben, bevor es gesendet war.'],
    hint: 'Lege es zurück und sende es noch einmal.',
  },
  size_wrong: {
    message: ['{path} ist nicht so lang, wie sein Dateisystem sagt.', 'Es ist nicht so lang, wie sein Dateisystem sagt.'],
    hint: 'Sende es allein, mit `yonder-cli send GERÄT -`.',
  },
  source_unreadable: {
    message: ['{path} ließ sich nicht lesen: {os:term}.', '{path} ließ sich nicht lesen.', 'Es ließ sich nicht lesen.'],
    hint: 'Prüfe, ob du es lesen darfst.',
  },
  source_changed: {
    message: ['{path} hat sich geändert, während es gesendet wurde.', 'Es hat sich geändert, während es gesendet wurde.'],
    hint: 'Sende es noch einmal, wenn nichts daran schreibt.',
  },
  name_unsendable: {
    message: ['{path} lässt sich unter seinem Namen nicht senden.', 'Ein solcher Name lässt sich nicht senden.'],
    hint: 'Benenne es um, oder sende den Ordner, in dem es liegt.',
  },
  too_many_entries: { message: 'Das sind mehr Dateien, als eine Übertragung fasst.', hint: 'Sende sie in mehreren Teilen, oder als Archiv.' },
  declined_by_rule: { message: 'Das andere Gerät lehnt alles ab.', hint: 'Das lässt sich in seinen Einstellungen ändern.' },
  interrupted: { message: 'Yonder wurde mittendrin beendet.', hint: 'Es geht von selbst weiter, wenn die Geräte sich wieder begegnen.' },
  forgotten: { message: 'Das andere Gerät kennt diese Übertragung nicht mehr.', hint: 'Sende es noch einmal.' },
  folder_changed: { message: 'Der Ordner wurde währenddessen verändert oder entfernt.', hint: 'Sende es noch einmal.' },
  busy: { message: 'Beim anderen Gerät sind so viele Angebote offen, wie es annimmt.', hint: 'Es wird von selbst wieder angeboten. Nimm dort einige an oder lehne sie ab.' },
  rate_limited: { message: 'Dem anderen Gerät wurde in kurzer Zeit viel angeboten.', hint: 'Es wird gleich von selbst wieder angeboten.' },
  receiver_out_of_files: { message: 'Der Empfänger hat so viele Dateien offen, wie sein System zulässt.', hint: 'Erhöhe dort die Grenze (`ulimit -n`) und starte Yonder neu, oder beende andere Programme.' },
  sender_out_of_files: { message: 'Der Absender hat so viele Dateien offen, wie sein System zulässt.', hint: 'Erhöhe dort die Grenze (`ulimit -n`) und starte Yonder neu, oder beende andere Programme.' },
  waiting_for_files: { message: 'Andere Übertragungen seines Geräts haben so viele Dateien offen, wie sie dürfen.', hint: 'Es geht von selbst weiter, wenn eine davon endet. Brich eine angehaltene ab, damit es früher weitergeht.' },
  version_unsupported: { message: 'Das andere Gerät spricht eine andere Fassung des Protokolls.', hint: UPDATE },
  offer_malformed: { message: 'Das Angebot ergibt keinen Sinn.', hint: UPDATE },
  hidden_name: { message: 'Es ist versteckt, und es wurde niemand gefragt.', hint: 'Erneut gesendet wird nur das angeboten, und gefragt.' },
  runs_programs: { message: 'Es kann ein Programm starten, und es wurde niemand gefragt.', hint: 'Erneut gesendet wird nur das angeboten, und gefragt.' },
  rule_ended: { message: 'Die Regel des Empfängers nimmt es nicht mehr an.', hint: 'Sende es noch einmal.' },
  receiver_stalled: { message: 'Das andere Gerät nimmt zurzeit nichts entgegen.', hint: 'Es geht nach einer Weile von selbst weiter.' },
  expired: { message: 'Der Absender ist 30 Tage lang nicht wiedergekommen.', hint: 'Sende es noch einmal.' },
  files_failed: { message: 'Einige Dateien ließen sich nicht übertragen.', hint: 'Die Anmerkungen nennen sie.' },
  folder_closed: { message: 'In diesen Ordner darf nicht geschrieben werden.', hint: 'Prüfe seine Rechte, oder wähle einen anderen Ordner.' },
  existing_changed: { message: 'Die gleiche Datei war schon da und wurde währenddessen verändert.', hint: 'Sende sie noch einmal.' },

  selection_invalid: { message: 'Das lässt sich so nicht auswählen.', hint: 'Öffne das Angebot noch einmal, oder nimm alles.' },
  selection_too_large: { message: 'Das sind mehr einzelne Dateien, als sich auswählen lassen.', hint: 'Wähle ganze Ordner, oder nimm alles.' },
  transfer_not_ours: { message: 'Nur das Gerät, von dem sie kam, kann sie erneut senden.', hint: 'Bitte dort darum.' },
  transfer_not_queued: { message: 'Diese Übertragung wartet nicht in der Reihe.', hint: '' },
  paused_here: { message: 'Von dir angehalten.', hint: 'Setze es hier fort.' },
  paused_there: { message: 'Auf dem anderen Gerät angehalten.', hint: 'Es geht weiter, wenn es dort fortgesetzt wird.' },
  source_gone: { message: 'Was gesendet werden sollte, ist nicht mehr da.', hint: 'Bring es zurück; dann geht es von selbst weiter.' },
  folder_gone: {
    message: ['{folder} gibt es nicht mehr.', 'Den Ordner gibt es nicht mehr.'],
    hint: 'Er wurde seit der Übertragung verschoben oder gelöscht.',
  },
  file_manager: { message: 'Kein Dateimanager hat geantwortet.', hint: ['Die Dateien liegen in {folder}.', 'In welchem Ordner die Dateien liegen, steht bei der Übertragung.'] },
  no_program: { message: 'Kein Programm für diese Datei hat geantwortet.', hint: ['Die Datei liegt in {folder}.', 'In welchem Ordner sie liegt, steht bei der Übertragung.'] },
  open_program: {
    message: 'Das könnte ein Programm sein und wird von hier aus nicht gestartet.',
    hint: 'Zeige es in seinem Ordner und starte es dort, wenn du weißt, woher es kommt.',
  },

  left_out: {
    message: ['{count:number} davon lassen sich nicht senden, zum Beispiel {path}: {reason:error}', 'Nicht alles davon lässt sich senden: {count:number} nicht.', 'Nicht alles davon lässt sich senden.'],
    hint: 'Nenne nur, was sich senden lässt.',
  },

  declined: { message: 'Es wurde abgelehnt.', hint: '' },
  file_too_large: { message: 'Die Platte des Empfängers fasst keine so große Datei.', hint: 'Wähle dort einen Ordner auf einer Platte mit einem anderen Dateisystem.' },
  file_unreadable: {
    message: ['{path} darf nicht gelesen werden.', 'Es darf nicht gelesen werden.'],
    hint: 'Prüfe seine Rechte.',
  },
  folder_unreadable: {
    message: ['Der Inhalt von {path} darf nicht aufgelistet werden.', 'Der Inhalt des Ordners darf nicht aufgelistet werden.'],
    hint: 'Prüfe seine Rechte.',
  },
  data_directory: {
    message: ['{path} ist ein Teil von Yonders eigenen Daten und wird nie gesendet.', 'Das ist ein Teil von Yonders eigenen Daten und wird nie gesendet.'],
    hint: '',
  },
  special_file: {
    message: ['{path} ist weder eine Datei noch ein Ordner.', 'Das ist weder eine Datei noch ein Ordner.'],
    hint: '',
  },
  over_limit: {
    message: ['Der Pfad {path} ist zu tief oder zu lang.', 'Der Pfad ist zu tief oder zu lang.'],
    hint: 'Sende den Ordner als Archiv.',
  },
  name_refused: {
    message: ['Die Platte des Empfängers kann den Namen {path} nicht speichern.', 'Die Platte des Empfängers kann diesen Namen nicht speichern.'],
    hint: 'Benenne es um.',
  },
  name_taken: {
    message: ['Der Name {path} ist beim Empfänger zu oft vergeben.', 'Dieser Name ist beim Empfänger zu oft vergeben.'],
    hint: 'Benenne es um, oder wähle dort einen anderen Ordner.',
  },
  transfer_undecided: { message: 'Dieses Angebot ist noch nicht beantwortet.', hint: 'Nimm es an oder lehne es ab.' },

  // Reasons for which a transfer ends or waits, or a file is left out.
  cancelled: { message: 'Es wurde abgebrochen.', hint: '' },
  cancelled_here: { message: 'Es wurde hier abgebrochen.', hint: '' },
  cancelled_there: { message: 'Es wurde auf dem anderen Gerät abgebrochen.', hint: '' },
  complete: { message: 'Es ist vollständig.', hint: '' },
  incomplete: { message: 'Nicht alles wurde übertragen.', hint: 'Die Anmerkungen nennen Beispiele. Erneut gesendet wird nur, was fehlt.' },
  listing: { message: 'Die Dateien werden gerade aufgelistet.', hint: '' },
  connecting: { message: 'Die Verbindung wird gerade aufgebaut.', hint: '' },
  paused: { message: 'Es ist angehalten.', hint: '' },
  duplicate_id: { message: 'Das andere Gerät hat schon eine Übertragung mit dieser Kennung.', hint: 'Sende es noch einmal.' },
  unsolicited: { message: 'Das andere Gerät hat nicht darum gebeten.', hint: '' },
  link_outside: { message: 'Es ist ein Verweis auf etwas, das nicht mitgeht.', hint: '' },
  link_to_folder: { message: 'Es ist ein Verweis auf einen Ordner.', hint: '' },
  link_broken: { message: 'Es ist ein Verweis ins Leere.', hint: '' },
  not_taken: { message: 'Das andere Gerät hat es nicht angenommen.', hint: '' },
  skipped_there: { message: 'Der Absender konnte es nicht anbieten.', hint: '' },
  other: { message: 'Es ging aus einem anderen Grund nicht.', hint: '' },

  // The doctor.
  doctor_busy: { message: 'Es wird schon nach etwas anderem gesehen.', hint: 'Versuche es in ein paar Sekunden noch einmal.' },

  // Relays.
  relay_unreachable: {
    message: ['Das Relay {relay} antwortet nicht.', 'Das Relay antwortet nicht.'],
    hint: 'Ist es in Betrieb, und stimmt die Adresse?',
  },
  relay_refused: {
    message: ['Das Relay {relay} weist dieses Gerät ab.', 'Das Relay weist dieses Gerät ab.'],
    hint: 'Prüfe das Zugangswort in den Einstellungen.',
  },
  'relay_refused.with_token': { message: ['Das Relay {relay} weist dieses Gerät ab.', 'Das Relay weist dieses Gerät ab.'], hint: 'Das Zugangswort könnte falsch sein, oder das Relay hat eine Liste der Geräte. Frag, wer es betreibt, und gib das Zugangswort in den Einstellungen neu ein.' },
  'relay_refused.without_token': { message: ['Das Relay {relay} weist dieses Gerät ab.', 'Das Relay weist dieses Gerät ab.'], hint: 'Vielleicht verlangt es ein Zugangswort. Frag, wer es betreibt, und gib es in den Einstellungen ein.' },

  // Pairing.
  code_word_unknown: {
    message: ['Wort {position}, „{word}“, steht nicht auf der Wortliste.', 'Ein Wort steht nicht auf der Wortliste.'],
    hint: ['Ist es eines von diesen: {suggestions}? Die ersten vier Buchstaben jedes Wortes genügen.', 'Prüfe die Schreibweise; die ersten vier Buchstaben jedes Wortes genügen.'],
  },
  code_word_count: {
    message: ['Ein Kopplungscode hat drei oder fünf Wörter, nicht {count:number}.', 'Ein Kopplungscode hat drei oder fünf Wörter.'],
    hint: 'Tippe die Wörter vom anderen Gerät, mit Leerzeichen oder Strichen.',
  },
  link_invalid: { message: 'Das ist kein gültiger yonder-Link.', hint: 'Kopiere den ganzen Link vom anderen Gerät, oder tippe die drei Wörter.' },
  address_invalid: { message: 'Das ist keine Adresse der Form KENNUNG@IP:PORT.', hint: 'Kennung und Adressen stehen auf dem anderen Gerät in den Einstellungen.' },
  code_expired: { message: 'Der Kopplungscode ist abgelaufen.', hint: 'Lass das andere Gerät einen neuen Code zeigen.' },
  code_wrong: {
    message: 'Der Kopplungscode ist falsch.',
    hint: 'Vergleiche die Wörter mit denen auf dem anderen Gerät. Nach drei falschen Versuchen braucht es einen neuen Code.',
  },
  code_burnt: {
    message: 'Es wurden drei falsche Codes versucht, darum ist der Kopplungscode verfallen.',
    hint: 'Zeige einen neuen Code. Hat es niemand versucht, den du kennst, rät jemand in der Nähe: Nimm dann den Link oder den QR-Code.',
  },
  code_used: { message: 'Der Kopplungscode ist schon benutzt.', hint: 'Lass das andere Gerät einen neuen Code zeigen.' },
  pairing_not_open: { message: 'Das andere Gerät zeigt keinen Kopplungscode.', hint: 'Starte das Koppeln auf dem anderen Gerät, damit es einen Code zeigt.' },
  pairing_busy: { message: 'Das andere Gerät koppelt sich gerade mit einem weiteren.', hint: 'Beende das Koppeln dort und versuche es dann noch einmal.' },
  pairing_rejected: { message: 'Das Koppeln wurde abgelehnt.', hint: 'Stimmen Namen und Prüfwörter, so lass es auf beiden Geräten zu.' },
  'pairing_rejected.here': { message: 'Das Koppeln wurde auf diesem Gerät abgelehnt.', hint: '' },
  'pairing_rejected.there': { message: 'Das Koppeln wurde auf dem anderen Gerät abgelehnt.', hint: 'Stimmen Namen und Prüfwörter, so lass es auf beiden Geräten zu.' },
  pairing_timeout: { message: 'Das Koppeln hat zu lange gedauert.', hint: 'Lass beide Geräte wach und nahe, und versuche es mit einem neuen Code.' },
  identity_mismatch: {
    message: 'Das andere Gerät gibt sich für ein anderes aus.',
    hint: 'Jemand könnte sich als das andere Gerät ausgeben. Kopple nicht; versuche es in einem Netzwerk, dem du vertraust.',
  },
  pairing_same_device: { message: 'Das ist dasselbe Gerät.', hint: 'Gib den Code auf dem anderen Gerät ein.' },
  pairing_version: { message: 'Das andere Gerät spricht eine andere Fassung des Kopplungsprotokolls.', hint: UPDATE },
  pairing_violation: { message: 'Das andere Gerät hat sich nicht an das Kopplungsprotokoll gehalten.', hint: UPDATE },
  pairing_connection_lost: { message: 'Die Verbindung riss ab, bevor die Geräte gekoppelt waren.', hint: 'Prüfe das Netzwerk und kopple dann mit einem neuen Code.' },
  pairing_unfinished: {
    message: 'Die Verbindung riss im letzten Schritt des Koppelns ab.',
    hint: 'Es vollendet sich von selbst, wenn die Geräte sich wieder begegnen. Bleiben sie ungekoppelt, kopple mit einem neuen Code.',
  },
  pairing_not_stored: { message: 'Die Kopplung ließ sich auf diesem Gerät nicht speichern.', hint: 'Prüfe, ob das Datenverzeichnis beschreibbar und die Platte nicht voll ist.' },
  no_host_found: {
    message: 'Es fand sich kein Gerät, das diesen Code zeigt.',
    hint: 'Zeigt das andere Gerät einen Code, und sind beide im selben Netzwerk? Sonst nimm seinen Link oder QR-Code.',
  },
  'no_host_found.internet': {
    message: 'Es fand sich kein Gerät, das diesen Code zeigt, weder in diesem Netzwerk noch im Internet.',
    hint: [
      'Die Uhr dieses Geräts geht wohl um {clock_off:number} Minuten falsch, und fünf Wörter werden nur gefunden, wenn beide Uhren auf zehn Minuten stimmen. Stelle die Uhr, oder nimm Link oder QR-Code des anderen Geräts.',
      'Zeigt das andere Gerät diese fünf Wörter noch, und ist es im Internet? Beide Uhren müssen auf zehn Minuten stimmen. Sein Link oder QR-Code geht auch ohne.',
    ],
  },
  too_many_hosts: {
    message: 'Drei Geräte haben auf diesen Code geantwortet, und keines war das richtige.',
    hint: 'Jemand könnte unter den ersten beiden Wörtern falsche Adressen hinterlassen. Lass das andere Gerät einen neuen Code zeigen, oder nimm seinen Link oder QR-Code.',
  },
  rendezvous_unreachable: {
    message: 'Keiner der Server ist erreichbar, bei denen ein Code aus fünf Wörtern nachgeschlagen wird.',
    hint: 'Prüfe die Internetverbindung. In einem Netzwerk gelten die Wörter auch ohne sie, und Link und QR-Code gehen ebenso.',
  },
  no_rendezvous: {
    message: 'Ein Code aus fünf Wörtern ist hier nicht möglich.',
    hint: 'Nimm drei Wörter in einem Netzwerk, oder den Link oder QR-Code.',
  },
  'no_rendezvous.lan_mode': { message: 'Ein Code aus fünf Wörtern ist hier nicht möglich: In der Betriebsart „nur lokales Netz“ wird kein Server im Internet gefragt.', hint: 'Nimm drei Wörter in einem Netzwerk, oder den Link oder QR-Code.' },
  'no_rendezvous.no_relay': { message: 'Ein Code aus fünf Wörtern ist hier nicht möglich: Es gibt kein Relay, über das dieses Gerät erreichbar wäre.', hint: 'Gib ein Relay an, nimm drei Wörter in einem Netzwerk, oder den Link oder QR-Code.' },
  'no_rendezvous.no_server': { message: 'Ein Code aus fünf Wörtern ist hier nicht möglich: Es sind eigene Relays angegeben, und kein Server zum Nachschlagen.', hint: 'Gib `--pkarr` oder `--dht-bootstrap` an, nimm drei Wörter in einem Netzwerk, oder den Link oder QR-Code.' },
  randomness_unavailable: { message: 'Die Zufallsquelle des Systems ist nicht da.', hint: 'Starte das Gerät neu; ohne Zufall ist kein Schlüssel sicher.' },
  pairing_cancelled: { message: 'Das Koppeln wurde abgebrochen.', hint: '' },

  // Links and pictures.
  link_not_for_pairing: { message: 'Dieser Link sagt, wo ein Gerät ist; er koppelt nicht.', hint: 'Lass das andere Gerät einen Code zeigen und nimm den Link von dort.' },
  picture_unreadable: { message: 'Das Bild lässt sich nicht lesen.', hint: 'Nimm eine PNG-, JPEG-, GIF-, WebP- oder BMP-Datei.' },
  picture_too_large: { message: 'Das Bild ist zu groß.', hint: 'Nimm ein Bildschirmfoto oder ein kleineres Foto: höchstens 32 MiB und 16.384 Pixel je Seite.' },
  no_code_in_picture: { message: 'In dem Bild ist kein Kopplungscode zu erkennen.', hint: 'Das ganze Quadrat soll auf dem Bild sein, mit etwas Rand und scharf. Yonder zeigt es unter „Code zeigen“.' },
  'no_code_in_picture.other_code': { message: 'Der Code in dem Bild ist nicht zum Koppeln.', hint: 'Nimm ein Bild von dem Quadrat, das Yonder unter „Code zeigen“ zeigt.' },
  several_codes_in_picture: { message: 'In dem Bild ist mehr als ein Kopplungscode.', hint: 'Schneide den aus, den du meinst.' },
  clipboard_no_picture: { message: 'In der Zwischenablage ist weder ein Kopplungslink noch ein Bild.', hint: 'Kopiere den Link auf dem anderen Gerät, oder mach ein Bildschirmfoto von seinem Code.' },
  clipboard: {
    message: 'Die Zwischenablage lässt sich nicht benutzen.',
    hint: 'Markiere den Text und kopiere ihn selbst.',
  },
  pick_gone: { message: 'Was gewählt war, ist nicht mehr da.', hint: 'Wähle es noch einmal, oder zieh es noch einmal her.' },
  picture_busy: { message: 'Es wird gerade ein anderes Bild angesehen.', hint: 'Versuche es gleich noch einmal.' },

  // Texts.
  text_empty: { message: 'Der Text ist leer.', hint: 'Schreib etwas.' },
  text_too_long: { message: 'Der Text ist länger als 30 KiB.', hint: 'Sende ihn als Datei.' },
  text_control: { message: 'Der Text enthält Steuerzeichen.', hint: 'Lass weg, was kein Text ist.' },
  text_queue_full: { message: 'Für dieses Gerät warten schon 200 Texte.', hint: 'Sie kommen an, wenn das Gerät wieder da ist; sende den Rest dann.' },
  record_damaged: { message: 'Ein Eintrag ist beschädigt.', hint: 'Entkopple das Gerät und kopple es neu; die Texte mit ihm gehen verloren.' },
  link_not_plain: { message: 'Das ist keine einfache Webadresse.', hint: 'Kopiere sie und sieh sie dir an, bevor du sie anderswo öffnest.' },
  browser: {
    message: 'Es ließ sich kein Browser öffnen.',
    hint: 'Kopiere die Adresse und öffne sie selbst.',
  },

  // Finding devices.
  discovery_failed: { message: 'In diesem Netzwerk lassen sich keine Geräte suchen.', hint: 'Gibt es eine Netzwerkkarte, die Multicast erlaubt? Mit KENNUNG@IP:PORT sind Geräte trotzdem erreichbar.' },

  // Trust.
  unpaired_by_peer: { message: ['{device} hat dieses Gerät entkoppelt.', 'Ein Gerät hat dieses entkoppelt.'], hint: 'War das nicht gewollt, kopple beide neu.' },
  device_blocked: {
    message: ['{device} ist hier gesperrt.', 'Das Gerät ist hier gesperrt.'],
    hint: 'Entsperre es zuerst, in seinen Einzelheiten.',
  },

  // Identity and storage.
  already_running: {
    message: 'Yonder läuft schon mit diesem Datenverzeichnis.',
    hint: 'Benutze das laufende, oder ein anderes Datenverzeichnis.',
  },
  data_dir_not_a_directory: {
    message: ['Das Datenverzeichnis {path} ist kein Ordner.', 'Das Datenverzeichnis ist kein Ordner.'],
    hint: 'Wähle ein anderes Datenverzeichnis, oder räume die Datei weg.',
  },
  data_dir_not_writable: {
    message: ['Das Datenverzeichnis {path} lässt sich nicht beschreiben: {os:term}.', 'Das Datenverzeichnis {path} lässt sich nicht beschreiben.', 'Das Datenverzeichnis lässt sich nicht beschreiben.'],
    hint: 'Gib dir das Recht, dort zu schreiben, oder wähle ein anderes Datenverzeichnis.',
  },
  data_dir_foreign: {
    message: ['Das Datenverzeichnis {path} gehört jemand anderem, oder alle dürfen hineinschreiben.', 'Das Datenverzeichnis gehört jemand anderem, oder alle dürfen hineinschreiben.'],
    hint: 'Wähle ein anderes Datenverzeichnis, oder mach dieses zu deinem: `chown` auf dich selbst, und `chmod go-w`, oder binde das Laufwerk mit deiner uid ein.',
  },
  data_dir_newer: {
    message: ['Eine neuere Fassung von Yonder hat das Datenverzeichnis angelegt: {path} hat die Version {found}, diese Fassung kennt {known}.', 'Eine neuere Fassung von Yonder hat dieses Datenverzeichnis angelegt.'],
    hint: 'Aktualisiere Yonder, oder nimm ein anderes Datenverzeichnis. Nichts wurde verändert.',
  },
  data_dir_io: {
    message: ['{path} lässt sich nicht lesen oder schreiben: {os:term}.', '{path} lässt sich nicht lesen oder schreiben.', 'Das Datenverzeichnis lässt sich nicht lesen oder schreiben.'],
    hint: 'Prüfe die Platte und die Rechte des Datenverzeichnisses.',
  },
  storage_newer: { message: 'Eine neuere Fassung von Yonder hat den Speicher angelegt.', hint: 'Aktualisiere Yonder, oder nimm ein anderes Datenverzeichnis. Nichts wurde verändert.' },
  storage_corrupt: {
    message: ['Der Speicher {path} ist beschädigt.', 'Der Speicher ist beschädigt.'],
    hint: 'Prüfe die Platte. Spiele die Datei aus einer Sicherung zurück, oder räume sie weg: Dann sind die Geräte neu zu koppeln.',
  },
  storage_wrong_key: { message: 'Der Speicher gehört nicht zu dieser Identität.', hint: 'Bring zurück, was zusammengehört, oder räume den Speicher weg und kopple die Geräte neu.' },
  storage_value_broken: {
    message: ['Ein Wert im Speicher wurde verändert (Tabelle {table}).', 'Ein Wert im Speicher wurde verändert.'],
    hint: 'Spiele die Datei aus einer Sicherung zurück.',
  },
  storage_full: { message: 'Die Platte ist voll.', hint: 'Schaffe Platz und versuche es noch einmal. Was gespeichert war, ist sicher.' },
  storage_not_writable: {
    message: ['Der Speicher {path} lässt sich nicht beschreiben: {os:term}.', 'Der Speicher {path} lässt sich nicht beschreiben.', 'Der Speicher lässt sich nicht beschreiben.'],
    hint: 'Gib dir das Recht, dort zu schreiben.',
  },
  storage_closed: { message: 'Der Speicher ist geschlossen: Yonder wird beendet.', hint: '' },
  storage_too_large: {
    message: 'Das ist mehr, als sich auf einmal speichern lässt.',
    hint: 'Das ist ein Fehler in Yonder. Bitte melde ihn mit dem Protokoll.',
  },
  storage_io: {
    message: ['Der Speicher lässt sich nicht lesen oder schreiben: {os:term}.', 'Der Speicher lässt sich nicht lesen oder schreiben.'],
    hint: 'Prüfe die Platte und versuche es noch einmal.',
  },
  identity_broken: {
    message: ['Die Angaben zur Identität sind beschädigt: {path}', 'Die Angaben zur Identität sind beschädigt.'],
    hint: BACKUP,
  },
  identity_missing: {
    message: ['{path} fehlt, obwohl das Datenverzeichnis benutzt ist.', 'Die Angaben zur Identität fehlen, obwohl das Datenverzeichnis benutzt ist.'],
    hint: BACKUP,
  },
  keystore_unavailable: {
    message: 'Es ist kein Schlüsselbund da.',
    hint: 'Starte einen Schlüsselbund (GNOME Keyring, KWallet) und versuche es erneut; oder wähle „--keystore file“ mit einer Passphrase in YONDER_PASSPHRASE.',
  },
  keystore_locked: { message: 'Der Schlüsselbund ist gesperrt.', hint: 'Entsperre ihn und versuche es dann noch einmal. Yonder legt keine neue Identität an.' },
  keystore_entry_gone: {
    message: ['Das Geheimnis dieses Geräts ist nicht mehr, wo es lag: {keystore:term}.', 'Das Geheimnis dieses Geräts ist nicht mehr, wo es lag.'],
    hint: 'Ist es ein anderer Schlüsselbund oder eine andere Anmeldung? Bring den alten zurück, oder spiele eine Sicherung ein.',
  },
  keystore_broken: {
    message: ['Wo das Geheimnis liegt, ist etwas beschädigt: {keystore:term}.', 'Wo das Geheimnis liegt, ist etwas beschädigt.'],
    hint: 'Starte den Schlüsselbund neu, oder spiele die Datei aus einer Sicherung zurück. Die Identität blieb unberührt.',
  },
  keystore_changed: {
    message: 'Dort liegt das Geheimnis eines anderen Geräts.',
    hint: 'Geheimnis und Datenverzeichnis gehören nicht zusammen: Bring zurück, was zusammengehört.',
  },
  keystore_mismatch: {
    message: ['Dieses Gerät bewahrt sein Geheimnis anderswo auf. Hier: {keystore:term}; verlangt: {asked:term}.', 'Dieses Gerät bewahrt sein Geheimnis anderswo auf.'],
    hint: 'Lass „--keystore“ weg.',
  },
  keystore_busy: { message: 'Ein anderes Yonder bewegt gerade das Geheimnis.', hint: 'Warte auf das andere und versuche es dann noch einmal.' },
  identity_exists: {
    message: ['In {path} gibt es schon eine Identität.', 'In diesem Datenverzeichnis gibt es schon eine Identität.'],
    hint: 'Räume zuerst das ganze Datenverzeichnis beiseite. Nichts wurde verändert.',
  },
  identity_none: {
    message: ['In {path} gibt es noch keine Identität.', 'In diesem Datenverzeichnis gibt es noch keine Identität.'],
    hint: 'Der erste Start legt eine an, oder hole eine aus einer Sicherung zurück.',
  },
  restore_unfinished: {
    message: ['Ein Zurückholen aus der Sicherung nach {path} wurde unterbrochen.', 'Ein Zurückholen aus der Sicherung wurde unterbrochen.'],
    hint: 'Hole die Identität noch einmal aus der Sicherung zurück.',
  },
  no_randomness: { message: 'Das System gibt keine Zufallszahlen.', hint: 'Versuche es später noch einmal.' },
  backup_exists: {
    message: ['{path} gibt es schon.', 'Diese Datei gibt es schon.'],
    hint: 'Es wird nie etwas überschrieben: Gib einen anderen Namen, oder räume die alte weg.',
  },
  backup_no_folder: {
    message: ['Den Ordner von {path} gibt es nicht.', 'Diesen Ordner gibt es nicht.'],
    hint: 'Lege ihn zuerst an, oder nimm einen anderen.',
  },
  backup_not_a_file: {
    message: ['{path} ist keine Datei.', 'Das ist keine Datei.'],
    hint: 'Wähle eine Datei.',
  },
  backup_not_writable: {
    message: ['{path} lässt sich nicht schreiben: {os:term}.', '{path} lässt sich nicht schreiben.', 'Dort lässt sich nichts schreiben.'],
    hint: 'Gib dir das Recht, dort zu schreiben, oder nimm einen anderen Ordner.',
  },
  backup_missing: {
    message: ['{path} gibt es nicht.', 'Diese Datei gibt es nicht.'],
    hint: 'Ist der Datenträger da?',
  },
  backup_unreadable: {
    message: ['Die Sicherung {path} lässt sich nicht lesen: {os:term}.', 'Die Sicherung {path} lässt sich nicht lesen.', 'Die Sicherung lässt sich nicht lesen.'],
    hint: 'Gib dir das Recht, sie zu lesen; ist der Datenträger in Ordnung?',
  },
  backup_not_one: { message: 'Das ist keine Sicherung von Yonder.', hint: 'Wähle eine Datei, die Yonder geschrieben hat.' },
  backup_too_large: { message: 'Die Sicherung ist zu groß, um eine von Yonder zu sein.', hint: 'Wähle eine Datei, die Yonder geschrieben hat.' },
  backup_cut: { message: 'Der Sicherung fehlt das Ende.', hint: 'Nimm eine andere Kopie der Sicherung. Nichts wurde verändert.' },
  backup_damaged: { message: 'Die Sicherung ist beschädigt.', hint: 'Nimm eine andere Kopie der Sicherung. Nichts wurde verändert.' },
  backup_newer: { message: 'Eine neuere Fassung von Yonder hat die Sicherung geschrieben.', hint: 'Aktualisiere Yonder. Nichts wurde verändert.' },
  backup_passphrase_wrong: { message: 'Die Passphrase der Sicherung ist falsch.', hint: 'Versuche es noch einmal. Ohne ihre Passphrase lässt sich die Sicherung nicht öffnen.' },
  backup_passphrase_weak: { message: 'Die Passphrase der Sicherung ist zu kurz.', hint: 'Nimm vier oder fünf Wörter, oder mehr: Wer die Datei hat, kann jahrelang raten.' },
  new_passphrase_needed: { message: 'Es braucht eine neue Passphrase.', hint: 'Tippe sie zweimal.' },
  passphrase_needed: { message: 'Es braucht eine Passphrase.', hint: 'Setze YONDER_PASSPHRASE, oder starte in einem Terminal, um gefragt zu werden.' },
  passphrase_empty: { message: 'Die Passphrase ist leer.', hint: 'Gib mindestens ein Zeichen an; länger ist besser.' },
  not_confirmed: { message: 'Es wurde nicht bestätigt.', hint: 'Nichts wurde verändert.' },
  not_from_page: { message: 'Das darf die Seite nicht verlangen.', hint: 'Nimm dafür die Schaltfläche im Fenster, die in einem Dialog nachfragt.' },
  name_not_proposed: {
    message: ['„{name}“ nennt sich das Gerät nicht mehr.', 'So nennt sich das Gerät nicht mehr.'],
    hint: 'Sieh nach, wie es sich jetzt nennt.',
  },
  device_name_taken: {
    message: ['„{name}“ sieht aus wie der Name eines anderen gekoppelten Geräts.', 'Der Name sieht aus wie der eines anderen gekoppelten Geräts.'],
    hint: 'Gib dem Gerät einen anderen Namen, auf dem Gerät selbst.',
  },
  passphrase_wrong: { message: 'Die Passphrase ist falsch.', hint: 'Versuche es noch einmal. Ohne die Passphrase lässt sich die Identität nicht öffnen.' },
};
