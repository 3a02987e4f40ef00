//! Decrypted rows of a store, for import into another one: the contents of a backup beside the root secret.
//!
//! ```text
//! schema u32 | rows u32 | each row: table u8 + name | key u16 + bytes | value u32 + bytes
//! ```
//! Numbers are little endian; each part is preceded by its length.

use zeroize::Zeroizing;

use super::{
    MAX_KEY_LEN, MAX_OPS, MAX_VALUE_LEN, Op, StorageError, Table,
    schema::{self, MovedRow, Schema},
};

/// Rows of some tables as of one moment, with their schema version.
pub struct TableSnapshot {
    pub(super) schema: u32,
    pub(super) rows: Vec<(Table, Vec<u8>, Zeroizing<Vec<u8>>)>,
}

impl TableSnapshot {
    /// Returns the number of rows of this table.
    pub fn count(&self, table: Table) -> usize {
        self.rows.iter().filter(|(of, ..)| *of == table).count()
    }

    /// Encodes the snapshot. The bytes contain secrets in plaintext.
    ///
    /// # Errors
    /// When there are more rows than one write could restore.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, StorageError> {
        if self.rows.len() > MAX_OPS {
            return Err(StorageError::TooLarge);
        }
        let length = |(table, key, value): &(Table, Vec<u8>, Zeroizing<Vec<u8>>)| {
            1 + table.name().len() + 2 + key.len() + 4 + value.len()
        };
        // Allocated at full size: a growing vector leaves copies of the secrets behind.
        let mut out = Zeroizing::new(Vec::with_capacity(8 + self.rows.iter().map(length).sum::<usize>()));
        out.extend_from_slice(&self.schema.to_le_bytes());
        out.extend_from_slice(&short::<u32>(self.rows.len())?.to_le_bytes());
        for (table, key, value) in &self.rows {
            out.push(short(table.name().len())?);
            out.extend_from_slice(table.name().as_bytes());
            out.extend_from_slice(&short::<u16>(key.len())?.to_le_bytes());
            out.extend_from_slice(key);
            out.extend_from_slice(&short::<u32>(value.len())?.to_le_bytes());
            out.extend_from_slice(value);
        }
        Ok(out)
    }

    /// Decodes a snapshot.
    ///
    /// # Errors
    /// When a newer version wrote it, or it is damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        Self::decode_as(bytes, schema::CURRENT)
    }

    pub(super) fn decode_as(mut bytes: &[u8], known: Schema) -> Result<Self, StorageError> {
        let rest = &mut bytes;
        let found = u32::from_le_bytes(chunk(rest)?);
        if found > known.version {
            return Err(StorageError::Newer { found, known: known.version });
        }
        let count = u32::from_le_bytes(chunk(rest)?) as usize;
        if count > MAX_OPS {
            return Err(StorageError::SnapshotBroken);
        }
        // Grows with the data that exists, not with the claimed count.
        let mut rows = Vec::new();
        for _ in 0..count {
            let [length] = chunk(rest)?;
            let name = take(rest, length.into())?;
            // A table unknown to this version would belong to a newer schema.
            let table = Table::ALL.iter().copied().find(|table| table.name().as_bytes() == name);
            let table = table.ok_or(StorageError::SnapshotBroken)?;
            let length = usize::from(u16::from_le_bytes(chunk(rest)?));
            let key = take(rest, length)?.to_vec();
            let length = u32::from_le_bytes(chunk(rest)?) as usize;
            let value = Zeroizing::new(take(rest, length)?.to_vec());
            if key.is_empty() || key.len() > MAX_KEY_LEN || value.len() > MAX_VALUE_LEN {
                return Err(StorageError::SnapshotBroken);
            }
            rows.push((table, key, value));
        }
        if rest.is_empty() { Ok(Self { schema: found, rows }) } else { Err(StorageError::SnapshotBroken) }
    }

    /// Returns the changes that restore the snapshot. Rows of an older schema are migrated as in the store itself.
    ///
    /// # Errors
    /// When a migration fails, or the schema version does not exist.
    pub fn into_ops(self) -> Result<Vec<Op>, StorageError> {
        self.into_ops_of(schema::CURRENT)
    }

    pub(super) fn into_ops_of(self, schema: Schema) -> Result<Vec<Op>, StorageError> {
        let mut rows: Vec<_> =
            self.rows.into_iter().map(|(table, key, value)| MovedRow { table, key, value }).collect();
        for (_, step) in schema.steps_from(self.schema).ok_or(StorageError::SnapshotBroken)? {
            rows = rows.into_iter().filter_map(|row| step(row).transpose()).collect::<Result<_, _>>()?;
        }
        Ok(rows.into_iter().map(|MovedRow { table, key, value }| Op::Put { table, key, value }).collect())
    }
}

impl std::fmt::Debug for TableSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot(schema {}, {} rows)", self.schema, self.rows.len())
    }
}

fn short<T: TryFrom<usize>>(length: usize) -> Result<T, StorageError> {
    T::try_from(length).map_err(|_| StorageError::TooLarge)
}

fn chunk<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], StorageError> {
    let (chunk, after) = rest.split_first_chunk::<N>().ok_or(StorageError::SnapshotBroken)?;
    *rest = after;
    Ok(*chunk)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], StorageError> {
    let (taken, after) = rest.split_at_checked(length).ok_or(StorageError::SnapshotBroken)?;
    *rest = after;
    Ok(taken)
}
