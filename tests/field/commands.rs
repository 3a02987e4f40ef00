//! Commands that answer truthfully: settings, hints, exit status.
