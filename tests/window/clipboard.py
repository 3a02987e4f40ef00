#!/usr/bin/python3
"""Owns the clipboard with a picture: `clipboard.py FILE`. Says "ready" once it does, and stays."""
import sys

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Gdk, GdkPixbuf, GLib, Gtk  # noqa: E402

clipboard = Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD)
clipboard.set_image(GdkPixbuf.Pixbuf.new_from_file(sys.argv[1]))


def owned():
    """Asks the screen, and not only this program."""
    if clipboard.wait_is_image_available():
        print("ready", flush=True)
        return False
    return True


GLib.timeout_add(20, owned)
Gtk.main()
