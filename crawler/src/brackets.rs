//! Where the brackets of a JSON text stand that are not inside strings, found 64 bytes at a time.
//!
//! Masks of quotes, backslashes and brackets are made with vector instructions; that a bracket lies in a string follows from the number of
//! quotes before it, by arithmetic on whole masks (Langdale and Lemire, "Parsing gigabytes of JSON per second").

/// The brackets of a text, and what else one look at all its bytes told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Brackets {
    /// Offsets of `{`, `}`, `[` and `]` outside strings, ascending.
    pub(crate) spots: Vec<u32>,
    /// Whether the text is UTF-8.
    pub(crate) is_utf8: bool,
    /// Whether the last string is closed.
    pub(crate) is_closed: bool,
}

/// One bit for each byte of a block, the first one lowest.
struct Masks {
    quotes: u64,
    slashes: u64,
    brackets: u64,
    /// Bytes that are not ASCII.
    high: u64,
}

/// Finds the brackets of a text; `None` for one of 4 GiB or more.
pub(crate) fn brackets(text: &[u8]) -> Option<Brackets> {
    u32::try_from(text.len()).ok()?;
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // Sound: the processor was just asked for it.
        #[allow(unsafe_code)]
        return Some(unsafe { wide(text) });
    }
    Some(scan(text, plain))
}

/// [`scan`], compiled for AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
fn wide(text: &[u8]) -> Brackets {
    use std::arch::x86_64::{__m256i, _mm256_cmpeq_epi8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set_epi64x, _mm256_set1_epi8};
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
    fn half(bytes: &[u8]) -> [u32; 4] {
        let word = |at: usize| i64::from_le_bytes(std::array::from_fn(|i| bytes[8 * at + i]));
        let bytes = _mm256_set_epi64x(word(3), word(2), word(1), word(0));
        // `[` and `]` differ from `{` and `}` by this bit.
        let braces = _mm256_or_si256(bytes, _mm256_set1_epi8(0x20));
        let bits = |mask: __m256i| _mm256_movemask_epi8(mask) as u32;
        let equal = |bytes, byte: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8));
        [bits(equal(bytes, b'"')), bits(equal(bytes, b'\\')), bits(_mm256_or_si256(equal(braces, b'{'), equal(braces, b'}'))), bits(bytes)]
    }
    scan(text, |block| {
        let (low, high) = (half(&block[..32]), half(&block[32..]));
        let both = |i: usize| u64::from(low[i]) | u64::from(high[i]) << 32;
        Masks { quotes: both(0), slashes: both(1), brackets: both(2), high: both(3) }
    })
}

/// The masks of a block, on any processor.
fn plain(block: &[u8; 64]) -> Masks {
    let mask = |is: fn(u8) -> bool| block.iter().rev().fold(0, |mask, &byte| mask << 1 | u64::from(is(byte)));
    Masks {
        quotes: mask(|byte| byte == b'"'),
        slashes: mask(|byte| byte == b'\\'),
        brackets: mask(|byte| matches!(byte | 0x20, b'{' | b'}')),
        high: mask(|byte| !byte.is_ascii()),
    }
}

/// Looks at a text block by block.
#[inline(always)]
fn scan(text: &[u8], masks: impl Fn(&[u8; 64]) -> Masks) -> Brackets {
    let mut found = Brackets { spots: Vec::with_capacity(text.len() / 24), is_utf8: true, is_closed: true };
    let mut state = State::default();
    let (blocks, rest) = text.as_chunks::<64>();
    let mut last = [b' '; 64];
    last[..rest.len()].copy_from_slice(rest);
    for (number, block) in blocks.iter().chain((!rest.is_empty()).then_some(&last)).enumerate() {
        let at = 64 * number;
        let masks = masks(block);
        // A run of blocks with such bytes can be looked at alone: no letter goes on into a block without them.
        match (masks.high != 0, state.high) {
            (true, None) => state.high = Some(at),
            (false, Some(begin)) => {
                found.is_utf8 &= std::str::from_utf8(&text[begin..at]).is_ok();
                state.high = None;
            }
            _ => {}
        }
        let mut outside = masks.brackets & !state.inside(&masks);
        while outside != 0 {
            found.spots.push(at as u32 + outside.trailing_zeros());
            outside &= outside - 1;
        }
    }
    if let Some(begin) = state.high {
        found.is_utf8 &= std::str::from_utf8(&text[begin..]).is_ok();
    }
    found.is_closed = state.string == 0;
    found
}

/// What one block leaves to the next.
#[derive(Default)]
struct State {
    /// 1 when its first byte is escaped.
    escaped: u64,
    /// All ones when it begins in a string.
    string: u64,
    /// Where the run of blocks with bytes that are not ASCII began.
    high: Option<usize>,
}

impl State {
    /// The bytes of a block that lie in strings, opening quotes with them.
    #[inline(always)]
    fn inside(&mut self, masks: &Masks) -> u64 {
        let mut quotes = masks.quotes;
        if masks.slashes | self.escaped != 0 {
            quotes &= !self.escaped_bytes(masks.slashes);
        }
        // Each bit becomes the parity of the quotes up to it.
        for shift in [1, 2, 4, 8, 16, 32] {
            quotes ^= quotes << shift;
        }
        let inside = quotes ^ self.string;
        self.string = ((inside as i64) >> 63) as u64;
        inside
    }

    /// The bytes that a backslash stands before which is not escaped itself.
    fn escaped_bytes(&mut self, slashes: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let slashes = slashes & !self.escaped;
        let follows = slashes << 1 | self.escaped;
        // A run that begins at an odd place escapes at even ones, and the other way round; adding finds the runs' ends.
        let (runs, carry) = (slashes & !EVEN & !follows).overflowing_add(slashes);
        self.escaped = u64::from(carry);
        (EVEN ^ runs << 1) & follows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same, byte by byte. What is no JSON, a backslash outside a string, hides quotes only.
    fn slowly(text: &[u8]) -> Brackets {
        let (mut spots, mut string, mut escaped) = (Vec::new(), false, false);
        for (at, &byte) in text.iter().enumerate() {
            let was_escaped = std::mem::take(&mut escaped);
            match byte {
                b'\\' => escaped = !was_escaped,
                b'"' => string ^= !was_escaped,
                b'{' | b'}' | b'[' | b']' if !string => spots.push(at as u32),
                _ => {}
            }
        }
        Brackets { spots, is_utf8: std::str::from_utf8(text).is_ok(), is_closed: !string }
    }

    proptest! {
        #[test]
        fn blocks_agree_with_bytes(text in "[\\[\\]{}\"\\\\a é]{0,300}", cut in any::<prop::sample::Index>(), wrong in proptest::option::of(any::<u8>())) {
            let mut bytes = text.into_bytes();
            if let (Some(wrong), false) = (wrong, bytes.is_empty()) {
                let at = cut.index(bytes.len());
                bytes[at] = wrong;
            }
            prop_assert_eq!(brackets(&bytes), Some(slowly(&bytes)));
            prop_assert_eq!(scan(&bytes, plain), slowly(&bytes));
        }

        #[test]
        fn runs_of_backslashes(runs in proptest::collection::vec((0usize..130, "[\"a{]{1,3}"), 0..6)) {
            let text: String = runs.iter().map(|(run, text)| "\\".repeat(*run) + text).collect();
            prop_assert_eq!(brackets(text.as_bytes()), Some(slowly(text.as_bytes())));
        }
    }
}
