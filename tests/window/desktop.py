#!/usr/bin/python3
"""What a desktop offers on the session bus, as far as the window needs it: a watcher of tray icons, notifications, and,
when asked to, a file manager and the portal that opens files.

Says what happens, one JSON object a line on stdout; does what it is told, one JSON list a line on stdin:
`["act", ID, ACTION]` presses a button of a notification, `["menu"]` lists the tray menu, `["click", LABEL]` clicks there,
`["own", NAME]` and `["leave", NAME]` let the file manager or the portal come and go.
"""
import json
import os
import sys

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

WATCHER = """<node><interface name='org.kde.StatusNotifierWatcher'>
  <method name='RegisterStatusNotifierItem'><arg type='s' direction='in'/></method>
  <method name='RegisterStatusNotifierHost'><arg type='s' direction='in'/></method>
  <property name='RegisteredStatusNotifierItems' type='as' access='read'/>
  <property name='IsStatusNotifierHostRegistered' type='b' access='read'/>
  <property name='ProtocolVersion' type='i' access='read'/>
  <signal name='StatusNotifierItemRegistered'><arg type='s'/></signal>
</interface></node>"""

NOTIFICATIONS = """<node><interface name='org.freedesktop.Notifications'>
  <method name='GetCapabilities'><arg type='as' direction='out'/></method>
  <method name='GetServerInformation'>
    <arg type='s' direction='out'/><arg type='s' direction='out'/><arg type='s' direction='out'/><arg type='s' direction='out'/>
  </method>
  <method name='Notify'>
    <arg type='s' direction='in'/><arg type='u' direction='in'/><arg type='s' direction='in'/><arg type='s' direction='in'/>
    <arg type='s' direction='in'/><arg type='as' direction='in'/><arg type='a{sv}' direction='in'/>
    <arg type='i' direction='in'/><arg type='u' direction='out'/>
  </method>
  <method name='CloseNotification'><arg type='u' direction='in'/></method>
  <signal name='ActionInvoked'><arg type='u'/><arg type='s'/></signal>
  <signal name='NotificationClosed'><arg type='u'/><arg type='u'/></signal>
</interface></node>"""

FILES = """<node><interface name='org.freedesktop.FileManager1'>
  <method name='ShowItems'><arg type='as' direction='in'/><arg type='s' direction='in'/></method>
  <method name='ShowFolders'><arg type='as' direction='in'/><arg type='s' direction='in'/></method>
</interface></node>"""

PORTAL = """<node><interface name='org.freedesktop.portal.OpenURI'>
  <method name='OpenFile'>
    <arg type='s' direction='in'/><arg type='h' direction='in'/><arg type='a{sv}' direction='in'/><arg type='o' direction='out'/>
  </method>
  <method name='OpenDirectory'>
    <arg type='s' direction='in'/><arg type='h' direction='in'/><arg type='a{sv}' direction='in'/><arg type='o' direction='out'/>
  </method>
</interface></node>"""

bus = Gio.bus_get_sync(Gio.BusType.SESSION)
items = []
shown = 0


def say(**what):
    """One line for the test."""
    print(json.dumps(what), flush=True)


def watcher_called(_bus, sender, _path, _interface, method, arguments, invocation):
    """Somebody registers an icon: by its bus name, or by its path on the caller's connection."""
    (name,) = arguments.unpack()
    if method == "RegisterStatusNotifierItem":
        item = (sender, name) if name.startswith("/") else (name, "/StatusNotifierItem")
        items.append(item)
        say(item=item)
    invocation.return_value(None)


def watcher_property(_bus, _sender, _path, _interface, name):
    """What the watcher shows of itself."""
    return {
        "RegisteredStatusNotifierItems": GLib.Variant("as", [owner + path for owner, path in items]),
        "IsStatusNotifierHostRegistered": GLib.Variant("b", True),
        "ProtocolVersion": GLib.Variant("i", 0),
    }[name]


def notifications_called(_bus, sender, _path, interface, method, arguments, invocation):
    """Somebody shows or takes back a notification."""
    global shown
    if method == "GetCapabilities":
        invocation.return_value(GLib.Variant("(as)", (["actions", "body", "body-markup"],)))
    elif method == "GetServerInformation":
        invocation.return_value(GLib.Variant("(ssss)", ("test", "yonder", "1", "1.2")))
    elif method == "Notify":
        _app, _replaces, _icon, title, body, actions, _hints, _timeout = arguments.unpack()
        shown += 1
        say(notify=shown, title=title, body=body, actions=actions[0::2], labels=actions[1::2])
        invocation.return_value(GLib.Variant("(u)", (shown,)))
    else:
        (number,) = arguments.unpack()
        say(closed=number)
        invocation.return_value(None)
        bus.emit_signal(sender, "/org/freedesktop/Notifications", interface, "NotificationClosed",
                        GLib.Variant("(uu)", (number, 3)))


def files_called(_bus, _sender, _path, _interface, method, arguments, invocation):
    """Somebody wants files shown."""
    addresses, _startup = arguments.unpack()
    say(shown=addresses, method=method)
    invocation.return_value(None)


def portal_called(_bus, sender, _path, _interface, method, arguments, invocation):
    """Somebody hands over a file to be opened or shown: which, says the kernel. The answer comes as a signal."""
    _parent, handle, options = arguments.unpack()
    descriptor = invocation.get_message().get_unix_fd_list().get(handle)
    where = os.readlink(f"/proc/self/fd/{descriptor}")
    os.close(descriptor)
    token = options["handle_token"]
    request = f"/org/freedesktop/portal/desktop/request/{sender[1:].replace('.', '_')}/{token}"
    say(portal=where, method=method)
    invocation.return_value(GLib.Variant("(o)", (request,)))
    bus.emit_signal(sender, request, "org.freedesktop.portal.Request", "Response", GLib.Variant("(ua{sv})", (0, {})))


def ask(owner, path, interface, method, arguments):
    """Calls a method of the app's."""
    return bus.call_sync(owner, path, interface, method, arguments, None, Gio.DBusCallFlags.NONE, 5000, None).unpack()


def is_there(owner):
    """Somebody has this name on the bus."""
    (found,) = ask("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner",
                   GLib.Variant("(s)", (owner,)))
    return found


def menu():
    """Bus name, path, and the entries `{label: id}` of the newest icon's menu, of those whose program still runs."""
    owner, path = next(item for item in reversed(items) if is_there(item[0]))
    (where,) = ask(owner, path, "org.freedesktop.DBus.Properties", "Get",
                   GLib.Variant("(ss)", ("org.kde.StatusNotifierItem", "Menu")))
    _revision, (_id, _properties, children) = ask(owner, where, "com.canonical.dbusmenu", "GetLayout",
                                                  GLib.Variant("(iias)", (0, -1, [])))
    entries = {properties.get("label", ""): number for number, properties, _children in children}
    return owner, where, entries


def told(channel, _condition):
    """Does what stands on the next line."""
    line = channel.readline()
    if not line:
        loop.quit()
        return False
    what, *words = json.loads(line)
    try:
        if what == "act":
            bus.emit_signal(None, "/org/freedesktop/Notifications", "org.freedesktop.Notifications", "ActionInvoked",
                            GLib.Variant("(us)", tuple(words)))
        elif what == "menu":
            say(menu=[label for label in menu()[2] if label])
        elif what == "click":
            owner, where, entries = menu()
            ask(owner, where, "com.canonical.dbusmenu", "Event",
                GLib.Variant("(isvu)", (entries[words[0]], "clicked", GLib.Variant("s", ""), 0)))
            say(clicked=words[0])
        elif what == "own":
            owned[words[0]] = own(words[0])
        elif what == "leave":
            Gio.bus_unown_name(owned.pop(words[0]))
            say(left=words[0])
    except (GLib.Error, KeyError, IndexError) as error:
        say(error=f"{what}: {type(error).__name__}: {error}")
    return True


def own(name):
    """Takes a name on the bus, and says so when it has it."""
    return Gio.bus_own_name_on_connection(bus, name, Gio.BusNameOwnerFlags.NONE, lambda _bus, name: say(owns=name), None)


def badge(_bus, _sender, _path, _interface, _signal, arguments):
    """The number on the icon, as docks hear it."""
    entry, shown = arguments.unpack()
    say(badge=shown["count"] if shown["count-visible"] else 0, entry=entry)


bus.signal_subscribe(None, "com.canonical.Unity.LauncherEntry", "Update", None, None, Gio.DBusSignalFlags.NONE, badge)
owned = {}
for xml, place, called, prop in (
    (WATCHER, "/StatusNotifierWatcher", watcher_called, watcher_property),
    (NOTIFICATIONS, "/org/freedesktop/Notifications", notifications_called, None),
    (FILES, "/org/freedesktop/FileManager1", files_called, None),
    (PORTAL, "/org/freedesktop/portal/desktop", portal_called, None),
):
    bus.register_object(place, Gio.DBusNodeInfo.new_for_xml(xml).interfaces[0], called, prop, None)
for usual in ("org.kde.StatusNotifierWatcher", "org.freedesktop.Notifications"):
    own(usual)
GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, told)
loop = GLib.MainLoop()
loop.run()
