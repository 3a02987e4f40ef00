//! The open database with its keys: reads and writes rows, and encrypts each value.

use std::path::{Path, PathBuf};

use redb::{
    Database, ReadOnlyDatabase, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction,
};
use zeroize::Zeroizing;

use super::{
    KeyOrder, KeyRange, Op, Row, RowPage, StorageError, Table, TableSnapshot, disk,
    keyring::{KeyId, Keyring},
    range::PageBuilder,
    schema::{Migration, MovedRow, Schema},
};
use crate::keys::{Key, random_key};

/// Metadata of the store. Not encrypted, because it is needed to decrypt the rest.
const STORE: TableDefinition<&str, &[u8]> = TableDefinition::new("store");
const SCHEMA_ROW: &str = "schema";
const KEY_ID_ROW: &str = "key_id";
const KEY_ROW: &str = "wrapped_key";

const fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

/// An open file and the key of its contents.
pub(super) struct Vault {
    path: PathBuf,
    database: Database,
    keyring: Keyring,
}

impl Vault {
    /// Opens the file, and creates it if it does not exist.
    pub(super) fn open(
        path: &Path,
        wrap: &Key,
        schema: Schema,
        opener: &dyn disk::OpenDatabase,
    ) -> Result<Self, StorageError> {
        match std::fs::symlink_metadata(path) {
            // A dangling symbolic link (a volume that is not mounted) is not the same as a missing file.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(path, wrap, schema, opener)?,
            _ => {}
        }
        // Checked before the database opens the file by its path: symbolic links are refused.
        drop(disk::open_file(path, false)?);
        refuse_newer(path, schema)?;
        let file = disk::open_file(path, false)?;
        disk::guarded(path, || {
            let database = opener(file).map_err(|error| StorageError::database(path, error))?;
            let mut vault = Self { path: path.into(), keyring: load_keyring(path, &database, wrap, schema)?, database };
            vault.migrate(schema)?;
            Ok(vault)
        })
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        let transaction = self.database.begin_read().map_err(|error| self.told(error))?;
        let rows = transaction.open_table(definition(table)).map_err(|error| self.told(error))?;
        let sealed = rows.get(key).map_err(|error| self.told(error))?;
        sealed.map(|sealed| self.keyring.open(table.name(), key, sealed.value())).transpose()
    }

    pub(super) fn list(&self, table: Table) -> Result<Vec<Row>, StorageError> {
        let transaction = self.database.begin_read().map_err(|error| self.told(error))?;
        let rows = transaction.open_table(definition(table)).map_err(|error| self.told(error))?;
        let rows = rows.iter().map_err(|error| self.told(error))?;
        rows.map(|row| {
            let (key, sealed) = row.map_err(|error| self.told(error))?;
            let value = self.keyring.open(table.name(), key.value(), sealed.value())?;
            Ok((key.value().to_vec(), value))
        })
        .collect()
    }

    /// Returns the first rows of a range. Values of other rows are not decrypted.
    pub(super) fn range(
        &self,
        table: Table,
        keys: &KeyRange,
        order: KeyOrder,
        limit: usize,
    ) -> Result<RowPage, StorageError> {
        let transaction = self.database.begin_read().map_err(|error| self.told(error))?;
        let rows = transaction.open_table(definition(table)).map_err(|error| self.told(error))?;
        let mut rows = rows.range::<&[u8]>(keys.bounds()).map_err(|error| self.told(error))?;
        let mut page = PageBuilder::new(keys, order, limit);
        let mut next = || match order {
            KeyOrder::Ascending => rows.next(),
            KeyOrder::Descending => rows.next_back(),
        };
        while let Some(row) = next() {
            let (key, sealed) = row.map_err(|error| self.told(error))?;
            let (key, sealed) = (key.value(), sealed.value());
            if page.is_full_for(sealed.len()) {
                return Ok(page.finish(true));
            }
            page.push((key.to_vec(), self.keyring.open(table.name(), key, sealed)?), sealed.len());
        }
        Ok(page.finish(false))
    }

    pub(super) fn keys(&self, table: Table) -> Result<Vec<Vec<u8>>, StorageError> {
        let transaction = self.database.begin_read().map_err(|error| self.told(error))?;
        let rows = transaction.open_table(definition(table)).map_err(|error| self.told(error))?;
        let rows = rows.iter().map_err(|error| self.told(error))?;
        let keys = rows.map(|row| row.map(|(key, _)| key.value().to_vec()));
        keys.collect::<Result<_, _>>().map_err(|error| self.told(error))
    }

    /// Reads rows of several tables in one transaction, so that they are consistent.
    pub(super) fn snapshot(&self, tables: &[Table]) -> Result<TableSnapshot, StorageError> {
        let transaction = self.database.begin_read().map_err(|error| self.told(error))?;
        let mut found = Vec::new();
        for table in tables.iter().copied() {
            let rows = transaction.open_table(definition(table)).map_err(|error| self.told(error))?;
            for row in rows.iter().map_err(|error| self.told(error))? {
                let (key, sealed) = row.map_err(|error| self.told(error))?;
                let value = self.keyring.open(table.name(), key.value(), sealed.value())?;
                found.push((table, key.value().to_vec(), value));
            }
        }
        Ok(TableSnapshot { schema: self.keyring.schema, rows: found })
    }

    /// Applies all changes in order, in one durable transaction.
    pub(super) fn write<'a>(&self, ops: impl Iterator<Item = &'a Op>) -> Result<(), StorageError> {
        let transaction = self.begin_write()?;
        for op in ops {
            match op {
                Op::Put { table, key, value } => {
                    let sealed = self.keyring.seal(table.name(), key, value)?;
                    let mut rows = transaction.open_table(definition(*table)).map_err(|error| self.told(error))?;
                    rows.insert(key.as_slice(), sealed.as_slice()).map_err(|error| self.told(error))?;
                }
                Op::Delete { table, key } => {
                    let mut rows = transaction.open_table(definition(*table)).map_err(|error| self.told(error))?;
                    rows.remove(key.as_slice()).map_err(|error| self.told(error))?;
                }
            }
        }
        self.commit(transaction)
    }

    /// Re-encrypts everything under a new key, in one transaction.
    pub(super) fn rotate(&mut self, wrap: &Key) -> Result<(), StorageError> {
        let next = self.keyring.successor()?;
        let transaction = self.begin_write()?;
        self.rekey(&transaction, &next)?;
        write_keyring(&self.path, &transaction, &next, wrap)?;
        self.commit(transaction)?;
        self.keyring = next;
        Ok(())
    }

    /// Closes the file. A failure is only logged, because everything was committed before.
    pub(super) fn close(self) {
        if let Err(error) = self.database.close() {
            tracing::warn!(%error, "the store was not closed cleanly; it mends itself when it is next opened");
        }
    }

    /// Runs the migrations in one transaction: a kill in between leaves the old version.
    fn migrate(&mut self, schema: Schema) -> Result<(), StorageError> {
        let found = self.keyring.schema;
        if found == schema.version {
            return Ok(());
        }
        let steps = schema.steps_from(found).ok_or_else(|| self.corrupt("no version of Yonder wrote this schema"))?;
        let transaction = self.begin_write()?;
        let mut keyring = self.keyring.clone();
        for (version, step) in steps {
            let next = keyring.at_schema(version);
            self.reseal(&transaction, &keyring, &next, step)?;
            keyring = next;
        }
        {
            let mut store = transaction.open_table(STORE).map_err(|error| self.told(error))?;
            let version = keyring.schema.to_le_bytes();
            store.insert(SCHEMA_ROW, version.as_slice()).map_err(|error| self.told(error))?;
        }
        self.commit(transaction)?;
        tracing::info!(from = found, to = keyring.schema, "the store was brought to the present schema");
        self.keyring = keyring;
        Ok(())
    }

    /// Re-encrypts every value under another key, one at a time: only the row keys of a table are held in memory.
    fn rekey(&self, transaction: &WriteTransaction, next: &Keyring) -> Result<(), StorageError> {
        for table in Table::ALL.iter().copied() {
            let mut rows = transaction.open_table(definition(table)).map_err(|error| self.told(error))?;
            let names = rows.iter().map_err(|error| self.told(error))?;
            let names = names.map(|row| row.map(|(key, _)| key.value().to_vec()));
            let names: Vec<_> = names.collect::<Result<_, _>>().map_err(|error| self.told(error))?;
            for key in names {
                let sealed = rows.get(key.as_slice()).map_err(|error| self.told(error))?;
                let Some(sealed) = sealed.map(|sealed| sealed.value().to_vec()) else { continue };
                let value = self.keyring.open(table.name(), &key, &sealed)?;
                let sealed = next.seal(table.name(), &key, &value)?;
                rows.insert(key.as_slice(), sealed.as_slice()).map_err(|error| self.told(error))?;
            }
        }
        Ok(())
    }

    /// Decrypts every value with one keyring, applies the migration, and encrypts the result with the other keyring.
    fn reseal(
        &self,
        transaction: &WriteTransaction,
        from: &Keyring,
        to: &Keyring,
        step: Migration,
    ) -> Result<(), StorageError> {
        let mut moved = Vec::new();
        for table in Table::ALL.iter().copied() {
            let mut rows = transaction.open_table(definition(table)).map_err(|error| self.told(error))?;
            for row in rows.iter().map_err(|error| self.told(error))? {
                let (key, sealed) = row.map_err(|error| self.told(error))?;
                let value = from.open(table.name(), key.value(), sealed.value())?;
                moved.extend(step(MovedRow { table, key: key.value().to_vec(), value })?);
            }
            rows.retain(|_, _| false).map_err(|error| self.told(error))?;
        }
        for MovedRow { table, key, value } in moved {
            let sealed = to.seal(table.name(), &key, &value)?;
            let mut rows = transaction.open_table(definition(table)).map_err(|error| self.told(error))?;
            rows.insert(key.as_slice(), sealed.as_slice()).map_err(|error| self.told(error))?;
        }
        Ok(())
    }

    fn begin_write(&self) -> Result<WriteTransaction, StorageError> {
        begin_write(&self.path, &self.database)
    }

    fn commit(&self, transaction: WriteTransaction) -> Result<(), StorageError> {
        transaction.commit().map_err(|error| self.told(error))
    }

    fn told(&self, error: impl Into<redb::Error>) -> StorageError {
        StorageError::database(&self.path, error)
    }

    fn corrupt(&self, reason: &str) -> StorageError {
        StorageError::Corrupt { path: self.path.clone(), reason: reason.into() }
    }
}

fn begin_write(path: &Path, database: &Database) -> Result<WriteTransaction, StorageError> {
    let mut transaction = database.begin_write().map_err(|error| StorageError::database(path, error))?;
    // Peers choose parts of the stored data, and must not be able to forge the checksum on which a one-phase commit
    // relies.
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

/// Creates the file under another name, so that it is never visible half finished.
fn create(path: &Path, wrap: &Key, schema: Schema, opener: &dyn disk::OpenDatabase) -> Result<(), StorageError> {
    let new = path.with_added_extension("new");
    disk::remove_leftover(&new)?;
    let file = disk::open_file(&new, true)?;
    let key = random_key().map_err(|_| StorageError::Random)?;
    let keyring = Keyring::new(schema.version, 1, key);
    let made = disk::guarded(&new, || {
        let told = |error: redb::Error| StorageError::database(&new, error);
        let database = opener(file).map_err(|error| told(error.into()))?;
        let transaction = begin_write(&new, &database)?;
        for table in Table::ALL {
            transaction.open_table(definition(*table)).map_err(|error| told(error.into()))?;
        }
        write_keyring(&new, &transaction, &keyring, wrap)?;
        transaction.commit().map_err(|error| told(error.into()))?;
        database.close().map_err(|error| told(error.into()))
    });
    if let Err(error) = made {
        // The first error is the one to report.
        let _ = disk::remove_leftover(&new);
        return Err(error);
    }
    disk::put_in_place(&new, path)
}

fn write_keyring(
    path: &Path,
    transaction: &WriteTransaction,
    keyring: &Keyring,
    wrap: &Key,
) -> Result<(), StorageError> {
    let told = |error: redb::Error| StorageError::database(path, error);
    let wrapped = keyring.wrap(wrap)?;
    let mut store = transaction.open_table(STORE).map_err(|error| told(error.into()))?;
    let (schema, id) = (keyring.schema.to_le_bytes(), keyring.id.to_le_bytes());
    for (row, value) in [(SCHEMA_ROW, schema.as_slice()), (KEY_ID_ROW, id.as_slice()), (KEY_ROW, &wrapped)] {
        store.insert(row, value).map_err(|error| told(error.into()))?;
    }
    Ok(())
}

/// Reads the version before the file is opened for writing, which would change it. A file that was not closed cleanly
/// cannot be read this way; its version is checked later, after the database has repaired itself.
fn refuse_newer(path: &Path, schema: Schema) -> Result<(), StorageError> {
    let found = disk::guarded(path, || {
        let told = |error: redb::Error| StorageError::database(path, error);
        let database = ReadOnlyDatabase::open(path).map_err(|error| told(error.into()))?;
        read_number(path, &database, SCHEMA_ROW)
    });
    match found {
        Ok(found) if found > schema.version => Err(StorageError::Newer { found, known: schema.version }),
        Err(error @ (StorageError::AlreadyRunning | StorageError::NotWritable { .. })) => Err(error),
        _ => Ok(()),
    }
}

fn load_keyring(path: &Path, database: &Database, wrap: &Key, schema: Schema) -> Result<Keyring, StorageError> {
    let found = read_number(path, database, SCHEMA_ROW)?;
    if found > schema.version {
        return Err(StorageError::Newer { found, known: schema.version });
    }
    let id: KeyId = read_number(path, database, KEY_ID_ROW)?;
    Keyring::unwrap_key(found, id, &read_store_row(path, database, KEY_ROW)?, wrap)
}

fn read_number(path: &Path, database: &impl ReadableDatabase, row: &str) -> Result<u32, StorageError> {
    let bytes = read_store_row(path, database, row)?;
    let bytes = bytes.as_slice().try_into();
    bytes
        .map(u32::from_le_bytes)
        .map_err(|_| StorageError::Corrupt { path: path.into(), reason: format!("{row} is not a number") })
}

fn read_store_row(path: &Path, database: &impl ReadableDatabase, row: &str) -> Result<Vec<u8>, StorageError> {
    let told = |error: redb::Error| StorageError::database(path, error);
    let missing = || StorageError::Corrupt { path: path.into(), reason: format!("{row} is missing") };
    let transaction = database.begin_read().map_err(|error| told(error.into()))?;
    let store = match transaction.open_table(STORE) {
        Err(TableError::TableDoesNotExist(_)) => return Err(missing()),
        other => other.map_err(|error| told(error.into()))?,
    };
    let value = store.get(row).map_err(|error| told(error.into()))?;
    value.map(|value| value.value().to_vec()).ok_or_else(missing)
}
