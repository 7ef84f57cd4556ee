//! A checked reader of FlatBuffers: what it takes to read a file that others wrote, without trusting a byte of it.
//!
//! A table begins with the distance back to its list of fields; a field is a number in place, or the distance ahead to a
//! vector, a string or another table. Crates that are generated from a schema read by unchecked pointers after one pass of
//! verification; these few accesses check every time, and are fast enough for files that are read once.

/// A place in the file does not exist, or what should lie there does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged;

/// A table: numbered fields, each of which may be missing.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    file: &'a [u8],
    at: usize,
    fields: usize,
}

/// A vector of numbers or of tables.
#[derive(Debug, Clone, Copy)]
pub struct Vector<'a> {
    file: &'a [u8],
    at: usize,
    len: usize,
}

fn bytes<const N: usize>(file: &[u8], at: usize) -> Result<[u8; N], Damaged> {
    file.get(at..).and_then(<[u8]>::first_chunk).copied().ok_or(Damaged)
}

fn u16_at(file: &[u8], at: usize) -> Result<usize, Damaged> {
    bytes(file, at).map(|bytes| u16::from_le_bytes(bytes).into())
}

fn u32_at(file: &[u8], at: usize) -> Result<usize, Damaged> {
    bytes(file, at).map(|bytes| u32::from_le_bytes(bytes) as usize)
}

/// The place that a distance at `at` leads to.
fn follow(file: &[u8], at: usize) -> Result<usize, Damaged> {
    at.checked_add(u32_at(file, at)?).ok_or(Damaged)
}

impl<'a> Table<'a> {
    /// The table that the file begins with, if it carries this identifier.
    pub fn root(file: &'a [u8], identifier: &[u8; 4]) -> Result<Self, Damaged> {
        if bytes::<4>(file, 4)? != *identifier {
            return Err(Damaged);
        }
        Self::at(file, follow(file, 0)?)
    }

    fn at(file: &'a [u8], at: usize) -> Result<Self, Damaged> {
        let back = i64::from(i32::from_le_bytes(bytes(file, at)?));
        let fields = (at as i64).checked_sub(back).and_then(|at| usize::try_from(at).ok()).ok_or(Damaged)?;
        u16_at(file, fields)?;
        Ok(Table { file, at, fields })
    }

    /// Where field `number` lies, if the table has it.
    fn field(&self, number: usize) -> Result<Option<usize>, Damaged> {
        let entry = 4 + 2 * number;
        if entry + 2 > u16_at(self.file, self.fields)? {
            return Ok(None);
        }
        match u16_at(self.file, self.fields + entry)? {
            0 => Ok(None),
            offset => self.at.checked_add(offset).map(Some).ok_or(Damaged),
        }
    }

    /// A number of one byte; `default` if it is missing.
    pub fn u8(&self, number: usize, default: u8) -> Result<u8, Damaged> {
        match self.field(number)? {
            None => Ok(default),
            Some(at) => bytes(self.file, at).map(|[byte]| byte),
        }
    }

    /// A number of four bytes; `default` if it is missing.
    pub fn i32(&self, number: usize, default: i32) -> Result<i32, Damaged> {
        match self.field(number)? {
            None => Ok(default),
            Some(at) => bytes(self.file, at).map(i32::from_le_bytes),
        }
    }

    /// Another table.
    pub fn table(&self, number: usize) -> Result<Option<Self>, Damaged> {
        self.field(number)?.map(|at| Self::at(self.file, follow(self.file, at)?)).transpose()
    }

    /// A vector; empty if it is missing.
    pub fn vector(&self, number: usize) -> Result<Vector<'a>, Damaged> {
        let Some(at) = self.field(number)? else { return Ok(Vector { file: self.file, at: 0, len: 0 }) };
        let at = follow(self.file, at)?;
        Ok(Vector { file: self.file, at: at + 4, len: u32_at(self.file, at)? })
    }
}

impl<'a> Vector<'a> {
    /// Its elements as bytes, `size` for each.
    fn elements(&self, size: usize) -> Result<&'a [u8], Damaged> {
        let end = self.len.checked_mul(size).and_then(|bytes| self.at.checked_add(bytes)).ok_or(Damaged)?;
        self.file.get(self.at..end).ok_or(Damaged)
    }

    /// Its bytes.
    pub fn bytes(&self) -> Result<&'a [u8], Damaged> {
        self.elements(1)
    }

    /// Its numbers of four bytes.
    pub fn i32(&self) -> Result<Vec<i32>, Damaged> {
        Ok(self.elements(4)?.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
    }

    /// Its numbers of eight bytes.
    pub fn i64(&self) -> Result<Vec<i64>, Damaged> {
        Ok(self.elements(8)?.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
    }

    /// Its floats.
    pub fn f32(&self) -> Result<Vec<f32>, Damaged> {
        Ok(self.elements(4)?.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// Its tables.
    pub fn tables(&self) -> Result<Vec<Table<'a>>, Damaged> {
        self.elements(4)?;
        (0..self.len).map(|k| Table::at(self.file, follow(self.file, self.at + 4 * k)?)).collect()
    }
}
