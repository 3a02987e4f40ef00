//! Devices that restart or move: data flows again within seconds.
