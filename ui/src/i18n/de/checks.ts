// The doctor's checks in German, by code.

import type { CheckText } from '../language';

const HAND = 'Kopple über den Link oder den QR-Code: Gekoppelte Geräte finden sich auch über ihre letzte Adresse.';
const RELAY_HINT = 'Vielleicht ist er nicht in Betrieb, oder eine Firewall unterwegs sperrt TCP-Port 443. Gehen andere Webseiten auf? Ohne ihn sind Geräte in anderen Netzwerken vielleicht nicht erreichbar.';
const CLOCK = 'Stelle Datum, Uhrzeit und Zeitzone; am besten stellt das System sie selbst: `sudo timedatectl set-ntp true` unter Linux, „Uhrzeit automatisch festlegen“ in den Einstellungen von Windows und macOS.';
const ROUTE = 'Ein VPN oder eine Firewall kann das eingestellt haben; `ip route` zeigt die Wege.';

export const checks: Record<string, CheckText> = {
  // This machine and its network.
  ok_port: { message: ['UDP-Port {port} ist auf diesem Gerät offen.', 'Der UDP-Port ist offen.'] },
  port_unused: { message: 'In der Betriebsart „nur Relay“ wird kein Port geöffnet.' },
  port_taken: {
    message: [
      'UDP-Port {wanted} ist belegt (von: {holder}); stattdessen wird Port {bound} benutzt.',
      'UDP-Port {wanted} ist belegt (von: {holder}).',
      'Der übliche UDP-Port ist von einem anderen Programm belegt.',
    ],
    hint: 'Es geht auch so, nur gilt eine Ausnahme der Firewall oder eine Weiterleitung des Routers dafür nicht. Beende das andere Programm und starte Yonder neu, oder gib Yonder mit `--port` einen eigenen Port.',
  },
  port_unavailable: { message: ['UDP-Port {wanted} lässt sich nicht öffnen[: {os:term}].', 'Der UDP-Port lässt sich nicht öffnen.'], hint: 'Ports unter 1024 gehören dem System. Prüfe `--port` und `--bind`.' },
  ok_interfaces: { message: ['Netze: {names}.', 'Dieses Gerät ist in einem Netzwerk.'] },
  no_interface: { message: 'Dieses Gerät ist in keinem Netzwerk.', hint: 'Steck das Kabel ein, oder verbinde das WLAN.' },
  dead_cable: {
    message: [
      '{name} hat keine Verbindung und hält noch die Adresse {address}: Was für dieses Netz bestimmt ist, geht dort verloren, obwohl {other} im selben Netz ist.',
      'Eine Netzwerkkarte ohne Verbindung hält noch eine Adresse: Was für ihr Netz bestimmt ist, geht dort verloren.',
    ],
    hint: 'Steck das Kabel wieder ein, oder schalte die Netzwerkkarte ab: unter Linux mit `ip link set NAME down`.',
  },
  dead_cable_avoided: {
    message: [
      '{name} hat keine Verbindung und hält noch die Adresse {address}. Yonder sendet stattdessen über {other}; andere Programme erreichen dieses Netz vielleicht nicht.',
      'Eine Netzwerkkarte ohne Verbindung hält noch eine Adresse. Yonder sendet über eine andere; andere Programme vielleicht nicht.',
    ],
    hint: 'Steck das Kabel wieder ein, oder schalte die Netzwerkkarte ab: unter Linux mit `ip link set NAME down`.',
  },
  ok_vpn: { message: 'Es ist kein VPN an.' },
  vpn_takes_all: {
    message: ['Alles geht durch das VPN {name}: Geräte außerhalb sehen dessen Adresse.', 'Alles geht durch ein VPN: Geräte außerhalb sehen dessen Adresse.'],
    hint: 'Sind Geräte im eigenen Netzwerk nicht erreichbar, erlaube in den Einstellungen des VPN den Zugriff auf das lokale Netz, oder beende es.',
  },
  vpn_up: { message: ['Ein VPN ist an: {names}. Geräte darin sind darüber erreichbar.', 'Ein VPN ist an. Geräte darin sind darüber erreichbar.'], hint: 'Ist ein Gerät im eigenen Netzwerk nicht erreichbar, versuche es ohne VPN.' },
  ok_route: { message: ['Es gibt einen Weg ins Internet, über {by}.', 'Es gibt einen Weg ins Internet.'] },
  no_route: {
    message: 'Es gibt keinen Weg ins Internet[. Letzter Kontakt vor {ago:span}].',
    hint: 'Prüfe Kabel oder WLAN, und ob der Router an ist; `ip route` sollte eine Zeile `default` zeigen. Geräte im selben Netzwerk sind trotzdem erreichbar.',
  },
  ok_multicast: { message: ['Meldungen sind zu hören ({names}), und andere Geräte antworten.', 'Meldungen sind zu hören, und andere Geräte antworten.'] },
  multicast_port_taken: {
    message: 'UDP-Port 5353, auf dem Geräte sich melden, lässt sich nicht mitbenutzen[: {os:term}].',
    hint: 'Ein anderes mDNS-Programm hält ihn für sich allein. Beende es, oder stell es so ein, dass es ihn teilt.',
  },
  multicast_no_interface: { message: 'Es gibt kein Netz, in dem Geräte sich melden könnten.', hint: HAND },
  multicast_not_heard: {
    message: ['Die eigene Meldung war hier nicht zu hören ({names}): Multicast ist auf diesem Gerät gesperrt.', 'Die eigene Meldung war hier nicht zu hören: Multicast ist auf diesem Gerät gesperrt.'],
    hint: 'Eine Firewall auf diesem Gerät verwirft UDP-Port 5353. Öffne ihn, zum Beispiel mit `sudo ufw allow 5353/udp` oder `sudo firewall-cmd --permanent --add-service=mdns && sudo firewall-cmd --reload`.',
  },
  multicast_dropped: {
    message: ['Meldungen gehen hinaus, und {names} ist im selben Netzwerk direkt erreichbar, aber nie zu sehen: Das Netzwerk verwirft Multicast.', 'Meldungen gehen hinaus, und andere kommen nicht an: Das Netzwerk verwirft Multicast.'],
    hint: `Sieh in den Einstellungen von Router oder Zugangspunkt nach Client-Isolation, IGMP-Snooping oder Multicast-Filtern und schalte sie ab; Gastnetze machen das oft. ${HAND}`,
  },
  multicast_unanswered: { message: 'Meldungen sind hier zu hören; kein anderes Gerät hat geantwortet. Vielleicht gibt es keines.', hint: `Ist doch ein Gerät in diesem Netzwerk und nicht zu sehen: ${HAND}` },
  multicast_not_everywhere: {
    message: ['In diesen Netzen sind die Meldungen nicht zu hören: {names}.', 'In einem der Netze sind die Meldungen nicht zu hören.'],
    hint: 'Bei einem VPN ist das üblich. Sind Geräte in diesem Netz, verwirft dort vielleicht eine Firewall UDP-Port 5353.',
  },
  multicast_unused: { message: 'In dieser Betriebsart meldet sich niemand im Netzwerk.' },
  ok_firewall: { message: ['Die Firewall auf diesem Gerät lässt UDP-Port {port} herein.', 'Keine Firewall auf diesem Gerät ist im Weg.'] },
  firewall_blocks_udp: {
    message: ['Eine Firewall auf diesem Gerät verwirft, was auf UDP-Port {port} von außen kommt.', 'Eine Firewall auf diesem Gerät verwirft, was von außen kommt.'],
    hint: 'Lass den UDP-Port von Yonder herein, zum Beispiel mit `sudo ufw allow {port}/udp` oder `sudo firewall-cmd --permanent --add-port={port}/udp && sudo firewall-cmd --reload`. Bis dahin sind andere Geräte nur erreichbar, wenn dieses anfängt, oder über ein Relay.',
  },
  firewall_unknown: { message: 'Ob eine Firewall auf diesem Gerät im Weg ist, ließ sich nicht prüfen.', hint: 'Erreichen Geräte dieses hier nicht, lass den UDP-Port von Yonder in der Firewall herein.' },
  // Servers.
  lan_only: { message: 'Nur im lokalen Netz: Kein Server wird gefragt, und Geräte anderswo werden nicht erreicht.' },
  ok_relay: { message: ['Das Relay antwortet nach {ms} ms, und dieses Gerät ist mit ihm verbunden.{home}', 'Das Relay antwortet nach {ms} ms.', 'Das Relay antwortet.'] },
  ok_pkarr: { message: ['Der Nachschlageserver antwortet nach {ms} ms.', 'Der Nachschlageserver antwortet.'] },
  relay_none: { message: 'Es ist kein Relay eingestellt: Geräte hinter anderen Routern sind vielleicht nicht erreichbar.', hint: 'Gib eines in den Einstellungen an, oder mit `--relay`.' },
  relay_refused: { message: 'Das Relay weist dieses Gerät ab.', hint: 'Das Zugangswort ist falsch oder abgelaufen, oder dieses Gerät steht nicht auf der Liste. Frag, wer das Relay betreibt, und gib das Zugangswort neu ein.' },
  relay_unreachable: { message: 'Das Relay antwortet nicht[{reason:given} richtig].', hint: RELAY_HINT },
  pkarr_unreachable: { message: 'Der Nachschlageserver antwortet nicht[{reason:given} richtig].', hint: RELAY_HINT },
  server_certificate: {
    message: 'Dem Zertifikat des Servers ist nicht zu trauen.',
    hint: 'Für eigene Server gib die Zertifikatsstelle mit `--relay-ca` an. Sonst liest in diesem Netzwerk etwas mit: ein Proxy der Firma, oder eine Seite, die eine Anmeldung verlangt.',
  },
  server_certificate_time: { message: 'Das Zertifikat des Servers gilt zu dieser Zeit nicht: Geht die Uhr richtig?', hint: 'Prüfe zuerst Datum, Uhrzeit und Zeitzone dieses Geräts.' },
  authority_unreadable: { message: 'Die Zertifikatsstelle der eigenen Server lässt sich nicht lesen.', hint: 'Prüfe die Datei, die `--relay-ca` nennt.' },
  ok_udp: { message: ['UDP kommt ins Internet und zurück, in {ms} ms.', 'UDP kommt ins Internet und zurück.'] },
  udp_unknown: { message: 'Ob UDP ins Internet durchkommt, ließ sich nicht prüfen.', hint: 'Sieh nach, was beim Internet und bei den Relays steht.' },
  udp_blocked: {
    message: 'Dieses Netzwerk lässt kein UDP hinaus. Geräte anderswo werden nur über das Relay erreicht, und das ist langsamer.',
    hint: 'Bitte, wer dieses Netzwerk betreibt, UDP hinauszulassen, oder nimm ein anderes; der Hotspot eines Telefons tut es oft.',
  },
  captive_portal: { message: 'Dieses Netzwerk verlangt eine Anmeldung, bevor es etwas durchlässt.', hint: 'Öffne eine Webseite im Browser und melde dich dort an.' },
  ok_nat: { message: 'Der Router hier ist von der üblichen Art: Direkte Verbindungen sind möglich.' },
  nat_hard: { message: 'Der Router hier nimmt für jedes Ziel einen anderen Port: Manche Geräte sind nur über ein Relay erreichbar.', hint: 'Ist es deiner, schalte UPnP ein, oder leite UDP-Port 11204 an dieses Gerät weiter.' },
  ok_clock: { message: ['Die Uhr dieses Geräts stimmt mit {by} überein.', 'Die Uhr dieses Geräts geht richtig.'] },
  clock_wrong: {
    message: ['Die Uhr dieses Geräts geht {behind:span} nach, verglichen mit {by}.', 'Die Uhr dieses Geräts geht {ahead:span} vor, verglichen mit {by}.', 'Die Uhr dieses Geräts geht falsch.'],
    hint: CLOCK,
  },
  clock_unknown: { message: 'Die Uhr dieses Geräts ließ sich nicht prüfen.' },
  // Directories and the keystore.
  ok_data: { message: ['In das Datenverzeichnis {path} lässt sich schreiben.', 'In das Datenverzeichnis lässt sich schreiben.'] },
  data_not_writable: { message: 'Das Datenverzeichnis[ {path}] lässt sich nicht beschreiben[: {os:term}].', hint: 'Gib dir das Recht, dort zu schreiben, oder nimm mit `--data-dir` einen anderen Ordner.' },
  data_disk_full: { message: ['Nur {free:bytes} sind frei, wo Yonder seine Daten hat ({path}).', 'Im Datenverzeichnis ist kaum noch Platz.'], hint: 'Schaffe Platz auf dieser Platte: Sonst lassen sich Kopplungen und Texte nicht aufheben.' },
  ok_downloads: { message: ['Im Ordner für Empfangenes ({path}) sind {free:bytes} frei.', 'In den Ordner für Empfangenes ({path}) lässt sich schreiben.', 'In den Ordner für Empfangenes lässt sich schreiben.'] },
  downloads_not_writable: { message: 'Der Ordner für Empfangenes[ ({path})] lässt sich nicht beschreiben[: {os:term}].', hint: 'Wähle in den Einstellungen einen anderen.' },
  downloads_disk_nearly_full: { message: ['Im Ordner für Empfangenes ({path}) sind nur {free:bytes} frei.', 'Im Ordner für Empfangenes ist wenig Platz.'], hint: 'Schaffe Platz, oder wähle in den Einstellungen einen Ordner auf einer anderen Platte.' },
  ok_keystore: { message: ['Das Geheimnis liegt im Schlüsselbund des Systems.{keychain}', 'Das Geheimnis liegt in einer Datei unter einer Passphrase.'] },
  keystore_plain: { message: 'Das Geheimnis liegt in einer Datei ohne Passphrase: Wer deine Dateien lesen kann, ist dieses Gerät.', hint: 'Gibt es einen Schlüsselbund: `yonder-cli keystore move keychain`.' },
  // A device.
  ok_device: { message: 'Es ist direkt erreichbar[, in {ms:trip} hin und zurück].' },
  device_relayed: { message: 'Es ist über ein Relay verbunden[, in {ms:trip} hin und zurück][: {why:term}]. Das geht, nur langsamer als direkt.', hint: 'Warum es keine direkte Verbindung gibt, zeigen die Prüfungen von UDP, Router und Firewall auf beiden Geräten.' },
  device_silent: { message: 'Es wird als verbunden gezeigt und antwortet nicht.[ {error:error}]', hint: 'Eine tote Verbindung wird in Sekunden bemerkt und neu aufgebaut: Sieh gleich noch einmal nach.' },
  transfer_not_dialled: { message: 'Es antwortet, und für eine Übertragung kommt keine Verbindung zustande.[ {error:error}]', hint: 'Versuche es in einer Minute noch einmal. Bleibt es so, starte Yonder auf beiden Geräten neu und sende den Bericht.' },
  route_rejected: { message: 'Dieses Gerät lehnt es selbst ab, an diese Adresse zu senden[ ({address})]: Ein Weg oder eine Regel der Firewall verbietet es[. Letzter Kontakt vor {ago:span}].', hint: ROUTE },
  device_connecting: { message: 'Eine Verbindung wird gerade aufgebaut.', hint: 'Sieh in ein paar Sekunden noch einmal nach.' },
  device_offline: { message: 'Es ist gerade nicht erreichbar[. Letzter Kontakt vor {ago:span}].', hint: 'Sollte es da sein: Ist es an und wach, und läuft Yonder darauf? „Verbindung prüfen“ an diesem Gerät versucht jeden Weg.' },
  device_not_paired: { message: 'Es ist da und kennt dieses Gerät nicht mehr.', hint: 'Entkopple es auch hier und kopple beide neu.' },
  device_not_answering: { message: 'Unter seiner Adresse[ {address}] antwortet etwas, und es kommt keine Verbindung zustande[. Letzter Kontakt vor {ago:span}].', hint: 'Vielleicht hat ein anderes Gerät jetzt diese Adresse. Ist es das richtige, starte Yonder darauf neu.' },
  device_not_running: { message: 'Der Computer ist da[ ({address})], und Yonder läuft nicht darauf[. Letzter Kontakt vor {ago:span}].', hint: 'Starte Yonder darauf.' },
  device_away: { message: 'In diesem Netzwerk hat kein Gerät seine Adresse: Es ist aus, schläft, oder ist anderswo[. Letzter Kontakt vor {ago:span}].', hint: 'Schalte es ein oder wecke es. Ist es anderswo, braucht es das Internet, und beide brauchen ein Relay.' },
  device_unreachable: { message: 'Es antwortet auf keinem Weg[, auch nicht über sein Relay {relay}][; {why:term}][. Letzter Kontakt vor {ago:span}].', hint: 'Ist es an, wach und in einem Netzwerk, und läuft Yonder darauf? Dann prüfe dort die Verbindung: Vielleicht verwirft dort eine Firewall UDP.' },
  connection_timeout: { message: 'Es hat nicht rechtzeitig geantwortet.', hint: 'Was daraus folgt, steht bei „Gerät“.' },
  connection_failed: { message: 'Es kam keine Verbindung zustande.', hint: 'Was daraus folgt, steht bei „Gerät“.' },
  refused_not_paired: { message: 'Es hat abgelehnt: Es kennt dieses Gerät nicht.', hint: 'Was daraus folgt, steht bei „Gerät“.' },
  address_unknown: { message: 'Es ist keine Adresse von ihm bekannt.' },
  ok_way_lan: { message: 'Es meldet sich in diesem Netzwerk.' },
  lan_unused: { message: 'In dieser Betriebsart wird hier niemand gesucht.' },
  lan_not_seen: { message: 'Es meldet sich nicht in diesem Netzwerk.' },
  ok_way_address: { message: 'Dort antwortet ein Gerät[ nach {ms:trip}].' },
  nothing_listens: { message: 'Der Computer ist da, und auf diesem Port hört niemand zu.', hint: 'Starte Yonder darauf.' },
  nobody_there: { message: 'In diesem Netzwerk hat niemand diese Adresse.', hint: 'Wecke es auf.' },
  no_way_there: { message: 'Von hier führt kein Weg zu dieser Adresse.' },
  no_answer: { message: 'Es kommt nichts zurück.', hint: 'Sieh nach der Firewall des anderen Geräts: „Verbindung prüfen“ dort sagt es.' },
  ok_way_relay: { message: 'Sein Relay antwortet.' },
  relay_unknown: { message: 'Es ist noch über kein Relay erreicht worden.' },
  not_at_relay: { message: 'Sein Relay antwortet, und das Gerät ist dort nicht angemeldet.', hint: 'Ist es an, und im Internet?' },
  ok_way_look_up: { message: 'Dort ist es bekannt[: {addresses}].' },
  not_found: { message: 'Dort ist es nicht bekannt.' },
  ok_ping: { message: 'Yonder antwortet darauf[ nach {ms:trip}][, {path:term}].' },
  // A transfer.
  ok_transfer: { message: ['{rate:rate}: Das Netzwerk zwischen den beiden Geräten ist ganz ausgenutzt.', 'Das Netzwerk zwischen den beiden Geräten ist ganz ausgenutzt.'] },
  transfer_waiting: { message: 'Die Übertragung wartet.[ {reason:error}]', hint: 'Sie geht von selbst weiter, wenn das andere Gerät da ist.' },
  transfer_starting: { message: 'Ihre Verbindung wird gerade aufgebaut.' },
  limited_by_setting: { message: ['{rate:rate}: Die eingestellte Grenze von {limit:rate} bremst sie.', 'Die eingestellte Grenze bremst die Übertragung.'], hint: 'Heb die Grenze an oder auf, wenn das nicht gewollt ist.' },
  limited_by_loss: { message: ['{rate:rate}: Unterwegs gehen {loss:percent} der Pakete verloren.', 'Unterwegs gehen Pakete verloren.'], hint: 'Geh im WLAN näher an den Zugangspunkt, oder nimm ein Kabel.' },
  limited_by_relay: { message: ['{rate:rate}: Sie geht über ein Relay, das langsamer ist als der direkte Weg.', 'Sie geht über ein Relay, das langsamer ist als der direkte Weg.'], hint: 'Warum es keinen direkten gibt, zeigt „Verbindung prüfen“ am Gerät.' },
  limited_by_device: { message: ['{rate:rate}: Das Netzwerk könnte mehr; eine Platte oder ein Prozessor gibt das Tempo vor.', 'Das Netzwerk könnte mehr; eine Platte oder ein Prozessor gibt das Tempo vor.'], hint: 'Viele kleine Dateien und langsame Platten brauchen ihre Zeit; am Netzwerk liegt es nicht.' },
};
