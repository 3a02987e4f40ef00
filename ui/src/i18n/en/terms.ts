// Stable names in arguments of errors, in English. They are clauses within a sentence.

export const terms: Record<string, string> = {
  // Errors of the system.
  not_found: 'it is not there',
  permission_denied: 'the right to do it is missing',
  already_exists: 'it is there already',
  not_a_folder: 'it is not a folder',
  is_a_folder: 'it is a folder',
  folder_not_empty: 'the folder is not empty',
  read_only: 'the file system is read-only',
  disk_full: 'the disk is full',
  quota_exceeded: 'the quota on the disk is used up',
  file_too_large: 'the file is too large',
  in_use: 'another program is using it',
  other_disk: 'it is on another disk',
  too_many_links: 'it has too many links',
  name_not_possible: 'the name is not possible here',
  not_supported: 'the system cannot do it',
  ended_early: 'its end is missing',
  out_of_memory: 'there is not enough memory',
  stale_handle: 'the network drive does not know the file any more',
  timed_out: 'no answer came',
  connection_refused: 'the connection was refused',
  connection_lost: 'the connection was lost',
  address_in_use: 'another program holds it',
  address_not_here: 'the address is not one of this machine’s',
  network_down: 'the network is down',
  unreachable: 'there is no way to it',
  disk_failed: 'the disk reports an error',
  no_device: 'the device is not there',
  too_many_open_files: 'as many files are open as the system allows',

  // Places of the secret.
  keychain: 'keychain',
  file: 'encrypted file',
  plain: 'plain file',
};
