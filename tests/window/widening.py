"""A script in the page asks for everything that there is to ask: nothing widens what other devices may do, unless a person
says so in a dialog that no script can reach."""
import json
import re

from links import device_id
from stage import ROOT
from steps import CONFIRM, STEP, confirm, equal, snapshot
from webdriver import until

NOBODY = "00000000-0000-4000-8000-000000000000"
OPTIONS = {"compress": True, "encrypt": True, "limit": None, "wait": False}


def play(stage, check, one, two):
    """Of two paired devices, where one counts as somebody else's for a while."""
    other = device_id(two)
    trust = {"cmd": "trust", "device": other, "level": "other", "accept": None, "up_to": None, "into": None}
    check("what narrows trust is a click in the page", lambda: answered(one, trust))
    one.page.invoke("call", {"cmd": "pair_cancel"})
    before = standing(one)
    check("every request that there is, is tried", lambda: covered(other))
    for name, (command, request, expected) in requests(other).items():
        check(f"a script asks for {name}: {expected}", lambda c=command, r=request, e=expected: tried(stage, one, c, r, e))
        one.page.invoke("call", {"cmd": "pair_cancel"})
    check("nothing was widened", lambda: equal(standing(one), before, "what devices may do"))
    check("two questions at once are one", lambda: at_once(stage, one, trust))
    check("a person can widen it", lambda: widened(stage, one, {**trust, "level": "own"}))
    check("and that is all that changed", lambda: equal(standing(one), widen(before, other), "what devices may do"))


def requests(other):
    """Every request by a name: the command, the request, and what comes of it. `asked` shows a question that is cancelled
    here; other words are the title of a dialog for files, an error's code, `error` for any, or `ok`."""
    trust = {"cmd": "trust", "device": other, "level": None, "accept": None, "up_to": None, "into": None}
    rule = {"cmd": "trust_rule", "device": other, "accept": "always", "up_to": None, "folder": "keep"}
    setting = lambda key, value: {"cmd": "set_setting", "key": key, "value": value}  # noqa: E731
    move = {"cmd": "keystore_move", "to": "file", "passphrase": None, "new_passphrase": "a script's own"}
    backup = {"cmd": "keystore_backup", "path": "/tmp/x", "backup_passphrase": "long enough", "passphrase": None}
    join = {"cmd": "pair_join", "code": "yonder:x", "device": None, "level": None}
    answer = {"cmd": "pair_answer", "level": "own", "check_words": None}
    send = {"cmd": "send", "device": other, "paths": ["/etc/hostname"], "options": OPTIONS}
    accept = {"cmd": "accept", "id": NOBODY, "conflict": "replace", "only": None}
    picked = {"cmd": "send_picked", "devices": [other], "pick": "0" * 32, "options": OPTIONS}
    core = [
        # What widens trust.
        ("pairing without a person, as host", {"cmd": "pair_host", "approve": True, "level": "own", "words": 3}, "not_from_page"),
        ("pairing without a person, as joiner", {**join, "approve": True}, "not_from_page"),
        ("approval", {**answer, "approve": True}, "not_from_page"),
        ("one's own", {**trust, "level": "own"}, "asked"),
        ("always", {**trust, "accept": "always"}, "not_from_page"),
        ("always into a folder", {**trust, "accept": "always", "into": "/tmp"}, "not_from_page"),
        ("another device as one's own", {**trust, "device": NOBODY, "level": "own"}, "device_unknown"),
        ("unblock", {"cmd": "unblock", "device": other}, "ok"),
        ("accept by itself", setting("accept", "paired"), "asked"),
        ("replace by itself", setting("conflict", "replace"), "asked"),
        ("a relay of its own", setting("relays", "http://127.0.0.1:9"), "asked"),
        ("another folder", setting("download_dir", "/tmp"), "not_from_page"),
        ("a setting that there is not", setting("trust", "all"), "not_from_page"),
        ("the secret in a file", move, "asked"),
        ("the secret in the keychain", {**move, "to": "keychain", "new_passphrase": None}, "asked"),
        ("a backup", backup, "not_from_page"),
        ("a file", send, "not_from_page"),
        ("a look at files", {"cmd": "survey", "paths": ["/etc"]}, "not_from_page"),
        ("a folder for an offer", {**accept, "into": "/tmp"}, "not_from_page"),
        # What does not.
        ("snapshot", {"cmd": "snapshot"}, "ok"),
        ("identity", {"cmd": "identity"}, "ok"),
        ("devices", {"cmd": "devices"}, "ok"),
        ("a code", {"cmd": "pair_host", "approve": False, "level": None, "words": 3}, "ok"),
        ("a bad link", {**join, "approve": False}, "link_invalid"),
        ("rejection", {**answer, "approve": False}, "invalid_state"),
        ("no code", {"cmd": "pair_cancel"}, "ok"),
        ("words", {"cmd": "complete_word", "prefix": "su"}, "ok"),
        ("unpair", {"cmd": "unpair", "device": NOBODY}, "device_unknown"),
        ("block", {"cmd": "block", "device": NOBODY}, "device_unknown"),
        ("a name", {"cmd": "take_name", "device": other, "name": "Kitchen laptop"}, "name_not_proposed"),
        ("new keys", {"cmd": "rotate_secret", "device": other}, "ok"),
        ("this name", {"cmd": "rename", "name": "Kitchen laptop"}, "ok"),
        ("where the secret is", {"cmd": "keystore"}, "ok"),
        ("a new storage key", {"cmd": "keystore_rotate"}, "ok"),
        ("settings", {"cmd": "settings"}, "ok"),
        ("a limit", setting("limit", "0"), "ok"),
        ("no token", {"cmd": "set_relay_token", "token": None}, "setting_overridden"),
        ("relays", {"cmd": "relays", "probe": False}, "ok"),
        ("transfers", {"cmd": "transfers", "all": True, "find": None}, "ok"),
        ("a transfer", {"cmd": "transfer", "id": NOBODY}, "error"),
        ("an offer", {**accept, "into": None}, "error"),
        ("what is in it", {"cmd": "offer_entries", "id": NOBODY, "parent": None, "skip": 0, "limit": 10}, "error"),
        *((word, {"cmd": word, "id": NOBODY}, "error") for word in ("decline", "cancel", "pause", "resume", "retry", "forget")),
        ("another place", {"cmd": "reorder", "id": NOBODY, "before": None}, "error"),
        ("a limit of one", {"cmd": "limit", "id": NOBODY, "rate": None}, "error"),
        ("a text", {"cmd": "send_text", "device": NOBODY, "text": "x"}, "device_unknown"),
        ("texts", {"cmd": "messages", "device": other, "before": None, "limit": 1}, "ok"),
        ("texts as seen", {"cmd": "messages_seen", "device": other}, "ok"),
        ("round trips", {"cmd": "ping", "device": other, "count": 1}, "ok"),
        ("the doctor", {"cmd": "doctor", "device": other}, "ok"),
    ]
    shell = [
        ("approval in the window", {"cmd": "pair_approve"}, "invalid_state"),
        ("a rule", rule, "asked"),
        ("a rule with a limit", {**rule, "up_to": 1_000_000}, "asked"),
        ("a rule of nobody", {**rule, "device": NOBODY}, "device_unknown"),
        ("a rule with a folder", {**rule, "folder": "choose"}, "Choose a folder"),
        ("the download folder", {"cmd": "choose_download_folder"}, "Choose a folder"),
        ("an offer into a folder", {"cmd": "accept_into", "id": NOBODY, "conflict": "skip", "only": None}, "Choose a folder"),
        ("files", {"cmd": "pick", "folders": False}, "Choose files to send"),
        ("a picture", {"cmd": "picture_file"}, "Choose a picture of the code"),
        ("a backup of the window", {"cmd": "backup", "backup_passphrase": "long enough", "passphrase": None}, "Save the backup .*"),
        ("a backup to come back", {"cmd": "restore", "backup_passphrase": "x", "passphrase": None}, "Choose a backup"),
        ("files that nobody picked", picked, "pick_gone"),
        ("a look at what nobody picked", {"cmd": "survey_picked", "pick": "0" * 32}, "pick_gone"),
        ("a picture that nobody dropped", {"cmd": "picture_dropped", "pick": "0" * 32}, "pick_gone"),
        ("the clipboard", {"cmd": "clipboard_link"}, None),
        ("a stored file", {"cmd": "open_stored", "id": NOBODY}, "error"),
        ("its folder", {"cmd": "show_in_folder", "id": NOBODY}, "error"),
        ("a copy", {"cmd": "copy", "text": "x"}, "ok"),
        ("a script as a link", {"cmd": "open_link", "url": "javascript:alert(1)"}, None),
        ("the window", {"cmd": "page_ready"}, "ok"),
        ("a language", {"cmd": "speak", "language": "en"}, "ok"),
        ("what was opened", {"cmd": "page_listens"}, "ok"),
        ("another start", {"cmd": "start", "passphrase": None, "in_file": True}, "ok"),
        ("to stay", {"cmd": "quit", "step": "stay"}, "ok"),
    ]
    return {name: ("call", *rest) for name, *rest in core} | {name: ("shell", *rest) for name, *rest in shell}


def covered(other):
    """A request that is new has to be thought about here, too."""
    bindings = (ROOT / "ui/src/backend/bindings.ts").read_text()
    for command, kind in (("call", "Request"), ("shell", "ShellRequest")):
        text = bindings.split(f"\nexport type {kind} = ", 1)[1].split("\nexport type ", 1)[0]
        known = set(re.findall(r'"cmd": "(\w+)"', text))
        equal({request["cmd"] for way, request, _ in requests(other).values() if way == command}, known, f"{kind} that are tried")


def tried(stage, one, command, request, expected):
    """Asks, as a script would that waits for nobody."""
    if expected is None:
        # Whatever is on the clipboard, or says about a link: it is an answer.
        one.page.invoke(command, request)
    elif expected in ("asked",) or " " in expected:
        begin(one, command, request)
        cancelled(stage, CONFIRM if expected == "asked" else expected)
        answer = until("an answer", STEP, lambda: one.page.run("return window.__answer"))
        if expected == "asked":
            equal(answer.get("error", {}).get("code"), "not_confirmed", request["cmd"])
        else:
            assert "ok" in answer or answer["error"]["code"] == "invalid_state", f"{request['cmd']}: {answer}"
    else:
        answer = one.page.invoke(command, request)
        code = "ok" if "ok" in answer else answer["error"]["code"]
        equal("error" if expected == "error" and code != "ok" else code, expected, request["cmd"])


def begin(one, command, request):
    """Does not wait for the answer: it comes when somebody has closed the dialog."""
    script = """
        const [command, request] = arguments;
        window.__answer = null;
        window.__TAURI_INTERNALS__.invoke(command, { request: JSON.parse(request) })
            .then((ok) => { window.__answer = { ok }; }, (error) => { window.__answer = { error }; });
    """
    one.page.run(script, command, json.dumps(request))


def cancelled(stage, title):
    """Closes a dialog as a person does who does not know what it wants."""

    def dialogs():
        return stage.xdotool("search", "--onlyvisible", "--name", f"^{title}$").split()

    def closed():
        found = dialogs()
        if found:
            stage.xdotool("windowfocus", "--sync", found[-1])
            stage.xdotool("key", "Escape")
        return not dialogs()

    until(f"the dialog {title!r}", STEP, dialogs)
    until("its end", STEP, closed)


def answered(one, request):
    """Done at once, without a question."""
    answer = one.page.invoke("call", request)
    assert "ok" in answer, f"{request}: {answer}"


def at_once(stage, one, trust):
    """A second question does not come up behind the first."""
    begin(one, "call", {**trust, "level": "own"})
    until("the question", STEP, lambda: stage.xdotool("search", "--onlyvisible", "--name", f"^{CONFIRM}$"))
    answer = one.page.invoke("call", {"cmd": "set_setting", "key": "accept", "value": "paired"})
    equal(answer.get("error", {}).get("code"), "not_confirmed", "a second question")
    cancelled(stage, CONFIRM)


def widened(stage, one, request):
    """The same, and a person allows it."""
    begin(one, "call", request)
    confirm(stage, "a", lambda: one.page.run("return window.__answer"))
    answer = one.page.run("return window.__answer")
    assert "ok" in answer, f"{request}: {answer}"


def standing(one):
    """What other devices may do here, and where the secret is."""
    view = snapshot(one)
    devices = {each["device_id"]: (each["name"], each["trust"], each["rule"]) for each in view["devices"] if each["paired"]}
    return {"devices": devices, "settings": view["settings"], "keystore": view["identity"]["keystore"], "pairing": view["pairing"]}


def widen(standing_before, other):
    """The one change that a person confirmed."""
    name, _, rule = standing_before["devices"][other]
    return {**standing_before, "devices": {**standing_before["devices"], other: (name, "own", rule)}}
