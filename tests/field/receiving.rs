//! What arrives: permissions, names, folders, a disk that is full.
