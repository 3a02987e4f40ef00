// Made from src-tauri/core/src/api by `YONDER_BLESS=1 cargo test -p yonder-core bindings`. Do not edit.

export type DeviceId = string;

export type TransferId = string;

export type ApiError = { 
/**
 * Stable; the only part that a program may match on.
 */
code: string, 
/**
 * One sentence in English.
 */
message: string, 
/**
 * What a person can do about it; may be empty.
 */
hint: string, };

export type DeviceType = "desktop" | "laptop" | "server" | "phone";

export type IdentityView = { 
/**
 * UUIDv8 made from the endpoint id.
 */
device_id: DeviceId, 
/**
 * Public key, 64 hex digits.
 */
endpoint_id: string, 
/**
 * What other people see.
 */
name: string, 
/**
 * What kind of machine it is.
 */
type: DeviceType, 
/**
 * UDP port that is bound; 0 while the network is not up yet.
 */
port: number, 
/**
 * `IP:PORT` under which it can be reached, as far as it knows.
 */
addresses: Array<string>, 
/**
 * `yonder:` link with id and addresses; it does not pair.
 */
ticket: string, 
/**
 * Where the root secret is kept.
 */
keystore: KeystoreView, };

export type KeystoreView = "keychain" | "file" | "plain";

export type DeviceState = "discovered" | "pairing" | "connecting" | "connected" | "offline";

export type ConnectionState = "connecting" | "connected" | "idle" | "closing";

export type ConnectionView = { 
/**
 * What is spoken over it: `message/1.0`.
 */
protocol: string, 
/**
 * How it stands.
 */
state: ConnectionState, 
/**
 * How packets travel; none while it is being made.
 */
path: PathKind | null, 
/**
 * Where packets go: `IP:PORT` or a relay's URL.
 */
address: string | null, 
/**
 * Round trip in milliseconds, smoothed.
 */
rtt_ms: number | null, 
/**
 * Share of the packets sent from here that were lost, 0 to 1, since it stands.
 */
loss: number, 
/**
 * Congestion window in bytes: how much may be on its way at once.
 */
cwnd: number, 
/**
 * Largest packet that is known to pass, in bytes.
 */
mtu: number, 
/**
 * Bytes sent, everything counted.
 */
bytes_sent: number, 
/**
 * Bytes received, everything counted.
 */
bytes_received: number, 
/**
 * Unix time in seconds since when it stands.
 */
since: number | null, };

export type PathKind = "direct" | "relay";

export type TrustLevel = "own" | "other" | "blocked";

export type DeviceAccept = "default" | "ask" | "always";

export type DeviceRule = { 
/**
 * What happens to its offers.
 */
accept: DeviceAccept, 
/**
 * With `always`: at most so many bytes a day; more is asked about.
 */
up_to: number | null, 
/**
 * With `always`: where they go; none means the download folder.
 */
into: string | null, };

export type AcceptRule = "ask" | "paired" | "none";

export type ConflictRule = "keep-both" | "skip" | "replace";

export type MessageState = "queued" | "delivered" | "received";

export type MessageView = { 
/**
 * Its place among the texts with this device, from 1.
 */
id: number, 
/**
 * With which device.
 */
device_id: DeviceId, 
/**
 * Sent or received.
 */
direction: Direction, 
/**
 * Chosen by a person: text, never markup.
 */
text: string, 
/**
 * Unix time in milliseconds by the sender's clock.
 */
sent_at: number, 
/**
 * How it stands.
 */
state: MessageState, };

export type Unread = { 
/**
 * Whose.
 */
device_id: DeviceId, 
/**
 * How many.
 */
count: number, };

export type NameProposal = { 
/**
 * Text, never markup.
 */
name: string, 
/**
 * It can be taken. One that looks like the name of another paired device cannot.
 */
is_free: boolean, };

export type DeviceView = { 
/**
 * UUIDv8 made from the endpoint id.
 */
device_id: DeviceId, 
/**
 * Public key, 64 hex digits.
 */
endpoint_id: string, 
/**
 * What it is called here: its owner chose it, and no two paired devices have names that look the same. Text, never markup.
 */
name: string, 
/**
 * Another name that it announces since; it is called so when a person takes it.
 */
announced: NameProposal | null, 
/**
 * What kind of machine it says it is.
 */
type: DeviceType, 
/**
 * How it stands to us.
 */
state: DeviceState, 
/**
 * Both sides hold a record of the other.
 */
paired: boolean, 
/**
 * It says on the LAN that a code of its own is open.
 */
pairing: boolean, 
/**
 * It was sighted on the LAN and has not left since.
 */
nearby: boolean, 
/**
 * How packets travel, if a session stands.
 */
path: PathKind | null, 
/**
 * Round trip in milliseconds, if a session stands.
 */
rtt_ms: number | null, 
/**
 * Where packets go, if a session stands: `IP:PORT` or a relay's URL.
 */
address: string | null, 
/**
 * What TLS agreed on for the keys of the connection, such as `X25519MLKEM768`.
 */
key_exchange: string | null, 
/**
 * Every connection with it, the one for messages first; empty when it is not there.
 */
connections: Array<ConnectionView>, 
/**
 * What it is to us; meaningful when paired.
 */
trust: TrustLevel, 
/**
 * What it may do by itself; of meaning for paired devices.
 */
rule: DeviceRule, 
/**
 * Unix time in seconds since when the present pairing secret holds.
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
 * At most so many bytes a day; none means no limit.
 */
up_to: number | null, 
/**
 * Where they go; none means the download folder.
 */
into: string | null, } | { "code": "offers_declined" };

export type PairingRole = "host" | "joiner";

export type PairingView = { "step": "idle" } | { "step": "hosting", 
/**
 * `brave-lion-sunset`.
 */
words: string, 
/**
 * `yonder:` link that carries address and a secret of its own; what the QR shows.
 */
link: string, 
/**
 * The link as a QR code: rows of `#` (dark) and `.` (light), without quiet zone.
 */
qr: Array<string>, 
/**
 * Seconds until the code burns.
 */
expires_in: number, 
/**
 * How many wrong codes may still be tried, by anyone.
 */
attempts_left: number, 
/**
 * What a person should know beside it, in a sentence: with five words, why they are not found on the internet yet.
 */
note?: string, } | { "step": "joining", 
/**
 * Name of the host that is tried now, once known.
 */
host: string | null, 
/**
 * With five words: what is being done, in a sentence.
 */
note?: string, } | { "step": "confirm", 
/**
 * Which side we are.
 */
role: PairingRole, 
/**
 * The other device's name, as it says.
 */
name: string, 
/**
 * What it will be called here: as at an earlier pairing, or with a number if the name looks like that of another
 * paired device.
 */
called: string, 
/**
 * What kind of machine it says it is.
 */
type: DeviceType, 
/**
 * Two words that both screens show: `amber-falcon`.
 */
check_words: string, 
/**
 * What the other device will be allowed as one of the person's own.
 */
grants: Array<Grant>, 
/**
 * What it will be allowed as somebody else's.
 */
grants_other: Array<Grant>, 
/**
 * This side has approved and waits for the other.
 */
approved: boolean, } | { "step": "paired", 
/**
 * The new device.
 */
device: DeviceView, } | { "step": "failed", 
/**
 * Why.
 */
error: ApiError, };

export type Direction = "send" | "receive";

export type TransferState = "offered" | "queued" | "active" | "paused" | "waiting" | "done" | "failed" | "declined" | "cancelled";

export type TransferOptions = { 
/**
 * Compress chunks where a sample says that it pays.
 */
compress: boolean, 
/**
 * Seal file data with keys of its own beneath TLS. Off leaves TLS alone.
 */
encrypt: boolean, 
/**
 * At most this many bytes a second; none means no limit.
 */
limit: number | null, 
/**
 * Wait for a device that is away, over restarts of this node too. Off, it fails when the device cannot be reached.
 */
wait: boolean, };

export type Note = { "code": "skipped", "args": { 
/**
 * Where it lies. Text, never markup.
 */
path: string, 
/**
 * Why.
 */
reason: string, } } | { "code": "failed", "args": { 
/**
 * Its path in the offer. Text, never markup.
 */
path: string, 
/**
 * Why.
 */
reason: string, } } | { "code": "saved_as", "args": { 
/**
 * Its path in the offer, escaped where it is no plain text. Text, never markup.
 */
path: string, 
/**
 * Its name on the receiver's disk. Text, never markup.
 */
name: string, } } | { "code": "named_twice", "args": { 
/**
 * Where it lies. Text, never markup.
 */
path: string, } } | { "code": "already_there", "args": { 
/**
 * How many.
 */
count: number, } } | { "code": "trashed", "args": { 
/**
 * How many.
 */
count: number, } } | { "code": "not_trashed", "args": { 
/**
 * Path in the offer of the new one. Text, never markup.
 */
path: string, } } | { "code": "skipped_there", "args": { 
/**
 * How many files and folders are missing.
 */
count: number, } } | { "code": "not_executable", "args": { 
/**
 * How many.
 */
count: number, } } | { "code": "text", "args": { 
/**
 * The sentence.
 */
text: string, } };

export type Amount = { 
/**
 * How many files.
 */
files: number, 
/**
 * How many bytes in all.
 */
bytes: number, };

export type Survey = { 
/**
 * Files.
 */
files: number, 
/**
 * Their bytes.
 */
bytes: number, 
/**
 * Files and folders that would be left out.
 */
skipped: number, 
/**
 * How many of them for which reason, by codes of the table in `docs/cli.md`.
 */
reasons: Record<string, number>, };

export type TransferView = { 
/**
 * Chosen by the sender.
 */
id: TransferId, 
/**
 * Which way it goes.
 */
direction: Direction, 
/**
 * The other device.
 */
device: DeviceId, 
/**
 * The other device's name.
 */
device_name: string, 
/**
 * Where it stands.
 */
state: TransferState, 
/**
 * Why it failed, waits, was declined or cancelled, or is done without everything.
 */
reason: ApiError | null, 
/**
 * Names of the files and folders at the top of the offer, 20 at most. Text, never markup.
 */
roots: Array<string>, 
/**
 * How many files and folders are at the top of the offer.
 */
root_count: number, 
/**
 * How many files (not folders); of those that the receiver took, once it has decided.
 */
files: number, 
/**
 * How many of them the receiver has verified and named.
 */
files_done: number, 
/**
 * Bytes that the receiver holds.
 */
bytes: number, 
/**
 * Bytes in all of these files; while `growing`, as many as are known so far.
 */
total: number, 
/**
 * Whether it is one file that is still being written, whose length is not known yet.
 */
growing: boolean, 
/**
 * What was offered, where the receiver took only a part of it: `files` of `offered.files` were taken. None where all
 * were, or nobody has decided.
 */
offered: Amount | null, 
/**
 * How many files and folders are left out: they could not be listed, were not taken, or could not be transferred.
 * Complete, unlike the notes.
 */
skipped: number, 
/**
 * The same by the code of their reason. At most 33 codes; what is beyond counts as `other`.
 */
reasons: Record<string, number>, 
/**
 * Bytes a second, smoothed; 0 when nothing moves.
 */
rate: number, 
/**
 * Seconds that are left at this rate.
 */
eta: number | null, 
/**
 * Whole seconds for which nothing was heard of the other device, if that is so long that something is wrong; only while
 * bytes should move.
 */
silent: number | null, 
/**
 * Unix time in seconds when it was offered.
 */
started: number, 
/**
 * Seconds in which bytes moved so far, without pauses and times apart; the same on both sides but for the way of a
 * packet, and for up to five seconds where a side was killed.
 */
seconds: number | null, 
/**
 * Bytes a second over these seconds, of those bytes that moved; what was there already does not count.
 */
mean_rate: number | null, 
/**
 * The folder that it lands in, for people to read; only for `receive`.
 */
into: string | null, 
/**
 * Names in that folder under which it is stored, 20 at most: what was offered may have got other names. Empty until
 * something is there.
 */
landed: Array<string>, 
/**
 * At most so many bytes a second, for this transfer alone.
 */
limit: number | null, 
/**
 * Its place among those from here that wait for their turn or are under way, from 1; none when it is not one of them.
 */
place: number | null, 
/**
 * What people should know: examples of what is left out and of names that were changed, 100 at most, and no more than
 * fit into 5 KiB.
 */
notes: Array<Note>, };

export type OfferEntry = { 
/**
 * Its number in the offer.
 */
index: number, 
/**
 * Its name at the sender, with what is no plain text escaped. Text, never markup.
 */
name: string, 
/**
 * It is a folder.
 */
folder: boolean, 
/**
 * Bytes of the file, or of all files in the folder.
 */
size: number, 
/**
 * Files in the folder at any depth; 1 for a file.
 */
files: number, 
/**
 * Unix time in seconds of its last change.
 */
mtime: number, 
/**
 * Its name is hidden by the customs of Unix: it begins with a dot.
 */
hidden?: boolean, 
/**
 * It starts a program when somebody opens it, as a launcher or a shortcut does.
 */
runs?: boolean, };

export type OfferPage = { 
/**
 * In the order of the offer.
 */
entries: Array<OfferEntry>, 
/**
 * How many there are in all.
 */
total: number, };

export type PingView = { 
/**
 * Each round trip in milliseconds, in order.
 */
rtt_ms: Array<number>, 
/**
 * How packets travel.
 */
path: PathKind | null, 
/**
 * Shortest.
 */
min: number, 
/**
 * Middle.
 */
median: number, 
/**
 * 99 of 100 were not longer.
 */
p99: number, };

export type Discoverable = "everyone" | "paired" | "nobody";

export type Switch = "on" | "off";

export type RelayChoice = "nearest" | "own-first" | "fixed";

export type RelayView = { 
/**
 * Where it is.
 */
url: string, 
/**
 * One of the person's own; a public one otherwise.
 */
own: boolean, 
/**
 * By the choice that is made, it may be the home now.
 */
chosen: boolean, 
/**
 * It is the home: others find this device there.
 */
home: boolean, 
/**
 * It is the home, and the connection to it stands.
 */
connected: boolean, 
/**
 * Round trip in milliseconds, when it was last measured.
 */
latency_ms: number | null, 
/**
 * What is the matter with it: `relay_refused`, `relay_unreachable`.
 */
error: ApiError | null, };

export type Settings = { 
/**
 * This device's name.
 */
name: string, 
/**
 * What kind of machine this is.
 */
type: DeviceType, 
/**
 * Absolute path of the folder that received files land in.
 */
download_dir: string, 
/**
 * What happens to offers.
 */
accept: AcceptRule, 
/**
 * Who may see this device on the LAN.
 */
discoverable: Discoverable, 
/**
 * At most so many bytes a second for all transfers together, in each direction; 0 means no limit.
 */
limit: number, 
/**
 * How many transfers from here send at the same time, 1 to 16; others wait for their turn.
 */
parallel: number, 
/**
 * What is done where a name is taken, unless a person says otherwise for an offer.
 */
conflict: ConflictRule, 
/**
 * Whether paired devices are looked for, and this one is left to be found, in the mainline DHT.
 */
dht: Switch, 
/**
 * URLs of the person's own relays; as text, separated by spaces. Empty means the public ones alone.
 */
relays: Array<string>, 
/**
 * Which relay may be this device's home.
 */
relay_choice: RelayChoice, 
/**
 * Whether a token is kept that own relays are shown. The token itself is never shown; `set_relay_token` sets it.
 */
relay_token: boolean, 
/**
 * Settings that an option of this run overrides, by name, and that option. They cannot be changed while it holds.
 */
overridden?: { [key in string]: string }, };

export type SecretText = string;

export type KeychainState = "ready" | "locked" | "absent" | "broken";

export type KeystoreStatus = { 
/**
 * Where the secret is that counts.
 */
keystore: KeystoreView, 
/**
 * Why it cannot be had there now; none if it can, or if only a passphrase would tell.
 */
problem: ApiError | null, 
/**
 * How the keychain of this machine stands, whether it is used or not.
 */
keychain: KeychainState, 
/**
 * Where copies may still be that a move left over; they are removed as soon as that can be done.
 */
leftovers: Array<KeystoreView>, };

export type BackupView = { 
/**
 * Where.
 */
path: string, 
/**
 * How many paired devices are in it.
 */
devices: number, 
/**
 * How long the file is.
 */
bytes: number, };

export type CheckStatus = "ok" | "info" | "warning" | "failed";

export type CheckView = { 
/**
 * What was looked at; stable: `port`, `relay`, `device`. Several checks may have the same name, each with a subject.
 */
name: string, 
/**
 * Which one, where there are several: a relay's URL, a device's name, an address. Text, never markup.
 */
subject?: string, 
/**
 * How it came out.
 */
status: CheckStatus, 
/**
 * What is the matter; stable, and there for everything that is not `ok`: `port_taken`.
 */
code?: string, 
/**
 * What was found, in a sentence.
 */
detail: string, 
/**
 * What a person can do about it; empty where there is nothing to do.
 */
hint: string, 
/**
 * Names and figures in `detail` and `hint`, for those who say both in another language. Text, never markup.
 */
args?: { [key in string]: string }, };

export type DoctorConnection = { 
/**
 * The device at the other end.
 */
device_id: DeviceId, 
/**
 * Its name. Chosen by its owner: text, never markup.
 */
device: string, 
/**
 * What is spoken over it: `message/1.0`.
 */
protocol: string, 
/**
 * How it stands.
 */
state: ConnectionState, 
/**
 * How packets travel; none while it is being made.
 */
path: PathKind | null, 
/**
 * Where packets go: `IP:PORT` or a relay's URL.
 */
address: string | null, 
/**
 * Round trip in milliseconds, smoothed.
 */
rtt_ms: number | null, 
/**
 * Share of the packets sent from here that were lost, 0 to 1, since it stands.
 */
loss: number, 
/**
 * Congestion window in bytes: how much may be on its way at once.
 */
cwnd: number, 
/**
 * Largest packet that is known to pass, in bytes.
 */
mtu: number, 
/**
 * Bytes sent, everything counted.
 */
bytes_sent: number, 
/**
 * Bytes received, everything counted.
 */
bytes_received: number, 
/**
 * Unix time in seconds since when it stands.
 */
since: number | null, };

export type DoctorReport = { 
/**
 * What was looked at, in an order that people can read.
 */
checks: Array<CheckView>, 
/**
 * The connections that stand.
 */
connections: Array<DoctorConnection>, 
/**
 * The whole as text for a clipboard or a letter: without secrets, names of people, whole addresses or ids.
 */
report: string, 
/**
 * The folder that the logs are in.
 */
logs: string, 
/**
 * How long it took, in milliseconds.
 */
took_ms: number, };

export type FileId = { 
/**
 * The file system's number.
 */
device: number, 
/**
 * Its number there.
 */
inode: number, };

export type Given = { 
/**
 * What it found there. The node refuses the path if it finds something else, as it does in another container.
 */
seen: FileId | null, 
/**
 * The name under which it arrives; none means its own.
 */
name: string | null, 
/**
 * It was read from a stream into the data directory's `spool`, and is removed when the transfer has ended.
 */
spooled: boolean, 
/**
 * Whether the stream is still being read, by a process that holds an exclusive lock on the file and takes the right to
 * write from it once it is complete. Nothing else is sent with it.
 */
growing: boolean, };

export type Request = { "cmd": "snapshot" } | { "cmd": "identity" } | { "cmd": "devices" } | { "cmd": "pair_host", 
/**
 * Approve without asking, once the code is proven. Not for the page.
 */
approve: boolean, 
/**
 * With `approve`: whose device it is; none means one of the person's own.
 */
level: TrustLevel | null, 
/**
 * Three words for a device on the same network; five for one that is anywhere.
 */
words: number, } | { "cmd": "pair_join", 
/**
 * Three or five words, or a `yonder:` link.
 */
code: string, 
/**
 * A nearby device, or `ENDPOINT_ID@IP:PORT`; none tries those that say they are pairing, three at most.
 */
device: string | null, 
/**
 * Approve without asking, once the code is proven. Not for the page.
 */
approve: boolean, 
/**
 * With `approve`: whose device it is; none means one of the person's own.
 */
level: TrustLevel | null, } | { "cmd": "pair_answer", 
/**
 * The person's word. The page may only reject: it asks the shell to have the person approve.
 */
approve: boolean, 
/**
 * With `approve`: whose device it is; none means one of the person's own.
 */
level: TrustLevel | null, 
/**
 * The check words that the person has seen: a pairing with others is not answered. None answers the one that waits.
 */
check_words: string | null, } | { "cmd": "pair_cancel" } | { "cmd": "complete_word", 
/**
 * What has been typed of one word.
 */
prefix: string, } | { "cmd": "unpair", 
/**
 * Which.
 */
device: string, } | { "cmd": "block", 
/**
 * Which.
 */
device: string, } | { "cmd": "unblock", 
/**
 * Which.
 */
device: string, } | { "cmd": "trust", 
/**
 * Which.
 */
device: string, 
/**
 * One of the person's own, or somebody else's; none leaves it as it is.
 */
level: TrustLevel | null, 
/**
 * Another rule for what it offers; none leaves it as it is.
 */
accept: DeviceAccept | null, 
/**
 * With `always`: at most so many bytes a day, more is asked about; none means no limit.
 */
up_to: number | null, 
/**
 * With `always`: absolute path of an existing folder; none means the download folder. The page may not name one.
 */
into: string | null, } | { "cmd": "take_name", 
/**
 * Which.
 */
device: string, 
/**
 * The name that the person has seen: another one is not taken.
 */
name: string, } | { "cmd": "rotate_secret", 
/**
 * Which.
 */
device: string, } | { "cmd": "rename", 
/**
 * 1 to 64 characters, no control characters.
 */
name: string, } | { "cmd": "keystore" } | { "cmd": "keystore_move", 
/**
 * Where to.
 */
to: KeystoreView, 
/**
 * Of the encrypted file, if the secret is there now.
 */
passphrase: SecretText | null, 
/**
 * Of the encrypted file, if the secret goes there.
 */
new_passphrase: SecretText | null, } | { "cmd": "keystore_rotate" } | { "cmd": "keystore_backup", 
/**
 * Absolute path of a file that is not there yet.
 */
path: string, 
/**
 * What the file is to be opened with: 8 characters at least.
 */
backup_passphrase: SecretText, 
/**
 * Of the encrypted file, if the secret is there now.
 */
passphrase: SecretText | null, } | { "cmd": "settings" } | { "cmd": "set_setting", 
/**
 * A field of [`Settings`].
 */
key: string, 
/**
 * The new value, as text.
 */
value: string, } | { "cmd": "set_relay_token", 
/**
 * Of at most 512 characters that can stand in a line of HTTP; none forgets the one that is kept.
 */
token: SecretText | null, } | { "cmd": "relays", 
/**
 * Those that may be used are asked first, which takes 3 s at most.
 */
probe: boolean, } | { "cmd": "survey", 
/**
 * Absolute paths.
 */
paths: Array<string>, } | { "cmd": "send", 
/**
 * To whom.
 */
device: string, 
/**
 * Absolute paths.
 */
paths: Array<string>, 
/**
 * What the caller knows of each of them, in the same order; empty where it knows nothing.
 */
given: Array<Given>, 
/**
 * How.
 */
options: TransferOptions, } | { "cmd": "transfers", 
/**
 * With those that have ended, too.
 */
all: boolean, 
/**
 * Only those in which every one of these words is found: in a name at the top, a device's name, or a state. At
 * most 200 characters count.
 */
find: string | null, 
/**
 * How many of them the caller has already: those come after. None are left where the answer is empty.
 */
skip?: number, } | { "cmd": "transfer", 
/**
 * Which.
 */
id: TransferId, } | { "cmd": "accept", 
/**
 * Which.
 */
id: TransferId, 
/**
 * Absolute path of an existing folder; none means the download folder. The page may not name one.
 */
into: string | null, 
/**
 * What to do where a name is taken.
 */
conflict: ConflictRule, 
/**
 * Which entries, by their numbers in `offer_entries`; a folder stands for all that is in it. None means all.
 * At most 10,000.
 */
only: Array<number> | null, } | { "cmd": "offer_entries", 
/**
 * Which.
 */
id: TransferId, 
/**
 * Number of a folder; none means the top.
 */
parent: number | null, 
/**
 * How many entries of it are passed over.
 */
skip: number, 
/**
 * How many are wanted, 1 to 1000.
 */
limit: number, } | { "cmd": "decline", 
/**
 * Which.
 */
id: TransferId, } | { "cmd": "cancel", 
/**
 * Which.
 */
id: TransferId, } | { "cmd": "pause", 
/**
 * Which.
 */
id: TransferId, } | { "cmd": "resume", 
/**
 * Which.
 */
id: TransferId, } | { "cmd": "retry", 
/**
 * Which.
 */
id: TransferId, } | { "cmd": "reorder", 
/**
 * Which.
 */
id: TransferId, 
/**
 * The one before which it comes; none means the last place.
 */
before: TransferId | null, } | { "cmd": "limit", 
/**
 * Which.
 */
id: TransferId, 
/**
 * At least 1024; none means no limit of its own.
 */
rate: number | null, } | { "cmd": "forget", 
/**
 * Which.
 */
id: TransferId, } | { "cmd": "send_text", 
/**
 * To whom.
 */
device: string, 
/**
 * At most 30 KiB; no control characters but new lines and tabs.
 */
text: string, } | { "cmd": "messages", 
/**
 * With which.
 */
device: string, 
/**
 * Those before this place; none means the newest.
 */
before: number | null, 
/**
 * How many, 1 to 200.
 */
limit: number, } | { "cmd": "messages_seen", 
/**
 * Which.
 */
device: string, } | { "cmd": "ping", 
/**
 * Whom.
 */
device: string, 
/**
 * How many, 1 to 1000.
 */
count: number, } | { "cmd": "doctor", 
/**
 * A paired device; none looks at this one and at all.
 */
device: string | null, };

export type Response = { "kind": "done" } | { "kind": "snapshot", "value": Snapshot } | { "kind": "identity", "value": IdentityView } | { "kind": "devices", "value": Array<DeviceView> } | { "kind": "pairing", "value": PairingView } | { "kind": "words", "value": Array<string> } | { "kind": "settings", "value": Settings } | { "kind": "relays", "value": Array<RelayView> } | { "kind": "transfer", "value": TransferView } | { "kind": "transfers", "value": Array<TransferView> } | { "kind": "survey", "value": Survey } | { "kind": "offer_entries", "value": OfferPage } | { "kind": "message", "value": MessageView } | { "kind": "messages", "value": Array<MessageView> } | { "kind": "ping", "value": PingView } | { "kind": "keystore", "value": KeystoreStatus } | { "kind": "backup", "value": BackupView } | { "kind": "doctor", "value": DoctorReport };

export type Snapshot = { 
/**
 * Number of the last event that is contained in this.
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
 * The pairing.
 */
pairing: PairingView, 
/**
 * Texts that the person has not seen.
 */
unread: Array<Unread>, 
/**
 * Transfers, newest first, those that ended too: as many as fit into 512 KiB, of each device alike. The request
 * `transfers` gives the others.
 */
transfers: Array<TransferView>, 
/**
 * The settings.
 */
settings: Settings, 
/**
 * The relays, the home first.
 */
relays: Array<RelayView>, };

export type Event = { "event": "ready" } & IdentityView | { "event": "identity" } & IdentityView | { "event": "device", 
/**
 * As it is now.
 */
device: DeviceView, } | { "event": "device_gone", 
/**
 * Which.
 */
device_id: DeviceId, } | { "event": "pairing", 
/**
 * As it is now.
 */
pairing: PairingView, } | { "event": "paired", 
/**
 * Which.
 */
device: DeviceView, } | { "event": "offer", 
/**
 * What.
 */
transfer: TransferView, } | { "event": "transfer", 
/**
 * As it is now.
 */
transfer: TransferView, } | { "event": "transfer_gone", 
/**
 * Which.
 */
id: TransferId, } | { "event": "message", 
/**
 * As it is now.
 */
message: MessageView, } | { "event": "settings", 
/**
 * As they are now.
 */
settings: Settings, } | { "event": "doctor_check", 
/**
 * The device that was asked about; none means all.
 */
device: DeviceId | null, 
/**
 * What was found.
 */
check: CheckView, } | { "event": "relays", 
/**
 * As they are now, the home first.
 */
relays: Array<RelayView>, } | { "event": "notice", 
/**
 * What.
 */
error: ApiError, } | { "event": "stopping" };

export type NumberedEvent = { 
/**
 * 1 for the first event of a node's life.
 */
seq: number, } & ({ "event": "ready" } & IdentityView | { "event": "identity" } & IdentityView | { "event": "device", 
/**
 * As it is now.
 */
device: DeviceView, } | { "event": "device_gone", 
/**
 * Which.
 */
device_id: DeviceId, } | { "event": "pairing", 
/**
 * As it is now.
 */
pairing: PairingView, } | { "event": "paired", 
/**
 * Which.
 */
device: DeviceView, } | { "event": "offer", 
/**
 * What.
 */
transfer: TransferView, } | { "event": "transfer", 
/**
 * As it is now.
 */
transfer: TransferView, } | { "event": "transfer_gone", 
/**
 * Which.
 */
id: TransferId, } | { "event": "message", 
/**
 * As it is now.
 */
message: MessageView, } | { "event": "settings", 
/**
 * As they are now.
 */
settings: Settings, } | { "event": "doctor_check", 
/**
 * The device that was asked about; none means all.
 */
device: DeviceId | null, 
/**
 * What was found.
 */
check: CheckView, } | { "event": "relays", 
/**
 * As they are now, the home first.
 */
relays: Array<RelayView>, } | { "event": "notice", 
/**
 * What.
 */
error: ApiError, } | { "event": "stopping" });

export type FolderChoice = "keep" | "download" | "choose";

export type QuitStep = "ask" | "shown" | "stay" | "leave";

export type LinkView = { 
/**
 * The link, in the one form that it has here.
 */
link: string, 
/**
 * The device that it names. Anyone can make a link that names any device: only pairing proves it.
 */
device_id: DeviceId, };

export type PageLanguage = "en" | "de";

export type Picked = { 
/**
 * Opaque; names them in `send_picked`.
 */
pick: string, 
/**
 * Last parts of the paths, 20 at most. Text, never markup.
 */
names: Array<string>, 
/**
 * How many in all.
 */
count: number, };

export type Sent = { 
/**
 * The transfers, in the order of the devices.
 */
transfers: Array<TransferView>, 
/**
 * The devices that it could not be offered to. If there is no other, the request fails instead.
 */
refused: Array<Unsent>, 
/**
 * Names of what was picked or dropped and is not there any more, 20 at most; the rest was sent. Text, never markup.
 */
missing: Array<string>, };

export type Unsent = { 
/**
 * Which, as it was named.
 */
device: string, 
/**
 * Why.
 */
error: ApiError, };

export type ShellRequest = { "cmd": "pick", 
/**
 * Folders instead of files.
 */
folders: boolean, } | { "cmd": "survey_picked", 
/**
 * From `picked` or a drop.
 */
pick: string, } | { "cmd": "send_picked", 
/**
 * To whom, 1 to 64.
 */
devices: Array<string>, 
/**
 * From `picked` or a drop; good for one use.
 */
pick: string, 
/**
 * How.
 */
options: TransferOptions, } | { "cmd": "accept_into", 
/**
 * Which offer.
 */
id: TransferId, 
/**
 * What to do where a name is taken.
 */
conflict: ConflictRule, 
/**
 * Which entries, as in `accept`; none means all.
 */
only: Array<number> | null, } | { "cmd": "choose_download_folder" } | { "cmd": "show_in_folder", 
/**
 * Which transfer.
 */
id: TransferId, } | { "cmd": "open_stored", 
/**
 * Which transfer.
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
 * Which.
 */
language: PageLanguage, } | { "cmd": "page_listens" } | { "cmd": "picture_file" } | { "cmd": "picture_dropped", 
/**
 * From the drop; good for one use.
 */
pick: string, } | { "cmd": "clipboard_link" } | { "cmd": "pair_approve" } | { "cmd": "trust_rule", 
/**
 * Which device, by its whole id.
 */
device: string, 
/**
 * What happens to its offers.
 */
accept: DeviceAccept, 
/**
 * With `always`: at most so many bytes a day; none means no limit.
 */
up_to: number | null, 
/**
 * With `always`: where they go.
 */
folder: FolderChoice, } | { "cmd": "start", 
/**
 * Of the encrypted file.
 */
passphrase: SecretText | null, 
/**
 * On a first start without a keychain: keep the secret in a file under this passphrase.
 */
in_file: boolean, } | { "cmd": "restore", 
/**
 * Of the backup.
 */
backup_passphrase: SecretText, 
/**
 * Keep the secret in a file under this passphrase; none: in the keychain.
 */
passphrase: SecretText | null, } | { "cmd": "backup", 
/**
 * Of the backup.
 */
backup_passphrase: SecretText, 
/**
 * Of the encrypted file, where the secret is kept in one.
 */
passphrase: SecretText | null, } | { "cmd": "quit", 
/**
 * Which.
 */
step: QuitStep, };

export type ShellResponse = { "kind": "done" } | { "kind": "picked", "value": Picked } | { "kind": "survey", "value": Survey } | { "kind": "transfer", "value": TransferView } | { "kind": "sent", "value": Sent } | { "kind": "link", "value": LinkView } | { "kind": "device", "value": DeviceView } | { "kind": "backup", "value": BackupView };

export type ShellEvent = { "event": "drag_over", 
/**
 * From the left.
 */
x: number, 
/**
 * From the top.
 */
y: number, } | { "event": "drag_leave" } | { "event": "dropped", 
/**
 * From the left.
 */
x: number, 
/**
 * From the top.
 */
y: number, 
/**
 * What.
 */
picked: Picked, } | { "event": "link_opened", 
/**
 * Which.
 */
link: LinkView, } | { "event": "files_opened", 
/**
 * What.
 */
picked: Picked, } | { "event": "open_refused", 
/**
 * Why.
 */
error: ApiError, } | { "event": "show_texts", 
/**
 * Which device.
 */
device: DeviceId, } | { "event": "start_failed", 
/**
 * Why.
 */
error: ApiError, 
/**
 * Where the secret of this data directory is kept; none on a first start.
 */
recorded: KeystoreView | null, } | { "event": "quit_asked" } | { "event": "started" } | { "event": "show", 
/**
 * Which.
 */
view: string, };
