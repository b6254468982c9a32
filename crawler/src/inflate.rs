//! Deflate data in one go, by libdeflate.
//!
//! It knows neither stop nor go: all input and all room for output must be there from the start. In exchange it is half again as fast
//! on the small members of archives as a decoder that can go on where its input was cut.

#![allow(unsafe_code)] // libdeflate's functions, argued below

use libdeflate_sys::{
    libdeflate_alloc_decompressor, libdeflate_crc32, libdeflate_decompressor, libdeflate_deflate_decompress_ex,
    libdeflate_free_decompressor, libdeflate_result_LIBDEFLATE_INSUFFICIENT_SPACE as NO_ROOM,
    libdeflate_result_LIBDEFLATE_SUCCESS as SUCCESS,
};
use std::ptr::NonNull;

/// What unpacking came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpacked {
    /// All of it was added to the output; so many bytes of input were used.
    Whole(usize),
    /// It is longer than the room given. Nothing was added.
    NoRoom,
    /// It is broken, or its end is missing. Nothing was added.
    Unfit,
}

/// Memory that libdeflate works in.
pub(crate) struct Inflate(NonNull<libdeflate_decompressor>);

// Sound: the memory is plain data that belongs to nobody else and is bound to no thread.
unsafe impl Send for Inflate {}

impl Inflate {
    /// `None` when there is no memory left.
    pub(crate) fn new() -> Option<Self> {
        // Sound: takes nothing; gives memory that is ours, or null.
        NonNull::new(unsafe { libdeflate_alloc_decompressor() }).map(Inflate)
    }

    /// Unpacks what `packed` begins with, and adds it to `out` if it has at most `room` bytes.
    pub(crate) fn unpack(&mut self, packed: &[u8], out: &mut Vec<u8>, room: usize) -> Unpacked {
        out.reserve(room);
        let (mut used, mut made) = (0, 0);
        let free = out.spare_capacity_mut();
        // Sound: the pointers come from slices with the lengths given; output may be uninitialised, libdeflate reads only what it
        // wrote there; `&mut self` means that nobody else uses the decompressor.
        let result = unsafe {
            libdeflate_deflate_decompress_ex(
                self.0.as_ptr(),
                packed.as_ptr().cast(),
                packed.len(),
                free.as_mut_ptr().cast(),
                room.min(free.len()),
                &mut used,
                &mut made,
            )
        };
        match result {
            SUCCESS => {
                // Sound: on success the first `made` bytes of the free part, no more than `room`, are written.
                unsafe { out.set_len(out.len() + made) };
                Unpacked::Whole(used)
            }
            NO_ROOM => Unpacked::NoRoom,
            _ => Unpacked::Unfit,
        }
    }
}

impl Drop for Inflate {
    fn drop(&mut self) {
        // Sound: allocated by `new`, freed once.
        unsafe { libdeflate_free_decompressor(self.0.as_ptr()) }
    }
}

/// The CRC-32 of gzip.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    // Sound: pointer and length are those of a slice.
    unsafe { libdeflate_crc32(0, bytes.as_ptr().cast(), bytes.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use std::io::Write;

    #[test]
    fn all_or_nothing() {
        let bytes = b"some words ".repeat(1000);
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::default());
        packer.write_all(&bytes).expect("packed");
        let packed = packer.finish().expect("packed");
        let mut inflate = Inflate::new().expect("memory");
        let mut out = b"before ".to_vec();
        assert_eq!(inflate.unpack(&packed, &mut out, bytes.len() - 1), Unpacked::NoRoom);
        assert_eq!(inflate.unpack(&packed[..packed.len() - 1], &mut out, 1 << 20), Unpacked::Unfit);
        assert_eq!(inflate.unpack(&[0xff; 9], &mut out, 1 << 20), Unpacked::Unfit);
        assert_eq!(inflate.unpack(&[], &mut out, 0), Unpacked::Unfit);
        assert_eq!(out, b"before ");
        let followed = [packed.as_slice(), b"more"].concat();
        assert_eq!(inflate.unpack(&followed, &mut out, bytes.len()), Unpacked::Whole(packed.len()));
        assert_eq!(out, [b"before ".as_slice(), &bytes].concat());
    }

    #[test]
    fn sums_are_those_of_gzip() {
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
