"""A secret in a file under a passphrase: the window asks for it, and the device stays who it is."""
from steps import STEP, confirm, equal, press, ready, test_id, there
from webdriver import until

PASSPHRASE, NEXT = "correct horse battery staple", "another one for the staple"


def play(stage, check):
    """A first start with a file, a wrong passphrase, the right one, and another one."""
    first = check("a first start asks for a new passphrase", lambda: begin(stage))
    who = identity(first)["device_id"]
    first.page.close()
    again = check("the next start asks, and a wrong passphrase is told", lambda: wrong(stage))
    check("the right one starts in the same window", lambda: right(again, PASSPHRASE))
    check("it is the same device", lambda: same(again, who))
    check("another passphrase is set in the settings", lambda: change(stage, again))
    again.page.close()
    last = stage.driven("locked", keystore="auto")
    check("the new one opens it", lambda: right(last, NEXT))
    check("it is still the same device", lambda: same(last, who))
    last.page.close()
    check("no passphrase is in the log or the data", lambda: nowhere(stage))


def identity(instance):
    """Who it is, and where its secret is kept."""
    return instance.page.invoke("call", {"cmd": "identity"})["ok"]["value"]


def failed(instance, code):
    """The start has failed with this code, and nothing runs any more."""
    css = test_id("start-failed") + f'[data-code="{code}"][data-busy="false"]'
    until(f"a start that failed with {code}", STEP * 2, lambda: instance.page.count(css))


def begin(stage):
    """The passphrase is typed twice, and the device starts."""
    instance = stage.driven("locked", keystore="file")
    failed(instance, "passphrase_needed")
    instance.page.type(test_id("start-passphrase"), PASSPHRASE)
    instance.page.type(test_id("start-passphrase-again"), "something else")
    press(instance.page, "start-unlock")
    assert there(instance.page, "start-passphrase-bad"), "two different passphrases were taken"
    instance.page.type(test_id("start-passphrase-again"), PASSPHRASE)
    stage.shot("new-passphrase")
    press(instance.page, "start-unlock")
    ready(instance)
    equal(identity(instance)["keystore"], "file", "where the secret is kept")
    return instance


def wrong(stage):
    """A wrong passphrase is said to be wrong, and gives no new device."""
    instance = stage.driven("locked", keystore="file")
    failed(instance, "passphrase_needed")
    equal(instance.page.count(test_id("start-passphrase-again")), 0, "fields for a new passphrase")
    instance.page.type(test_id("start-passphrase"), "wrong")
    press(instance.page, "start-unlock")
    failed(instance, "passphrase_wrong")
    stage.shot("wrong-passphrase")
    return instance


def right(instance, passphrase):
    """The device starts; the passphrase is nowhere in the page."""
    until("the field", STEP * 2, lambda: instance.page.count(test_id("start-passphrase")))
    instance.page.type(test_id("start-passphrase"), passphrase)
    press(instance.page, "start-unlock")
    ready(instance)
    equal(instance.page.run("return document.documentElement.outerHTML.includes(arguments[0])", passphrase), False, "the passphrase in the page")


def same(instance, who):
    """Its id is what it was."""
    equal(identity(instance)["device_id"], who, "device id")


def change(stage, instance):
    """The settings tell where the secret is, and change the passphrase."""
    press(instance.page, "settings-open")
    equal(instance.page.attribute(test_id("settings-keystore"), "data-keystore"), "file", "keystore in the settings")
    press(instance.page, "keystore-passphrase")
    there(instance.page, "keystore-form")
    instance.page.type(test_id("keystore-now"), "wrong")
    for field in ("keystore-fresh", "keystore-fresh-again"):
        instance.page.type(test_id(field), NEXT)
    press(instance.page, "keystore-go")
    refused = test_id("keystore-error") + '[data-code="passphrase_wrong"]'
    confirm(stage, "a", lambda: instance.page.count(refused))
    for field, text in (("keystore-now", PASSPHRASE), ("keystore-fresh", NEXT), ("keystore-fresh-again", NEXT)):
        instance.page.type(test_id(field), text)
    stage.shot("another-passphrase")
    press(instance.page, "keystore-go")
    confirm(stage, "a", lambda: instance.page.count(test_id("keystore-form")) == 0)


def nowhere(stage):
    """Neither the log nor any file of the data directory holds a passphrase."""
    folder = stage.data_dir("locked")
    for path in [stage.log("locked"), *(path for path in folder.rglob("*") if path.is_file())]:
        contents = path.read_bytes()
        for passphrase in (PASSPHRASE, NEXT):
            assert passphrase.encode() not in contents, f"a passphrase is in {path}"
