//! File operations that wait for a free descriptor.

use std::{fs::File, io, path::Path, sync::Arc};

use cap_std::fs::Dir;

use crate::{
    budget::with_descriptor,
    fs::ops::{FileOps, FileStat, Mtime},
};

/// Repeats each operation for some seconds while no descriptor is free. Blocking.
pub struct WaitingFiles(pub Arc<dyn FileOps>);

macro_rules! steps {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        impl FileOps for WaitingFiles {
            $(fn $name(&self, $($arg: $type),*) -> io::Result<$out> {
                with_descriptor(|| self.0.$name($($arg),*))
            })*
        }
    };
}

steps! {
    open_root(path: &Path) -> Dir;
    make_root(path: &Path) -> ();
    free_space(dir: &Dir) -> u64;
    create_dir(dir: &Dir, name: &[u8], mode: Option<u16>) -> ();
    open_dir(dir: &Dir, name: &[u8]) -> Dir;
    create_file(dir: &Dir, name: &[u8], mode: Option<u16>) -> File;
    open_file(dir: &Dir, name: &[u8]) -> File;
    open_read(dir: &Dir, name: &[u8]) -> File;
    write_at(file: &File, bytes: &[u8], offset: u64) -> ();
    set_len(file: &File, len: u64) -> ();
    clear(file: &File, offset: u64, len: u64) -> ();
    set_meta(file: &File, mtime: Mtime, mode: Option<u16>) -> ();
    set_dir_time(dir: &Dir, mtime: Mtime) -> ();
    set_dir_mode(dir: &Dir, mode: u16) -> ();
    sync_file(file: &File) -> ();
    sync_volume(dir: &Dir) -> ();
    sync_dir(dir: &Dir) -> ();
    rename_new(from: &Dir, name: &[u8], to: &Dir, new: &[u8]) -> ();
    rename_folder(from: &Dir, name: &[u8], to: &Dir, new: &[u8]) -> ();
    stat(dir: &Dir, name: &[u8]) -> FileStat;
    trash(dir: &Dir, name: &[u8]) -> ();
    remove_file(dir: &Dir, name: &[u8]) -> ();
    remove_dir(dir: &Dir, name: &[u8]) -> ();
}
