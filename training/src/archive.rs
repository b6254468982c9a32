//! PyTorch's `.pt` archives: a zip of stored files, one of them a pickle that says which tensor lies where.
//!
//! Both kinds are read, `torch.save` of a dictionary and TorchScript of a module, whose attributes make the names.

use crate::Error;
use crate::pickle::{self, Id, Pickle, Value};
use crate::stored::{Entry, bad};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use tch::{Kind, Tensor};

/// Longest directory and longest pickle accepted, in bytes.
const MAX_PART: u64 = 64 << 20;
/// Deepest nesting of TorchScript modules.
const MAX_DEPTH: usize = 32;
/// Most attributes visited while names are made.
const MAX_VISITS: usize = 1_000_000;

/// The storages that weights come in.
const STORAGES: [(&str, Kind); 7] = [
    ("torch.DoubleStorage", Kind::Double),
    ("torch.FloatStorage", Kind::Float),
    ("torch.BFloat16Storage", Kind::BFloat16),
    ("torch.HalfStorage", Kind::Half),
    ("torch.LongStorage", Kind::Int64),
    ("torch.IntStorage", Kind::Int),
    ("torch.ByteStorage", Kind::Uint8),
];

/// A stored file of the zip.
#[derive(Clone, Debug)]
struct Member {
    method: u16,
    checksum: u32,
    length: u64,
    /// Where its own header begins.
    header: u64,
}

/// A tensor's place.
struct Place {
    kind: Kind,
    member: Member,
    offset: i64,
    size: Vec<i64>,
    stride: Vec<i64>,
}

/// An open archive.
pub(crate) struct Archive {
    file: File,
    tensors: BTreeMap<String, Place>,
    /// Whether it is a TorchScript module.
    pub script: bool,
}

impl Archive {
    /// Reads the directory and the pickle.
    ///
    /// # Errors
    /// `Weights`, `Shards`.
    pub fn open(path: &Path, mut file: File) -> Result<Self, Error> {
        let members = directory(&mut file).map_err(|why| bad(path, why))?;
        let main = members.keys().filter(|name| name.ends_with("/data.pkl")).min_by_key(|name| name.len());
        let Some(main) = main.cloned() else { return Err(bad(path, "a zip without data.pkl: no PyTorch archive")) };
        let folder = main.trim_end_matches("data.pkl").to_string();
        let script = members.contains_key(&format!("{folder}constants.pkl"));
        let mut part = |name: &str| match members.get(&format!("{folder}{name}")) {
            Some(member) if member.length > MAX_PART => Err(format!("{name} is {} bytes long", member.length)),
            Some(member) => read_member(&mut file, member).map(Some),
            None => Ok(None),
        };
        let order = part("byteorder").map_err(|why| bad(path, why))?;
        if order.is_some_and(|order| order != b"little") {
            return Err(bad(path, "its numbers are not little-endian"));
        }
        let bytes = part("data.pkl").map_err(|why| bad(path, why))?.unwrap_or_default();
        let pickle = pickle::read(&bytes).map_err(|why| bad(path, why))?;
        let mut found = Vec::new();
        let root = weights_of(&pickle);
        collect(&pickle, root, &mut found).map_err(|why| bad(path, why))?;
        let mut tensors = BTreeMap::new();
        for (name, id) in found {
            let place = place(&pickle, id, &folder, &members).map_err(|why| bad(path, format!("tensor {name}: {why}")))?;
            tensors.insert(name, place);
        }
        Ok(Archive { file, tensors, script })
    }

    /// Names, types and shapes.
    pub fn entries(&self) -> impl Iterator<Item = (String, Entry)> + '_ {
        self.tensors.iter().map(|(name, place)| (name.clone(), Entry { kind: place.kind, shape: place.size.clone() }))
    }

    /// One tensor, on the CPU.
    pub fn tensor(&mut self, name: &str) -> Result<Tensor, String> {
        let place = self.tensors.get(name).ok_or("it is not there")?;
        let width = place.kind.elt_size_in_bytes() as u64;
        let count: i64 = place.size.iter().product();
        // Checked on opening: the last element lies within the member.
        let span = if count == 0 { 0 } else { last(&place.size, &place.stride) as u64 + 1 };
        let whole = place.offset == 0 && span * width == place.member.length;
        let bytes = if whole {
            read_member(&mut self.file, &place.member)?
        } else {
            read_at(&mut self.file, &place.member, place.offset as u64 * width, span * width)?
        };
        let failed = |error: tch::TchError| error.to_string();
        let flat = Tensor::f_from_data_size(&bytes, &[span as i64], place.kind).map_err(failed)?;
        let strided = flat.f_as_strided(place.size.as_slice(), place.stride.as_slice(), 0).map_err(failed)?;
        strided.f_contiguous().map_err(failed)
    }
}

/// The dictionary with the weights: the root, or the part of a training checkpoint that has them.
fn weights_of(pickle: &Pickle) -> Id {
    let Value::Dict(items) = &pickle.values[pickle.root] else { return pickle.root };
    let is = |id: Id, name: &str| matches!(&pickle.values[id], Value::Text(text) if text == name);
    let inner = items
        .iter()
        .find(|(key, value)| (is(*key, "state_dict") || is(*key, "model_state_dict")) && matches!(pickle.values[*value], Value::Dict(_)));
    inner.map_or(pickle.root, |(_, value)| *value)
}

/// The tensors below `root` with their dotted names.
fn collect(pickle: &Pickle, root: Id, found: &mut Vec<(String, Id)>) -> Result<(), String> {
    let mut open = vec![(String::new(), root, 0)];
    let mut visits = 0;
    while let Some((name, id, depth)) = open.pop() {
        visits += 1;
        if depth > MAX_DEPTH || visits > MAX_VISITS {
            return Err("its objects are nested without end".to_string());
        }
        let items = match &pickle.values[id] {
            Value::Tensor { .. } => {
                found.push((name, id));
                continue;
            }
            Value::Object(Some(attributes)) => match &pickle.values[*attributes] {
                Value::Dict(items) => items,
                _ => continue,
            },
            Value::Dict(items) => items,
            _ => continue,
        };
        for (key, value) in items {
            if let Value::Text(key) = &pickle.values[*key] {
                let full = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                open.push((full, *value, depth + 1));
            }
        }
    }
    if found.is_empty() { Err("no dictionary of tensors".to_string()) } else { Ok(()) }
}

/// Index of the last element.
fn last(size: &[i64], stride: &[i64]) -> i128 {
    size.iter().zip(stride).map(|(&size, &stride)| i128::from(size - 1) * i128::from(stride)).sum()
}

fn place(pickle: &Pickle, id: Id, folder: &str, members: &HashMap<String, Member>) -> Result<Place, String> {
    let Value::Tensor { storage, offset, size, stride } = &pickle.values[id] else { return Err("no tensor".to_string()) };
    let Value::Storage(tuple) = pickle.values[*storage] else { return Err("it has no storage".to_string()) };
    let Value::Tuple(parts) = &pickle.values[tuple] else { return Err("its storage has no name".to_string()) };
    let [_, class, key, ..] = parts.as_slice() else { return Err("its storage has no name".to_string()) };
    let (Value::Global(class), Value::Text(key)) = (&pickle.values[*class], &pickle.values[*key]) else {
        return Err("its storage has no type".to_string());
    };
    let kind = STORAGES.iter().find(|(name, _)| name == class).map(|(_, kind)| *kind).ok_or_else(|| format!("{class} holds no weights"))?;
    // TorchScript of later versions names the member in full.
    let member = members.get(&format!("{folder}data/{key}")).or_else(|| members.get(&format!("{folder}{key}")));
    let member = member.ok_or_else(|| format!("the archive has no data/{key}"))?;
    let sound = size.len() == stride.len() && *offset >= 0 && size.iter().chain(stride).all(|&n| (0..1 << 40).contains(&n));
    let count = size.iter().try_fold(1i64, |product, &side| product.checked_mul(side)).filter(|&count| count < 1 << 40);
    let Some(count) = count.filter(|_| sound) else { return Err("its shape is not of this world".to_string()) };
    let needed = if count == 0 { 0 } else { (i128::from(*offset) + last(size, stride) + 1) * kind.elt_size_in_bytes() as i128 };
    // Strides of 0 could make much out of little; weights are never written so.
    if needed > i128::from(member.length) || i128::from(count) * kind.elt_size_in_bytes() as i128 > i128::from(member.length) {
        return Err(format!("{size:?} needs {needed} bytes, data/{key} has {}", member.length));
    }
    Ok(Place { kind, member: member.clone(), offset: *offset, size: size.clone(), stride: stride.clone() })
}

/// The files of a zip, by name, from the directory at its end.
fn directory(file: &mut File) -> Result<HashMap<String, Member>, String> {
    let io = |error: std::io::Error| format!("reading failed: {error}");
    let length = file.seek(SeekFrom::End(0)).map_err(io)?;
    let tail_start = length.saturating_sub(66_000);
    let tail = read_range(file, tail_start, length - tail_start)?;
    let end = tail.windows(4).rposition(|four| four == b"PK\x05\x06").filter(|at| at + 22 <= tail.len());
    let end = end.ok_or("the zip is cut off: its directory is missing")?;
    let (mut size, mut start) = (u64::from(u32_at(&tail, end + 12)), u64::from(u32_at(&tail, end + 16)));
    // Archives beyond 4 GiB, and all that newer PyTorch writes, have a second record with 64-bit numbers in front.
    if let Some(locator) = end.checked_sub(20).filter(|&at| tail[at..].starts_with(b"PK\x06\x07")) {
        let record = read_range(file, u64_at(&tail, locator + 8), 56)?;
        if !record.starts_with(b"PK\x06\x06") {
            return Err("the zip's directory is damaged".to_string());
        }
        (size, start) = (u64_at(&record, 40), u64_at(&record, 48));
    }
    if size > MAX_PART || start.checked_add(size).is_none_or(|end| end > length) {
        return Err("the zip's directory is damaged".to_string());
    }
    let bytes = read_range(file, start, size)?;
    let mut members = HashMap::new();
    let mut at = 0;
    while at + 46 <= bytes.len() && bytes[at..].starts_with(b"PK\x01\x02") {
        let (name, member, next) = member_at(&bytes, at).ok_or("the zip's directory is damaged")?;
        if member.header.checked_add(member.length).is_none_or(|end| end > length) {
            return Err(format!("{name} lies beyond the end of the file: it is cut off"));
        }
        members.insert(name, member);
        at = next;
    }
    Ok(members)
}

/// The directory's entry at `at`, and where the next one begins.
fn member_at(bytes: &[u8], at: usize) -> Option<(String, Member, usize)> {
    let (method, checksum) = (u16_at(bytes, at + 10), u32_at(bytes, at + 16));
    let (packed, unpacked, header) = (u32_at(bytes, at + 20), u32_at(bytes, at + 24), u32_at(bytes, at + 42));
    let [name, extra, comment] = [28, 30, 32].map(|field| usize::from(u16_at(bytes, at + field)));
    let extra_start = at + 46 + name;
    let text = String::from_utf8_lossy(bytes.get(at + 46..extra_start)?).into_owned();
    let mut member = Member { method, checksum, length: packed.into(), header: header.into() };
    let mut fields = bytes.get(extra_start..extra_start + extra)?;
    while fields.len() >= 4 {
        let (kind, size) = (u16_at(fields, 0), usize::from(u16_at(fields, 2)));
        let mut field = fields.get(4..4 + size)?;
        if kind == 1 {
            // Only the numbers that did not fit are repeated, in this order.
            let mut wide = |narrow: u32| {
                if narrow != u32::MAX {
                    return Some(u64::from(narrow));
                }
                let (eight, rest) = field.split_at_checked(8)?;
                field = rest;
                Some(u64_at(eight, 0))
            };
            wide(unpacked)?;
            member.length = wide(packed)?;
            member.header = wide(header)?;
        }
        fields = &fields[4 + size..];
    }
    Some((text, member, extra_start + extra + comment))
}

/// A member's bytes, which must be stored as they are and agree with their checksum.
fn read_member(file: &mut File, member: &Member) -> Result<Vec<u8>, String> {
    let bytes = read_at(file, member, 0, member.length)?;
    let mut checksum = flate2::Crc::new();
    checksum.update(&bytes);
    if checksum.sum() != member.checksum {
        return Err(format!("the checksum is {:08x}, expected {:08x}: the file is damaged", checksum.sum(), member.checksum));
    }
    Ok(bytes)
}

fn read_at(file: &mut File, member: &Member, offset: u64, length: u64) -> Result<Vec<u8>, String> {
    if member.method != 0 {
        return Err("a packed member: PyTorch stores weights unpacked".to_string());
    }
    let header = read_range(file, member.header, 30)?;
    if !header.starts_with(b"PK\x03\x04") {
        return Err("the zip is damaged: a member is not where the directory says".to_string());
    }
    let start = member.header + 30 + u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
    read_range(file, start + offset, length)
}

fn read_range(file: &mut File, start: u64, length: u64) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; length as usize];
    let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut bytes));
    read.map_err(|error| format!("{length} bytes at {start}: {error}"))?;
    Ok(bytes)
}

/// # Panics
/// As the two below, when `at` lies beyond the end: callers check lengths first.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
