//! Python's pickles, as far as `torch.save` and TorchScript need them: a reader that runs nothing.
//!
//! It knows the opcodes of numbers, texts, tuples, lists and dictionaries, and a handful of globals that stand for tensors
//! and their storages. Every other global is refused by name, wherever it stands, so a file that would run code when
//! Python opens it cannot be read here at all. Values lie in one list and refer to each other by index: nothing in a
//! hostile file can recurse, and its size bounds the memory. Knows nothing of files.

use std::collections::HashMap;

/// Most values of a pickle. A training checkpoint of the largest CLIP has about 100,000.
const MAX_VALUES: usize = 4_000_000;

/// Globals that are called as they are with a tuple of arguments.
const CALLED: [&str; 8] = [
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_parameter",
    "collections.OrderedDict",
    "torch.jit._pickle.build_intlist",
    "torch.jit._pickle.build_doublelist",
    "torch.jit._pickle.build_boollist",
    "torch.jit._pickle.build_tensorlist",
];

/// A place in [`Pickle::values`].
pub(crate) type Id = usize;

/// A value of a pickle.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// None, floats, and what else has no meaning for weights.
    Other,
    /// Whole numbers and truth values.
    Int(i64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// In the order of writing.
    Dict(Vec<(Id, Id)>),
    /// A name that was asked for, with its module: only those of [`CALLED`], storages, `torch.device` and TorchScript's classes.
    Global(String),
    /// A persistent id: the tuple that names a storage.
    Storage(Id),
    /// A tensor: storage, offset in elements, sizes, strides in elements.
    Tensor {
        storage: Id,
        offset: i64,
        size: Vec<i64>,
        stride: Vec<i64>,
    },
    /// An object of a TorchScript class; its attributes.
    Object(Option<Id>),
}

/// A pickle that was read.
pub(crate) struct Pickle {
    pub values: Vec<Value>,
    pub root: Id,
}

/// Reads a whole pickle.
///
/// # Errors
/// A text that says what is wrong, with the global or opcode that is refused.
pub(crate) fn read(bytes: &[u8]) -> Result<Pickle, String> {
    let mut machine = Machine { bytes, at: 0, values: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    loop {
        let opcode = machine.byte()?;
        if opcode == b'.' {
            let root = machine.pop()?;
            return Ok(Pickle { values: machine.values, root });
        }
        machine.step(opcode)?;
        if machine.values.len() > MAX_VALUES {
            return Err(format!("the pickle has more than {MAX_VALUES} values"));
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl Machine<'_> {
    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            // PROTO and FRAME carry nothing.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'N' => self.push(Value::Other),
            0x88 => self.push(Value::Int(1)),
            0x89 => self.push(Value::Int(0)),
            b'G' => {
                self.take(8)?;
                self.push(Value::Other);
            }
            b'K' => self.number(1)?,
            b'M' => self.number(2)?,
            b'J' => {
                let number = self.little(4)? as u32 as i32;
                self.push(Value::Int(number.into()));
            }
            0x8a => self.long()?,
            b'X' | b'T' => self.text(4)?,
            0x8c | b'U' => self.text(1)?,
            b'(' => self.marks.push(self.stack.len()),
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode - 0x84))?;
                self.push(Value::Tuple(items));
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push(Value::Tuple(items));
            }
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.extend(items)?;
            }
            b's' => {
                let pair = self.pop_many(2)?;
                self.set_items(pair)?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set_items(items)?;
            }
            b'q' => self.remember(1)?,
            b'r' => self.remember(4)?,
            0x94 => {
                let top = self.top()?;
                self.memo.insert(self.memo.len() as u64, top);
            }
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(&module, &name)?;
            }
            0x93 => {
                let pair = self.pop_many(2)?;
                let (module, name) = (self.text_of(pair[0])?, self.text_of(pair[1])?);
                self.global(&module, &name)?;
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Value::Storage(id));
            }
            b'R' => self.call()?,
            0x81 => self.new_object()?,
            b'b' => self.build()?,
            other => return Err(format!("opcode 0x{other:02x} at byte {} is not one that weights need", self.at - 1)),
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| "the pickle is cut off".to_string())?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn little(&mut self, width: usize) -> Result<u64, String> {
        Ok(self.take(width)?.iter().rev().fold(0, |sum, &byte| (sum << 8) | u64::from(byte)))
    }

    fn number(&mut self, width: usize) -> Result<(), String> {
        let number = self.little(width)? as i64;
        self.push(Value::Int(number));
        Ok(())
    }

    /// LONG1: two's complement; numbers beyond 64 bits mean nothing here.
    fn long(&mut self) -> Result<(), String> {
        let width = usize::from(self.byte()?);
        let bytes = self.take(width)?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let value = if width > 8 {
            Value::Other
        } else {
            let mut whole = [if negative { 0xff } else { 0 }; 8];
            whole[..width].copy_from_slice(bytes);
            Value::Int(i64::from_le_bytes(whole))
        };
        self.push(value);
        Ok(())
    }

    fn text(&mut self, width: usize) -> Result<(), String> {
        let length = self.little(width)? as usize;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.push(Value::Text(text));
        Ok(())
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or("the pickle is cut off")?;
        let line = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(line)
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id, String> {
        if self.stack.len() <= self.floor() {
            return Err("the pickle takes more than it has put down".to_string());
        }
        self.stack.pop().ok_or_else(|| "the pickle is empty".to_string())
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| "the pickle is empty".to_string())
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, String> {
        let start = self.stack.len().checked_sub(count).filter(|&start| start >= self.floor());
        Ok(self.stack.split_off(start.ok_or("the pickle takes more than it has put down")?))
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("the pickle misses a mark")?;
        Ok(self.stack.split_off(mark))
    }

    fn extend(&mut self, items: Vec<Id>) -> Result<(), String> {
        let list = self.top()?;
        match &mut self.values[list] {
            Value::List(list) => list.extend(items),
            _ => return Err("the pickle appends to what is no list".to_string()),
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Id>) -> Result<(), String> {
        let dict = self.top()?;
        match &mut self.values[dict] {
            Value::Dict(dict) if items.len().is_multiple_of(2) => dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1]))),
            _ => return Err("the pickle sets an item of what is no dictionary".to_string()),
        }
        Ok(())
    }

    fn remember(&mut self, width: usize) -> Result<(), String> {
        let key = self.little(width)?;
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, width: usize) -> Result<(), String> {
        let key = self.little(width)?;
        self.stack.push(*self.memo.get(&key).ok_or_else(|| format!("the pickle recalls {key}, which it never remembered"))?);
        Ok(())
    }

    fn text_of(&self, id: Id) -> Result<String, String> {
        match &self.values[id] {
            Value::Text(text) => Ok(text.clone()),
            _ => Err("the pickle names a global by what is no text".to_string()),
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), String> {
        let full = format!("{module}.{name}");
        let storage = module == "torch" && name.ends_with("Storage");
        let script = module.starts_with("__torch__");
        if !storage && !script && full != "torch.device" && !CALLED.contains(&full.as_str()) {
            return Err(format!("the pickle wants to use {full}, which weights do not need: it is not run and the file is refused"));
        }
        self.push(Value::Global(full));
        Ok(())
    }

    fn call(&mut self) -> Result<(), String> {
        let pair = self.pop_many(2)?;
        let Value::Global(name) = &self.values[pair[0]] else { return Err("the pickle calls what is no global".to_string()) };
        let Value::Tuple(arguments) = &self.values[pair[1]] else { return Err(format!("the pickle calls {name} without a tuple")) };
        let value = match (name.as_str(), arguments.as_slice()) {
            ("collections.OrderedDict", []) => Value::Dict(Vec::new()),
            ("torch._utils._rebuild_parameter", [tensor, ..]) => self.values[*tensor].clone(),
            ("torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor", [storage, offset, size, stride, ..]) => {
                Value::Tensor { storage: *storage, offset: self.int(*offset)?, size: self.ints(*size)?, stride: self.ints(*stride)? }
            }
            // A name of a device, or one of TorchScript's typed lists.
            ("torch.device", _) => Value::Other,
            (list, [items]) if list.starts_with("torch.jit._pickle.") => self.values[*items].clone(),
            _ => return Err(format!("the pickle calls {name} with {} arguments", arguments.len())),
        };
        self.push(value);
        Ok(())
    }

    fn new_object(&mut self) -> Result<(), String> {
        let pair = self.pop_many(2)?;
        match &self.values[pair[0]] {
            Value::Global(name) if name.starts_with("__torch__") => self.push(Value::Object(None)),
            Value::Global(name) => return Err(format!("the pickle makes an object of {name}")),
            _ => return Err("the pickle makes an object of what is no class".to_string()),
        }
        Ok(())
    }

    /// Attributes of an object; those of a dictionary (`_metadata`) say nothing about weights.
    fn build(&mut self) -> Result<(), String> {
        let state = self.pop()?;
        let object = self.top()?;
        match &mut self.values[object] {
            Value::Object(attributes) => *attributes = Some(state),
            Value::Dict(_) => {}
            _ => return Err("the pickle gives attributes to what is no object".to_string()),
        }
        Ok(())
    }

    fn int(&self, id: Id) -> Result<i64, String> {
        match self.values[id] {
            Value::Int(number) => Ok(number),
            _ => Err("a tensor's place is no whole number".to_string()),
        }
    }

    fn ints(&self, id: Id) -> Result<Vec<i64>, String> {
        match &self.values[id] {
            Value::Tuple(items) | Value::List(items) if items.len() <= 8 => items.iter().map(|&item| self.int(item)).collect(),
            _ => Err("a tensor's shape is no short list of whole numbers".to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn code_is_refused_by_name() {
        // What `pickle.dumps` makes of an object whose __reduce__ is (os.system, ("true",)).
        let old = b"cposix\nsystem\n(X\x04\x00\x00\x00truetR.";
        let message = read(old).err().expect("refused");
        assert!(message.contains("posix.system"), "{message}");
        let new = b"\x80\x04\x95\x1e\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94.";
        assert!(read(new).err().expect("refused").contains("posix.system"));
        // INST, an opcode that makes objects, and a subclass trick through getattr.
        assert!(read(b"(iposix\nsystem\n.").err().expect("refused").contains("0x69"));
        assert!(read(b"cbuiltins\ngetattr\n.").err().expect("refused").contains("builtins.getattr"));
    }

    #[test]
    fn dictionaries_come_back() {
        let pickle =
            read(b"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x05X\x01\x00\x00\x00bJ\xfe\xff\xff\xffX\x01\x00\x00\x00ch\x00u.").expect("read");
        let Value::Dict(items) = &pickle.values[pickle.root] else { panic!("a dictionary") };
        assert_eq!(pickle.values[items[0].1], Value::Int(5));
        assert_eq!(pickle.values[items[1].1], Value::Int(-2));
        assert_eq!(items[2].1, pickle.root, "a dictionary may hold itself");
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in [&b""[..], b".", b"u.", b"a.", b"h\x05.", b"K\x01K\x02R.", b"X\xff\xff\xff\xffa", b"(", b"e."] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
        let deep = [vec![b']'; 1_000_000], vec![b'a'; 999_999], b".".to_vec()].concat();
        assert!(read(&deep).is_ok());
        assert!(read(&vec![b'N'; MAX_VALUES + 2]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"}]()tNKqhsuaeRQb.c\n".to_vec())], 0..200)) {
            let _ = read(&bytes);
        }
    }
}
