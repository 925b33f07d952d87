//! References and their logs where they are in binary tables instead of files, to read.
//!
//! The format is git's `Documentation/technical/reftable.txt`. A stack of tables is listed in `tables.list`; what a
//! later table says of a name holds. Tables are read whole: they hold a few dozen bytes for each reference.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;

use crate::exec::Call;
use crate::outcome::{Res, Stop};
use crate::references::reflog::{self, Line};
use crate::references::refs::Ref;
use crate::repository::id::{Hash, Id};
use crate::text::bytes::{self, Bytes};

/// Bytes read of all tables of one repository, and bytes a block of a log may hold.
const MAX_TABLES: u64 = 256 << 20;
const MAX_BLOCK: usize = 1 << 24;

/// How many symbolic references may lead to one another.
const MAX_DEPTH: usize = 5;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Id(Id),
    Symref(Bytes),
}

/// Names and what they are, and the lines of logs by name and reversed number of the change.
type Entries = BTreeMap<Bytes, Value>;
type Logs = BTreeMap<(Bytes, u64), Option<Line>>;

/// The references of a repository and of the work tree it is open for.
#[derive(Debug, Default)]
pub(crate) struct Reftable {
    entries: Entries,
    logs: Logs,
    /// Bytes of logs that were uncompressed.
    inflated: u64,
}

fn bad() -> Stop {
    Stop::not_native("a table of references that cannot be read")
}

impl Reftable {
    /// Reads the stack of a repository, and that of a linked work tree over it.
    pub(crate) fn open(call: &Call<'_>, git_dir: &[u8], common_dir: &[u8]) -> Res<Reftable> {
        let mut all = Reftable::default();
        let mut budget = MAX_TABLES;
        all.read_stack(call, common_dir, &mut budget)?;
        if git_dir != common_dir {
            all.entries
                .retain(|name, _| !reflog::is_of_one_work_tree(name));
            all.logs
                .retain(|(name, _), _| !reflog::is_of_one_work_tree(name));
            all.read_stack(call, git_dir, &mut budget)?;
        }
        all.logs.retain(|_, line| line.is_some());
        Ok(all)
    }

    fn read_stack(&mut self, call: &Call<'_>, dir: &[u8], budget: &mut u64) -> Res<()> {
        let dir = bytes::join(dir, b"reftable");
        if call.within.is_some() && !crate::repository::config::is_within(call, &dir) {
            return Err(Stop::not_native("references outside of the workspace"));
        }
        let list = fs::read(bytes::to_path(&bytes::join(&dir, b"tables.list")))?;
        for name in list.split(|b| *b == b'\n').filter(|name| !name.is_empty()) {
            if name.contains(&b'/') {
                return Err(bad());
            }
            let path = bytes::join(&dir, name);
            if call.within.is_some() && !crate::repository::config::is_within(call, &path) {
                return Err(Stop::not_native("references outside of the workspace"));
            }
            let path = bytes::to_path(&path);
            *budget = budget
                .checked_sub(fs::metadata(&path)?.len())
                .ok_or_else(bad)?;
            self.read_table(&fs::read(path)?)?;
        }
        Ok(())
    }

    fn read_table(&mut self, data: &[u8]) -> Res<()> {
        if data.get(..4) != Some(b"REFT") {
            return Err(bad());
        }
        let (header, footer) = match (data.get(4), Hash::current()) {
            (Some(1), Hash::Sha1) => (24, 68),
            (Some(2), hash) => {
                let wanted: &[u8] = match hash {
                    Hash::Sha1 => b"sha1",
                    Hash::Sha256 => b"s256",
                };
                if data.get(24..28) != Some(wanted) {
                    return Err(bad());
                }
                (28, 72)
            }
            _ => return Err(bad()),
        };
        let block_size = number(data, 5, 3)? as usize;
        let end = data.len().checked_sub(footer).ok_or_else(bad)?;
        // After the copy of the header: index of references, objects, index of objects, logs.
        let logs = usize::try_from(number(data, end + header + 24, 8)?).map_err(|_| bad())?;
        let mut at = 0;
        while at < end {
            let start = if at == 0 { header } else { 0 };
            if data.get(at + start) != Some(&b'r') {
                break;
            }
            let length = number(data, at + start + 1, 3)? as usize;
            let block = data.get(at..at + length).ok_or_else(bad)?;
            self.read_references(block, start + 4)?;
            // A block that is padded goes on to its full size.
            let is_padded = data.get(at + length) == Some(&0);
            at += match block_size {
                size if size > length && is_padded => size,
                _ => length.max(1),
            };
        }
        let begins_with_logs = data.get(header) == Some(&b'g');
        if logs > 0 || begins_with_logs {
            self.read_logs(data, if logs > 0 { logs } else { 0 }, header, end)?;
        }
        Ok(())
    }

    fn read_references(&mut self, block: &[u8], mut at: usize) -> Res<()> {
        let records = records_end(block)?;
        let mut name = Bytes::new();
        while at < records {
            let kind = key(block, &mut at, &mut name)?;
            varint(block, &mut at)?;
            let mut id = || {
                let raw = block.get(at..).unwrap_or_default();
                at += Id::raw_len();
                Id::from_raw(raw).ok_or_else(bad)
            };
            match kind {
                0 => {
                    self.entries.remove(&name);
                    continue;
                }
                1 => {
                    let id = id()?;
                    self.entries.insert(name.clone(), Value::Id(id));
                }
                2 => {
                    // The second is what a tag leads to.
                    let tag = id()?;
                    id()?;
                    self.entries.insert(name.clone(), Value::Id(tag));
                }
                3 => {
                    let target = text(block, &mut at)?.to_vec();
                    self.entries.insert(name.clone(), Value::Symref(target));
                }
                _ => return Err(bad()),
            }
        }
        Ok(())
    }

    fn read_logs(&mut self, data: &[u8], mut at: usize, header: usize, end: usize) -> Res<()> {
        while at < end {
            let start = if at == 0 { header } else { 0 };
            if data.get(at + start) != Some(&b'g') {
                break;
            }
            // The length is that before compression, with what stands before the block.
            let length = number(data, at + start + 1, 3)? as usize;
            let inflated = length.checked_sub(start + 4).ok_or_else(bad)?;
            if inflated > MAX_BLOCK || self.inflated > MAX_TABLES {
                return Err(bad());
            }
            self.inflated += inflated as u64;
            let packed = data.get(at + start + 4..end).ok_or_else(bad)?;
            let mut inflate = flate2::bufread::ZlibDecoder::new(packed);
            let mut block = vec![0; start + 4];
            inflate
                .by_ref()
                .take(inflated as u64)
                .read_to_end(&mut block)
                .map_err(|_| bad())?;
            // What is left of the stream holds no bytes, but has to be gone through to know where it ends.
            if inflate.read(&mut [0]).map_err(|_| bad())? > 0 {
                return Err(bad());
            }
            at += start + 4 + usize::try_from(inflate.total_in()).map_err(|_| bad())?;
            self.read_log_block(&block, start + 4)?;
        }
        Ok(())
    }

    fn read_log_block(&mut self, block: &[u8], mut at: usize) -> Res<()> {
        let records = records_end(block)?;
        let mut name = Bytes::new();
        while at < records {
            let kind = key(block, &mut at, &mut name)?;
            let split = name.len().checked_sub(9).ok_or_else(bad)?;
            let order = number(&name, split + 1, 8)?;
            let line = match kind {
                0 => None,
                1 => Some(log_line(block, &mut at)?),
                _ => return Err(bad()),
            };
            self.logs.insert((name[..split].to_vec(), order), line);
        }
        Ok(())
    }

    /// Returns what a symbolic reference points at.
    pub(crate) fn symref(&self, name: &[u8]) -> Option<Bytes> {
        match self.entries.get(name)? {
            Value::Symref(target) => Some(target.clone()),
            Value::Id(_) => None,
        }
    }

    /// Returns what a reference leads to.
    pub(crate) fn resolve(&self, name: &[u8]) -> Option<Id> {
        let mut name = name;
        for _ in 0..=MAX_DEPTH {
            match self.entries.get(name)? {
                Value::Id(id) => return Some(*id),
                Value::Symref(target) => name = target,
            }
        }
        None
    }

    /// Lists the references whose names begin with `prefix`, sorted; what leads nowhere is left out.
    pub(crate) fn list(&self, prefix: &[u8]) -> Vec<Ref> {
        self.entries
            .range(prefix.to_vec()..)
            .take_while(|(name, _)| name.starts_with(prefix))
            .filter(|(name, _)| name.starts_with(b"refs/"))
            .filter_map(|(name, value)| {
                Some(Ref {
                    name: name.clone(),
                    id: self.resolve(name)?,
                    symref: match value {
                        Value::Symref(target) => Some(target.clone()),
                        Value::Id(_) => None,
                    },
                })
            })
            .collect()
    }

    /// Returns a reference as the text its file would hold.
    pub(crate) fn as_file(&self, name: &[u8]) -> Option<Bytes> {
        Some(match self.entries.get(name)? {
            Value::Id(id) => format!("{id}\n").into_bytes(),
            Value::Symref(target) => [b"ref: ", target.as_slice(), b"\n"].concat(),
        })
    }

    /// Returns the log of a reference, oldest first.
    pub(crate) fn log(&self, name: &[u8]) -> Res<Vec<Line>> {
        let mut lines: Vec<Line> = self
            .lines(name)
            // One that goes from nothing to nothing says that there is a log.
            .filter(|line| !line.old.is_zero() || !line.new.is_zero())
            .cloned()
            .collect();
        lines.reverse();
        Ok(lines)
    }

    /// Says whether a reference has a log, be it empty.
    pub(crate) fn has_log(&self, name: &[u8]) -> bool {
        self.lines(name).next().is_some()
    }

    fn lines(&self, name: &[u8]) -> impl Iterator<Item = &Line> {
        self.logs
            .range((name.to_vec(), 0)..=(name.to_vec(), u64::MAX))
            .filter_map(|(_, line)| line.as_ref())
    }
}

/// Reads a line of a log: both ids, name, address, time, zone, message.
fn log_line(block: &[u8], at: &mut usize) -> Res<Line> {
    let mut id = || {
        let raw = block.get(*at..).unwrap_or_default();
        *at += Id::raw_len();
        Id::from_raw(raw).ok_or_else(bad)
    };
    let (old, new) = (id()?, id()?);
    let who = text(block, at)?;
    let email = text(block, at)?;
    let time = varint(block, at)?;
    let raw = block.get(*at..*at + 2).ok_or_else(bad)?;
    let zone = i16::from_be_bytes([raw[0], raw[1]]);
    *at += 2;
    let message = text(block, at)?;
    let sign = if zone < 0 { '-' } else { '+' };
    let when = format!("> {time} {sign}{:04}", zone.unsigned_abs());
    Ok(Line {
        old,
        new,
        who: [who, b" <", email, when.as_bytes()].concat(),
        message: message.strip_suffix(b"\n").unwrap_or(message).to_vec(),
    })
}

/// Returns where the records of a block end: the places at which names are whole follow, and how many these are.
fn records_end(block: &[u8]) -> Res<usize> {
    let count = block.len().checked_sub(2).ok_or_else(bad)?;
    let restarts = number(block, count, 2)? as usize;
    count.checked_sub(restarts * 3).ok_or_else(bad)
}

/// Reads the name of the next record, of which the beginning is that of the one before; returns its kind.
fn key(block: &[u8], at: &mut usize, name: &mut Bytes) -> Res<u64> {
    let shared = usize::try_from(varint(block, at)?).map_err(|_| bad())?;
    let rest = varint(block, at)?;
    let length = usize::try_from(rest >> 3).map_err(|_| bad())?;
    if shared > name.len() {
        return Err(bad());
    }
    name.truncate(shared);
    let end = at.checked_add(length).ok_or_else(bad)?;
    name.extend_from_slice(block.get(*at..end).ok_or_else(bad)?);
    *at = end;
    Ok(rest & 7)
}

/// Reads a text with its length before it.
fn text<'a>(block: &'a [u8], at: &mut usize) -> Res<&'a [u8]> {
    let length = usize::try_from(varint(block, at)?).map_err(|_| bad())?;
    let end = at.checked_add(length).ok_or_else(bad)?;
    let text = block.get(*at..end).ok_or_else(bad)?;
    *at = end;
    Ok(text)
}

/// Reads a number of seven bits a byte, each continuation adding one.
fn varint(block: &[u8], at: &mut usize) -> Res<u64> {
    let mut value = 0u64;
    loop {
        let byte = *block.get(*at).ok_or_else(bad)?;
        *at += 1;
        value |= u64::from(byte & 127);
        if byte & 128 == 0 {
            return Ok(value);
        }
        value = value
            .checked_add(1)
            .filter(|v| *v < 1 << 57)
            .ok_or_else(bad)?
            << 7;
    }
}

/// Reads a number of so many bytes, the first the greatest.
fn number(data: &[u8], at: usize, length: usize) -> Res<u64> {
    let raw = data.get(at..at + length).ok_or_else(bad)?;
    Ok(raw.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
}
