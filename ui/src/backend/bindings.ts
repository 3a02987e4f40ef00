// Made from src-tauri/core/src/api by `YONDER_BLESS=1 cargo test -p yonder-core bindings`. Do not edit.

export type DeviceId = string;

export type TransferId = string;

export type Arg = number | string;

export type ApiError = { 
/**
 * Stable code; the only part that a program may match on.
 */
code: string, 
/**
 * Description, one sentence in English.
 */
message: string, 
/**
 * Hint what a person can do about it; may be empty.
 */
hint: string, 
/**
 * Names and figures that `message` and `hint` mention, for sentences in other languages. `case` tells errors of one
 * code apart. `os` is a stable name of an error of the system. `detail` is technical text of a library or of the
 * system, and is shown apart.
 */
args?: { [key in string]: Arg }, };

export type DeviceType = "desktop" | "laptop" | "server" | "phone";

export type IdentityView = { 
/**
 * UUIDv8 derived from the endpoint id.
 */
device_id: DeviceId, 
/**
 * Public key, 64 hex digits.
 */
endpoint_id: string, 
/**
 * Name that other people see.
 */
name: string, 
/**
 * Kind of machine.
 */
type: DeviceType, 
/**
 * Bound UDP port; 0 while the network is not up.
 */
port: number, 
/**
 * Addresses `IP:PORT` at which it can be reached, as far as known.
 */
addresses: Array<string>, 
/**
 * `yonder:` link with id and addresses; it does not pair.
 */
ticket: string, 
/**
 * Keystore of the root secret.
 */
keystore: KeystoreView, };

export type KeystoreView = "keychain" | "file" | "plain";

export type DeviceState = "discovered" | "pairing" | "connecting" | "connected" | "offline";

export type ConnectionState = "connecting" | "connected" | "idle" | "closing";

export type ConnectionView = { 
/**
 * Protocol of the connection: `message/1.0`.
 */
protocol: string, 
/**
 * State of the connection.
 */
state: ConnectionState, 
/**
 * Path of its packets; `null` while it is being made.
 */
path: PathKind | null, 
/**
 * Destination of its packets: `IP:PORT` or a relay's URL.
 */
address: string | null, 
/**
 * Round trip in milliseconds, smoothed.
 */
rtt_ms: number | null, 
/**
 * Share of packets sent from here that were lost since the connection was made, 0 to 1.
 */
loss: number, 
/**
 * Congestion window in bytes: how much may be in flight at once.
 */
cwnd: number, 
/**
 * Path MTU in bytes, as far as known.
 */
mtu: number, 
/**
 * Bytes sent, including all overhead.
 */
bytes_sent: number, 
/**
 * Bytes received, including all overhead.
 */
bytes_received: number, 
/**
 * Unix time in seconds at which the connection was made.
 */
since: number | null, };

export type PathKind = "direct" | "relay";

export type TrustLevel = "own" | "other" | "blocked";

export type DeviceAccept = "default" | "ask" | "always";

export type DeviceRule = { 
/**
 * Rule for its offers.
 */
accept: DeviceAccept, 
/**
 * With `always`: maximum number of bytes a day, beyond which the user is asked.
 */
up_to: number | null, 
/**
 * With `always`: target folder; `null` means the download folder.
 */
into: string | null, };

export type AcceptRule = "ask" | "paired" | "none";

export type ConflictRule = "keep-both" | "skip" | "replace";

export type MessageState = "queued" | "delivered" | "received";

export type MessageView = { 
/**
 * Place among the texts with this device, from 1.
 */
id: number, 
/**
 * Device of the conversation.
 */
device_id: DeviceId, 
/**
 * Sent or received.
 */
direction: Direction, 
/**
 * The text, chosen by a person. Text, never markup.
 */
text: string, 
/**
 * Unix time in milliseconds, by the sender's clock.
 */
sent_at: number, 
/**
 * State of the text.
 */
state: MessageState, };

export type Unread = { 
/**
 * Id of the device.
 */
device_id: DeviceId, 
/**
 * Number of unread texts.
 */
count: number, };

export type NameProposal = { 
/**
 * The proposed name. Text, never markup.
 */
name: string, 
/**
 * True if it can be accepted. A name that looks like that of another paired device cannot.
 */
is_free: boolean, };

export type DeviceView = { 
/**
 * UUIDv8 derived from the endpoint id.
 */
device_id: DeviceId, 
/**
 * Public key, 64 hex digits.
 */
endpoint_id: string, 
/**
 * Name of the device here, chosen by its owner. No two paired devices have names that look the same. Text, never
 * markup.
 */
name: string, 
/**
 * Another name that it announces. It takes effect only when the user accepts it.
 */
announced: NameProposal | null, 
/**
 * Kind of machine that it claims to be.
 */
type: DeviceType, 
/**
 * State of the device.
 */
state: DeviceState, 
/**
 * True if both sides hold a record of the other.
 */
paired: boolean, 
/**
 * True if it advertises an open pairing code on the LAN.
 */
pairing: boolean, 
/**
 * True if it was sighted on the LAN and has not left since.
 */
nearby: boolean, 
/**
 * Path of its packets, if there is a session.
 */
path: PathKind | null, 
/**
 * Round trip in milliseconds, if there is a session.
 */
rtt_ms: number | null, 
/**
 * Destination of packets, if there is a session: `IP:PORT` or a relay's URL.
 */
address: string | null, 
/**
 * Key exchange group of TLS, such as `X25519MLKEM768`.
 */
key_exchange: string | null, 
/**
 * Every connection with it, the one for messages first; empty when it is offline.
 */
connections: Array<ConnectionView>, 
/**
 * Trust level; meaningful when paired.
 */
trust: TrustLevel, 
/**
 * Rule for its offers; meaningful when paired.
 */
rule: DeviceRule, 
/**
 * Unix time in seconds at which the present pairing secret became valid.
 */
secret_since: number | null, 
/**
 * Unix time in seconds of the pairing.
 */
paired_at: number | null, 
/**
 * Unix time in seconds of the last contact.
 */
last_seen: number | null, };

export type Grant = { "code": "presence" } | { "code": "texts" } | { "code": "offers_asked" } | { "code": "offers_accepted", 
/**
 * Maximum number of bytes a day; `null` means no limit.
 */
up_to: number | null, 
/**
 * Target folder; `null` means the download folder.
 */
into: string | null, } | { "code": "offers_declined" };

export type PairingNote = "no_relay_yet" | "publishing" | "findable" | "publish_failing" | "looking" | "no_look_up_server" | "found_connecting";

export type PairingRole = "host" | "joiner";

export type PairingView = { "step": "idle" } | { "step": "hosting", 
/**
 * Words of the code: `brave-lion-sunset`.
 */
words: string, 
/**
 * `yonder:` link with the address and its own secret; shown as the QR code.
 */
link: string, 
/**
 * The link as a QR code: rows of `#` (dark) and `.` (light), without a quiet zone.
 */
qr: Array<string>, 
/**
 * Seconds until the code expires.
 */
expires_in: number, 
/**
 * Number of wrong codes that may still be tried, by all peers together.
 */
attempts_left: number, 
/**
 * With five words: whether they can be found on the internet yet.
 */
note?: PairingNote, } | { "step": "joining", 
/**
 * Name of the host that is being tried, once known.
 */
host: string | null, 
/**
 * With five words: the present activity.
 */
note?: PairingNote, } | { "step": "confirm", 
/**
 * Role of this device.
 */
role: PairingRole, 
/**
 * Name that the other device claims.
 */
name: string, 
/**
 * Name that it will have here: that of an earlier pairing, or with a number if the name looks like that of
 * another paired device.
 */
called: string, 
/**
 * Kind of machine that it claims to be.
 */
type: DeviceType, 
/**
 * Two words that both screens show: `amber-falcon`.
 */
check_words: string, 
/**
 * Permissions of the other device as one of the user's own.
 */
grants: Array<Grant>, 
/**
 * Permissions of the other device as somebody else's.
 */
grants_other: Array<Grant>, 
/**
 * True if this side has approved and waits for the other.
 */
approved: boolean, } | { "step": "paired", 
/**
 * The new device.
 */
device: DeviceView, } | { "step": "failed", 
/**
 * Reason of the failure.
 */
error: ApiError, };

export type Direction = "send" | "receive";

export type TransferState = "offered" | "queued" | "active" | "paused" | "waiting" | "done" | "failed" | "declined" | "cancelled";

export type TransferOptions = { 
/**
 * Compress chunks if a sample shows that it pays.
 */
compress: boolean, 
/**
 * Encrypt file data with keys of its own beneath TLS. Off uses TLS only.
 */
encrypt: boolean, 
/**
 * Maximum rate in bytes a second; `null` means no limit.
 */
limit: number | null, 
/**
 * Wait for an offline device, also across restarts of this node. Off, the transfer fails if the device cannot be
 * reached.
 */
wait: boolean, };

export type Note = { "code": "skipped", "args": { 
/**
 * Path at the sender. Text, never markup.
 */
path: string, 
/**
 * Code of the reason.
 */
reason: string, } } | { "code": "failed", "args": { 
/**
 * Path in the offer. Text, never markup.
 */
path: string, 
/**
 * Code of the reason.
 */
reason: string, } } | { "code": "saved_as", "args": { 
/**
 * Path in the offer, with escapes where it is not plain text. Text, never markup.
 */
path: string, 
/**
 * Name on the receiver's disk. Text, never markup.
 */
name: string, } } | { "code": "named_twice", "args": { 
/**
 * Path at the sender. Text, never markup.
 */
path: string, } } | { "code": "already_there", "args": { 
/**
 * Number of files.
 */
count: number, } } | { "code": "trashed", "args": { 
/**
 * Number of files.
 */
count: number, } } | { "code": "not_trashed", "args": { 
/**
 * Path of the new file in the offer. Text, never markup.
 */
path: string, } } | { "code": "skipped_there", "args": { 
/**
 * Number of missing files and folders.
 */
count: number, } } | { "code": "not_executable", "args": { 
/**
 * Number of files.
 */
count: number, } } | { "code": "text", "args": { 
/**
 * The sentence.
 */
text: string, } };

export type Amount = { 
/**
 * Number of files.
 */
files: number, 
/**
 * Size in bytes.
 */
bytes: number, };

export type Survey = { 
/**
 * Number of files.
 */
files: number, 
/**
 * Size of the files in bytes.
 */
bytes: number, 
/**
 * Number of files and folders that would be left out.
 */
skipped: number, 
/**
 * Number of left-out entries by reason, with the codes of the table in `docs/cli.md`.
 */
reasons: Record<string, number>, };

export type TransferView = { 
/**
 * Id, chosen by the sender.
 */
id: TransferId, 
/**
 * Direction of the transfer.
 */
direction: Direction, 
/**
 * Id of the other device.
 */
device: DeviceId, 
/**
 * Name of the other device.
 */
device_name: string, 
/**
 * State of the transfer.
 */
state: TransferState, 
/**
 * Reason for which it failed, waits, was declined or cancelled, or is done but incomplete.
 */
reason: ApiError | null, 
/**
 * Names of the top-level entries of the offer, at most 20. Text, never markup.
 */
roots: Array<string>, 
/**
 * Number of top-level entries of the offer.
 */
root_count: number, 
/**
 * Number of files (not folders); of the accepted ones, once the receiver has decided.
 */
files: number, 
/**
 * Number of files that the receiver has verified and stored under their names.
 */
files_done: number, 
/**
 * Bytes that the receiver holds.
 */
bytes: number, 
/**
 * Size of all of these files in bytes; while `growing`, as much as is known so far.
 */
total: number, 
/**
 * True while this is one file that is still being written, whose length is not known yet.
 */
growing: boolean, 
/**
 * The complete offer, if the receiver accepted only a part of it: `files` of `offered.files` were accepted. `null`
 * if all were, or before the decision.
 */
offered: Amount | null, 
/**
 * Number of files and folders that are left out: they could not be listed, were not accepted, or could not be
 * transferred. Complete, unlike the notes.
 */
skipped: number, 
/**
 * Number of left-out entries by the code of their reason. At most 33 codes; further ones count as `other`.
 */
reasons: Record<string, number>, 
/**
 * Smoothed rate in bytes a second; 0 while no data is transferred.
 */
rate: number, 
/**
 * Remaining seconds at this rate.
 */
eta: number | null, 
/**
 * Whole seconds of silence of the other device, if it is long enough to mean trouble. Only while data should be
 * transferred.
 */
silent: number | null, 
/**
 * Unix time in seconds of the offer.
 */
started: number, 
/**
 * Seconds of actual transfer so far, without pauses and disconnected times. Equal on both sides, up to the delay
 * of a packet, and up to five seconds if a side was killed.
 */
seconds: number | null, 
/**
 * Mean rate over these seconds in bytes a second. Data that the receiver already had does not count.
 */
mean_rate: number | null, 
/**
 * Target folder, for people to read; only for `receive`.
 */
into: string | null, 
/**
 * Names in that folder under which it is stored, at most 20; they may differ from the offered ones. Empty until
 * something is stored.
 */
landed: Array<string>, 
/**
 * Maximum rate of this transfer in bytes a second.
 */
limit: number | null, 
/**
 * Position among the queued and active outgoing transfers, from 1; `null` for others.
 */
place: number | null, 
/**
 * Notes for people: examples of left-out entries and changed names, at most 100, and at most 5 KiB.
 */
notes: Array<Note>, };

export type OfferEntry = { 
/**
 * Number of the entry in the offer.
 */
index: number, 
/**
 * Name at the sender, with escapes where it is not plain text. Text, never markup.
 */
name: string, 
/**
 * True for a folder.
 */
folder: boolean, 
/**
 * Size in bytes of the file, or of all files in the folder.
 */
size: number, 
/**
 * Number of files in the folder at any depth; 1 for a file.
 */
files: number, 
/**
 * Modification time, Unix time in seconds.
 */
mtime: number, 
/**
 * True if the name begins with a dot, which hides it on Unix.
 */
hidden?: boolean, 
/**
 * True if opening it starts a program, as for a launcher or a shortcut.
 */
runs?: boolean, };

export type OfferPage = { 
/**
 * Entries, in the order of the offer.
 */
entries: Array<OfferEntry>, 
/**
 * Number of all entries of the folder.
 */
total: number, };

export type PingView = { 
/**
 * Each round trip in milliseconds, in order.
 */
rtt_ms: Array<number>, 
/**
 * Path of the packets.
 */
path: PathKind | null, 
/**
 * Minimum in milliseconds.
 */
min: number, 
/**
 * Median in milliseconds.
 */
median: number, 
/**
 * 99th percentile in milliseconds.
 */
p99: number, };

export type Discoverable = "everyone" | "paired" | "nobody";

export type Switch = "on" | "off";

export type RelayChoice = "nearest" | "own-first" | "fixed";

export type RelayView = { 
/**
 * URL of the relay.
 */
url: string, 
/**
 * True for a relay of the user, false for a public one.
 */
own: boolean, 
/**
 * True if the rule allows it as the home relay now.
 */
chosen: boolean, 
/**
 * True for the home relay, at which others find this device.
 */
home: boolean, 
/**
 * True for the home relay while its connection is up.
 */
connected: boolean, 
/**
 * Round trip in milliseconds, when last measured.
 */
latency_ms: number | null, 
/**
 * Fault of the relay: `relay_refused`, `relay_unreachable`.
 */
error: ApiError | null, };

export type Settings = { 
/**
 * Name of this device.
 */
name: string, 
/**
 * Kind of machine.
 */
type: DeviceType, 
/**
 * Absolute path of the download folder.
 */
download_dir: string, 
/**
 * Global rule for offers.
 */
accept: AcceptRule, 
/**
 * Visibility of this device on the LAN.
 */
discoverable: Discoverable, 
/**
 * Rate limit in bytes a second for all transfers together, in each direction; 0 means no limit.
 */
limit: number, 
/**
 * Number of outgoing transfers that send at the same time, 1 to 16; others are queued.
 */
parallel: number, 
/**
 * Default rule for names that exist already. The user may choose another one for an offer.
 */
conflict: ConflictRule, 
/**
 * Look for paired devices, and publish this one, in the mainline DHT.
 */
dht: Switch, 
/**
 * URLs of custom relays; as text, separated by spaces. Empty means only the public ones.
 */
relays: Array<string>, 
/**
 * Rule that chooses this device's home relay.
 */
relay_choice: RelayChoice, 
/**
 * True if a token for custom relays is stored. The token itself is never shown; `set_relay_token` sets it.
 */
relay_token: boolean, 
/**
 * Settings that an option of this run overrides, by name, with that option. They cannot be changed during this
 * run.
 */
overridden?: { [key in string]: string }, };

export type SecretText = string;

export type KeychainState = "ready" | "locked" | "absent" | "broken";

export type KeystoreStatus = { 
/**
 * Keystore that holds the valid secret.
 */
keystore: KeystoreView, 
/**
 * Reason for which the secret cannot be read there now; `null` if it can, or if only a passphrase would tell.
 */
problem: ApiError | null, 
/**
 * State of this machine's keychain, whether it is used or not.
 */
keychain: KeychainState, 
/**
 * Keystores that may still hold copies after a move. They are removed as soon as possible.
 */
leftovers: Array<KeystoreView>, };

export type BackupView = { 
/**
 * Path of the file.
 */
path: string, 
/**
 * Number of paired devices in the backup.
 */
devices: number, 
/**
 * Length of the file in bytes.
 */
bytes: number, };

export type CheckStatus = "ok" | "info" | "warning" | "failed";

export type CheckView = { 
/**
 * Stable name of the check: `port`, `relay`, `device`. Several checks may have one name, each with a subject.
 */
name: string, 
/**
 * Subject, if there are several checks of the name: a relay's URL, a device's name, an address. Text, never
 * markup.
 */
subject?: string, 
/**
 * Result of the check.
 */
status: CheckStatus, 
/**
 * Stable code of the result, present unless it is `ok`: `port_taken`.
 */
code?: string, 
/**
 * Description of the result, in a sentence.
 */
detail: string, 
/**
 * Hint what a person can do about it; empty if there is nothing to do.
 */
hint: string, 
/**
 * Names and figures in `detail` and `hint`, for translations of both. Text, never markup.
 */
args?: { [key in string]: string }, };

export type DoctorConnection = { 
/**
 * Id of the device at the other end.
 */
device_id: DeviceId, 
/**
 * Name of the device, chosen by its owner. Text, never markup.
 */
device: string, 
/**
 * Protocol of the connection: `message/1.0`.
 */
protocol: string, 
/**
 * State of the connection.
 */
state: ConnectionState, 
/**
 * Path of its packets; `null` while it is being made.
 */
path: PathKind | null, 
/**
 * Destination of its packets: `IP:PORT` or a relay's URL.
 */
address: string | null, 
/**
 * Round trip in milliseconds, smoothed.
 */
rtt_ms: number | null, 
/**
 * Share of packets sent from here that were lost since the connection was made, 0 to 1.
 */
loss: number, 
/**
 * Congestion window in bytes: how much may be in flight at once.
 */
cwnd: number, 
/**
 * Path MTU in bytes, as far as known.
 */
mtu: number, 
/**
 * Bytes sent, including all overhead.
 */
bytes_sent: number, 
/**
 * Bytes received, including all overhead.
 */
bytes_received: number, 
/**
 * Unix time in seconds at which the connection was made.
 */
since: number | null, };

export type DoctorReport = { 
/**
 * Checks, in a readable order.
 */
checks: Array<CheckView>, 
/**
 * Open connections.
 */
connections: Array<DoctorConnection>, 
/**
 * Redacted report as text, to be copied or sent: without secrets, names of people, complete addresses or ids.
 */
report: string, 
/**
 * Folder of the logs.
 */
logs: string, 
/**
 * Duration in milliseconds.
 */
took_ms: number, };

export type FileId = { 
/**
 * Number of the file system.
 */
device: number, 
/**
 * Number of the file in it.
 */
inode: number, };

export type Given = { 
/**
 * File that the caller found at the path. The node refuses the path if it finds another one, as it may in another
 * container.
 */
seen: FileId | null, 
/**
 * Name in the offer; `null` means the file's own.
 */
name: string | null, 
/**
 * True if the file was read from a stream into the data directory's `spool`. It is removed when the transfer has
 * ended.
 */
spooled: boolean, 
/**
 * True while the stream is still being read, by a process that holds an exclusive lock on the file and takes the right to
 * write from it once it is complete. Nothing else is sent with it.
 */
growing: boolean, };

export type Request = { "cmd": "snapshot" } | { "cmd": "identity" } | { "cmd": "devices" } | { "cmd": "pair_host", 
/**
 * Approve without asking, once the code is proven. Not for the page.
 */
approve: boolean, 
/**
 * With `approve`: trust level of the device; `null` means one of the user's own.
 */
level: TrustLevel | null, 
/**
 * Number of words: three for a device on the same network, five for one anywhere.
 */
words: number, } | { "cmd": "pair_join", 
/**
 * Three or five words, or a `yonder:` link.
 */
code: string, 
/**
 * A nearby device, or `ENDPOINT_ID@IP:PORT`; `null` tries devices that advertise pairing, at most three.
 */
device: string | null, 
/**
 * Approve without asking, once the code is proven. Not for the page.
 */
approve: boolean, 
/**
 * With `approve`: trust level of the device; `null` means one of the user's own.
 */
level: TrustLevel | null, } | { "cmd": "pair_answer", 
/**
 * The user's answer. The page may only reject; for approval it asks the shell.
 */
approve: boolean, 
/**
 * With `approve`: trust level of the device; `null` means one of the user's own.
 */
level: TrustLevel | null, 
/**
 * Check words that the user has seen: the answer applies only to a pairing with these. `null` applies to any.
 */
check_words: string | null, } | { "cmd": "pair_cancel" } | { "cmd": "complete_word", 
/**
 * The letters typed so far.
 */
prefix: string, } | { "cmd": "unpair", 
/**
 * Device to remove.
 */
device: string, } | { "cmd": "block", 
/**
 * Device to block.
 */
device: string, } | { "cmd": "unblock", 
/**
 * Device to unblock.
 */
device: string, } | { "cmd": "trust", 
/**
 * Device to change.
 */
device: string, 
/**
 * The user's own device, or somebody else's; `null` keeps the present level.
 */
level: TrustLevel | null, 
/**
 * Rule for the device's offers; `null` keeps the present rule.
 */
accept: DeviceAccept | null, 
/**
 * With `always`: maximum number of bytes a day, beyond which the user is asked; `null` means no limit.
 */
up_to: number | null, 
/**
 * With `always`: absolute path of an existing folder; `null` means the download folder. The page may not name
 * one.
 */
into: string | null, } | { "cmd": "take_name", 
/**
 * Device to rename.
 */
device: string, 
/**
 * Name that the user has seen. Another one is not accepted.
 */
name: string, } | { "cmd": "rotate_secret", 
/**
 * Device of the pairing.
 */
device: string, } | { "cmd": "rename", 
/**
 * 1 to 64 characters, no control characters.
 */
name: string, } | { "cmd": "keystore" } | { "cmd": "keystore_move", 
/**
 * Target keystore.
 */
to: KeystoreView, 
/**
 * Passphrase of the encrypted file, if the secret is there now.
 */
passphrase: SecretText | null, 
/**
 * Passphrase of the encrypted file, if the secret is moved there.
 */
new_passphrase: SecretText | null, } | { "cmd": "keystore_rotate" } | { "cmd": "keystore_backup", 
/**
 * Absolute path of a file that does not exist yet.
 */
path: string, 
/**
 * Passphrase of the backup, at least 8 characters.
 */
backup_passphrase: SecretText, 
/**
 * Passphrase of the encrypted file, if the secret is there now.
 */
passphrase: SecretText | null, } | { "cmd": "settings" } | { "cmd": "set_setting", 
/**
 * Name of the setting, a field of `Settings`.
 */
key: string, 
/**
 * New value, as text.
 */
value: string, } | { "cmd": "set_relay_token", 
/**
 * Token of at most 512 characters that an HTTP header permits; `null` deletes the stored one.
 */
token: SecretText | null, } | { "cmd": "relays", 
/**
 * Measure the permitted relays first, which takes at most 3 s.
 */
probe: boolean, } | { "cmd": "survey", 
/**
 * Absolute paths.
 */
paths: Array<string>, } | { "cmd": "send", 
/**
 * Receiving device.
 */
device: string, 
/**
 * Absolute paths.
 */
paths: Array<string>, 
/**
 * Facts that the caller knows about each path, in the same order; empty if it knows none.
 */
given: Array<Given>, 
/**
 * Options of the transfer.
 */
options: TransferOptions, } | { "cmd": "transfers", 
/**
 * Include transfers that have ended.
 */
all: boolean, 
/**
 * Return only transfers that match all of these words, in the name of a top-level entry, a device's name, or a
 * state. At most 200 characters are used.
 */
find: string | null, 
/**
 * Number of transfers that the caller has already, to be skipped. An empty answer means that there are no
 * more.
 */
skip?: number, } | { "cmd": "transfer", 
/**
 * Id of the transfer.
 */
id: TransferId, } | { "cmd": "accept", 
/**
 * Id of the transfer.
 */
id: TransferId, 
/**
 * Absolute path of an existing folder; `null` means the download folder. The page may not name one.
 */
into: string | null, 
/**
 * Rule for names that exist already.
 */
conflict: ConflictRule, 
/**
 * Entries to accept, by their numbers in `offer_entries`; a folder includes its contents. `null` means all. At
 * most 10,000.
 */
only: Array<number> | null, } | { "cmd": "offer_entries", 
/**
 * Id of the transfer.
 */
id: TransferId, 
/**
 * Number of the folder; `null` means the top level.
 */
parent: number | null, 
/**
 * Number of entries to skip.
 */
skip: number, 
/**
 * Maximum number of entries to return, 1 to 1000.
 */
limit: number, } | { "cmd": "decline", 
/**
 * Id of the transfer.
 */
id: TransferId, } | { "cmd": "cancel", 
/**
 * Id of the transfer.
 */
id: TransferId, } | { "cmd": "pause", 
/**
 * Id of the transfer.
 */
id: TransferId, } | { "cmd": "resume", 
/**
 * Id of the transfer.
 */
id: TransferId, } | { "cmd": "retry", 
/**
 * Id of the ended transfer.
 */
id: TransferId, } | { "cmd": "reorder", 
/**
 * Id of the transfer.
 */
id: TransferId, 
/**
 * Transfer before which it is inserted; `null` means the end of the queue.
 */
before: TransferId | null, } | { "cmd": "limit", 
/**
 * Id of the transfer.
 */
id: TransferId, 
/**
 * Bytes a second, at least 1024; `null` means no limit for this transfer.
 */
rate: number | null, } | { "cmd": "forget", 
/**
 * Id of the transfer.
 */
id: TransferId, } | { "cmd": "send_text", 
/**
 * Receiving device.
 */
device: string, 
/**
 * At most 30 KiB, without control characters except new lines and tabs.
 */
text: string, } | { "cmd": "messages", 
/**
 * Device of the conversation.
 */
device: string, 
/**
 * Return texts before this place; `null` means the newest.
 */
before: number | null, 
/**
 * Maximum number of texts, 1 to 200.
 */
limit: number, } | { "cmd": "messages_seen", 
/**
 * Device of the conversation.
 */
device: string, } | { "cmd": "ping", 
/**
 * Device to ping.
 */
device: string, 
/**
 * Number of pings, 1 to 1000.
 */
count: number, } | { "cmd": "doctor", 
/**
 * A paired device; `null` examines this node as a whole.
 */
device: string | null, };

export type Response = { "kind": "done" } | { "kind": "snapshot", "value": Snapshot } | { "kind": "identity", "value": IdentityView } | { "kind": "devices", "value": Array<DeviceView> } | { "kind": "pairing", "value": PairingView } | { "kind": "words", "value": Array<string> } | { "kind": "settings", "value": Settings } | { "kind": "relays", "value": Array<RelayView> } | { "kind": "transfer", "value": TransferView } | { "kind": "transfers", "value": Array<TransferView> } | { "kind": "survey", "value": Survey } | { "kind": "offer_entries", "value": OfferPage } | { "kind": "message", "value": MessageView } | { "kind": "messages", "value": Array<MessageView> } | { "kind": "ping", "value": PingView } | { "kind": "keystore", "value": KeystoreStatus } | { "kind": "backup", "value": BackupView } | { "kind": "doctor", "value": DoctorReport };

export type Snapshot = { 
/**
 * Number of the last event that is included.
 */
seq: number, 
/**
 * This device.
 */
identity: IdentityView, 
/**
 * Paired and nearby devices.
 */
devices: Array<DeviceView>, 
/**
 * The current pairing.
 */
pairing: PairingView, 
/**
 * Numbers of unread texts.
 */
unread: Array<Unread>, 
/**
 * Transfers, newest first, including ended ones: as many as fit into 512 KiB, shared fairly among the devices. The
 * request `transfers` returns the others.
 */
transfers: Array<TransferView>, 
/**
 * The settings.
 */
settings: Settings, 
/**
 * Status of the relays, the home relay first.
 */
relays: Array<RelayView>, };

export type Event = { "event": "ready" } & IdentityView | { "event": "identity" } & IdentityView | { "event": "device", 
/**
 * Its present state.
 */
device: DeviceView, } | { "event": "device_gone", 
/**
 * Id of the device.
 */
device_id: DeviceId, } | { "event": "pairing", 
/**
 * Its present state.
 */
pairing: PairingView, } | { "event": "paired", 
/**
 * The new device.
 */
device: DeviceView, } | { "event": "offer", 
/**
 * The offered transfer.
 */
transfer: TransferView, } | { "event": "transfer", 
/**
 * Its present state.
 */
transfer: TransferView, } | { "event": "transfer_gone", 
/**
 * Id of the transfer.
 */
id: TransferId, } | { "event": "message", 
/**
 * The text.
 */
message: MessageView, } | { "event": "settings", 
/**
 * The present settings.
 */
settings: Settings, } | { "event": "doctor_check", 
/**
 * Examined device; `null` for the node as a whole.
 */
device: DeviceId | null, 
/**
 * Result of the check.
 */
check: CheckView, } | { "event": "relays", 
/**
 * Present status, the home relay first.
 */
relays: Array<RelayView>, } | { "event": "notice", 
/**
 * Code, message and hint.
 */
error: ApiError, } | { "event": "stopping" };

export type NumberedEvent = { 
/**
 * Number of the event, 1 for the first one of a node's run.
 */
seq: number, } & ({ "event": "ready" } & IdentityView | { "event": "identity" } & IdentityView | { "event": "device", 
/**
 * Its present state.
 */
device: DeviceView, } | { "event": "device_gone", 
/**
 * Id of the device.
 */
device_id: DeviceId, } | { "event": "pairing", 
/**
 * Its present state.
 */
pairing: PairingView, } | { "event": "paired", 
/**
 * The new device.
 */
device: DeviceView, } | { "event": "offer", 
/**
 * The offered transfer.
 */
transfer: TransferView, } | { "event": "transfer", 
/**
 * Its present state.
 */
transfer: TransferView, } | { "event": "transfer_gone", 
/**
 * Id of the transfer.
 */
id: TransferId, } | { "event": "message", 
/**
 * The text.
 */
message: MessageView, } | { "event": "settings", 
/**
 * The present settings.
 */
settings: Settings, } | { "event": "doctor_check", 
/**
 * Examined device; `null` for the node as a whole.
 */
device: DeviceId | null, 
/**
 * Result of the check.
 */
check: CheckView, } | { "event": "relays", 
/**
 * Present status, the home relay first.
 */
relays: Array<RelayView>, } | { "event": "notice", 
/**
 * Code, message and hint.
 */
error: ApiError, } | { "event": "stopping" });

export type FolderChoice = "keep" | "download" | "choose";

export type QuitStep = "ask" | "shown" | "stay" | "leave";

export type LinkView = { 
/**
 * The link in its canonical form.
 */
link: string, 
/**
 * Device that the link names. Anyone can create a link that names any device: only pairing proves it.
 */
device_id: DeviceId, };

export type PageLanguage = "en" | "de";

export type Picked = { 
/**
 * Opaque id for `send_picked`.
 */
pick: string, 
/**
 * Names without their folders, at most 20. Text, never markup.
 */
names: Array<string>, 
/**
 * Number of files and folders.
 */
count: number, };

export type Sent = { 
/**
 * The transfers, in the order of the devices.
 */
transfers: Array<TransferView>, 
/**
 * Devices to which the offer failed. If there is no other device the request fails instead.
 */
refused: Array<Unsent>, 
/**
 * Names of picked entries that no longer exist, at most 20; the others were sent. Text, never markup.
 */
missing: Array<string>, };

export type Unsent = { 
/**
 * The device as named in the request.
 */
device: string, 
/**
 * Reason of the failure.
 */
error: ApiError, };

export type ShellRequest = { "cmd": "pick", 
/**
 * Choose folders instead of files.
 */
folders: boolean, } | { "cmd": "survey_picked", 
/**
 * Id from `picked` or a drop.
 */
pick: string, } | { "cmd": "send_picked", 
/**
 * Receiving devices, 1 to 64.
 */
devices: Array<string>, 
/**
 * Id from `picked` or a drop; valid once.
 */
pick: string, 
/**
 * Options of the transfers.
 */
options: TransferOptions, } | { "cmd": "accept_into", 
/**
 * Id of the transfer.
 */
id: TransferId, 
/**
 * Rule for names that exist already.
 */
conflict: ConflictRule, 
/**
 * Entries to accept, as in `accept`; `null` means all.
 */
only: Array<number> | null, } | { "cmd": "choose_download_folder" } | { "cmd": "show_in_folder", 
/**
 * Id of the transfer.
 */
id: TransferId, } | { "cmd": "open_stored", 
/**
 * Id of the transfer.
 */
id: TransferId, } | { "cmd": "copy", 
/**
 * At most 256 KiB.
 */
text: string, } | { "cmd": "open_link", 
/**
 * At most 2048 bytes.
 */
url: string, } | { "cmd": "page_ready" } | { "cmd": "speak", 
/**
 * Chosen language.
 */
language: PageLanguage, } | { "cmd": "page_listens" } | { "cmd": "picture_file" } | { "cmd": "picture_dropped", 
/**
 * Id from the drop; valid once.
 */
pick: string, } | { "cmd": "clipboard_link" } | { "cmd": "pair_approve" } | { "cmd": "trust_rule", 
/**
 * Complete id of the device.
 */
device: string, 
/**
 * Rule for its offers.
 */
accept: DeviceAccept, 
/**
 * With `always`: maximum number of bytes a day; `null` means no limit.
 */
up_to: number | null, 
/**
 * With `always`: target folder.
 */
folder: FolderChoice, } | { "cmd": "start", 
/**
 * Passphrase of the encrypted file.
 */
passphrase: SecretText | null, 
/**
 * On a first start without a keychain: store the secret in a file under this passphrase.
 */
in_file: boolean, } | { "cmd": "restore", 
/**
 * Passphrase of the backup.
 */
backup_passphrase: SecretText, 
/**
 * Store the secret in a file under this passphrase; `null` means the keychain.
 */
passphrase: SecretText | null, } | { "cmd": "backup", 
/**
 * Passphrase of the backup.
 */
backup_passphrase: SecretText, 
/**
 * Passphrase of the encrypted file, if the secret is stored in one.
 */
passphrase: SecretText | null, } | { "cmd": "quit", 
/**
 * Step to take.
 */
step: QuitStep, };

export type ShellResponse = { "kind": "done" } | { "kind": "picked", "value": Picked } | { "kind": "survey", "value": Survey } | { "kind": "transfer", "value": TransferView } | { "kind": "sent", "value": Sent } | { "kind": "link", "value": LinkView } | { "kind": "device", "value": DeviceView } | { "kind": "backup", "value": BackupView };

export type ShellEvent = { "event": "drag_over", 
/**
 * Distance from the left.
 */
x: number, 
/**
 * Distance from the top.
 */
y: number, } | { "event": "drag_leave" } | { "event": "dropped", 
/**
 * Distance from the left.
 */
x: number, 
/**
 * Distance from the top.
 */
y: number, 
/**
 * The dropped files.
 */
picked: Picked, } | { "event": "link_opened", 
/**
 * The link.
 */
link: LinkView, } | { "event": "files_opened", 
/**
 * The files.
 */
picked: Picked, } | { "event": "open_refused", 
/**
 * Reason of the refusal.
 */
error: ApiError, } | { "event": "show_texts", 
/**
 * Device of the conversation.
 */
device: DeviceId, } | { "event": "start_failed", 
/**
 * Reason of the failure.
 */
error: ApiError, 
/**
 * Recorded keystore of this data directory; `null` on a first start.
 */
recorded: KeystoreView | null, } | { "event": "quit_asked" } | { "event": "started" } | { "event": "show", 
/**
 * Name of the view.
 */
view: string, };
