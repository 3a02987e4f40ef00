#!/usr/bin/python3
"""A window at X Y from which FILES can be dragged, as out of a file manager. Says `ready` once it is on the screen and
`ended` after each drag."""
import pathlib
import sys

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("Gdk", "3.0")
from gi.repository import Gdk, Gtk  # noqa: E402

x, y, *files = sys.argv[1:]
uris = [pathlib.Path(file).resolve().as_uri() for file in files]

window = Gtk.Window(title="drag source")
window.set_default_size(240, 120)
window.move(int(x), int(y))
handle = Gtk.EventBox()
handle.add(Gtk.Label(label="Drag me"))
handle.drag_source_set(Gdk.ModifierType.BUTTON1_MASK, [], Gdk.DragAction.COPY)
handle.drag_source_add_uri_targets()
handle.connect("drag-data-get", lambda _widget, _context, data, _info, _time: data.set_uris(uris))
handle.connect("drag-end", lambda _widget, _context: print("ended", flush=True))
window.add(handle)
window.connect("map-event", lambda _widget, _event: print("ready", flush=True))
window.connect("destroy", Gtk.main_quit)
window.show_all()
Gtk.main()
