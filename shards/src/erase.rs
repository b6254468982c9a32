//! Members of an archive overwritten where they lie: the name becomes `__removed__`, the data zeros, the sums are renewed.
//!
//! Everything else keeps its place, so offsets in tables hold. Readers of WebDataset skip names between double underscores. Safe to
//! do again, and to be killed in: a header is renewed before its data, and what is half done is done again.

use crate::tar::{BLOCK, header};
use crate::{Error, Extent, Member, TarReader, store};
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The name of a member that was taken down.
pub const ERASED: &str = "__removed__";
/// Zeros written at a time.
const CHUNK: usize = 1 << 16;

/// Overwrites the samples of the archive at `path` that have a member whose data lies at one of `extents`, with all their other
/// members. Returns the extents at which no member was found (the archive is damaged); where they lie within the file, their
/// bytes are zeros now all the same. At an address the archive is replaced by a changed copy.
///
/// # Errors
/// `Io` when it cannot be read or written.
pub fn erase(path: &Path, extents: &[Extent]) -> Result<Vec<Extent>, Error> {
    if !store::is_address(path) {
        return erase_here(path, extents);
    }
    let folder = tempfile::tempdir().map_err(Error::io("make a temporary folder for", path))?;
    let copy = folder.path().join("copy.tar");
    let mut to = File::create(&copy).map_err(Error::io("create", &copy))?;
    std::io::copy(&mut store::Stored::open_ahead(path)?, &mut to).and_then(|_| to.flush()).map_err(Error::io("copy", path))?;
    let missed = erase_here(&copy, extents)?;
    store::send(&copy, path)?;
    Ok(missed)
}

fn erase_here(path: &Path, extents: &[Extent]) -> Result<Vec<Extent>, Error> {
    let file = File::options().read(true).write(true).open(path).map_err(Error::io("open", path))?;
    let size = file.metadata().map_err(Error::io("inspect", path))?.len();
    let mut wanted: HashSet<u64> = extents.iter().filter(|extent| extent.length > 0).map(|extent| extent.offset).collect();
    let mut sample: Vec<Member> = Vec::new();
    let mut finish = |sample: &mut Vec<Member>| -> Result<(), Error> {
        let hit = sample.iter().filter(|member| wanted.remove(&member.extent.offset)).count() > 0;
        if hit {
            sample.iter().try_for_each(|member| blank_member(&file, member)).map_err(Error::io("write", path))?;
        }
        sample.clear();
        Ok(())
    };
    // Damage ends the walk: what lies behind it is not found by its header.
    for member in TarReader::open(path)?.map_while(Result::ok) {
        // What was erased before stands for itself, whatever it was.
        if member.name == ERASED || sample.last().is_some_and(|last| key(&last.name) != key(&member.name)) {
            finish(&mut sample)?;
        }
        sample.push(member);
    }
    finish(&mut sample)?;
    let missed: Vec<Extent> = extents.iter().filter(|extent| wanted.contains(&extent.offset)).copied().collect();
    for extent in &missed {
        let end = extent.offset.saturating_add(extent.length).min(size);
        zero(&file, extent.offset, end.saturating_sub(extent.offset)).map_err(Error::io("write", path))?;
    }
    file.sync_all().map_err(Error::io("sync", path))?;
    Ok(missed)
}

/// What the members of one sample share: the name up to the first dot after the last slash.
fn key(name: &str) -> &str {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    name[base..].find('.').map_or(name, |dot| &name[..base + dot])
}

/// Overwrites a member, and the long-name or pax headers before its own, which become members of their own.
fn blank_member(file: &File, member: &Member) -> std::io::Result<()> {
    let mut at = member.start;
    while at + BLOCK < member.extent.offset {
        let mut block = [0; BLOCK as usize];
        file.read_exact_at(&mut block, at)?;
        let length = crate::tar::length_in(&block).filter(|length| at + BLOCK + length.next_multiple_of(BLOCK) < member.extent.offset);
        let Some(length) = length else { break };
        blank(file, at, length)?;
        at += BLOCK + length.next_multiple_of(BLOCK);
    }
    blank(file, member.extent.offset - BLOCK, member.extent.length)
}

/// Writes a header for `length` zeros, and the zeros.
fn blank(file: &File, at: u64, length: u64) -> std::io::Result<()> {
    let mut hasher = blake3::Hasher::new();
    let zeros = [0; CHUNK];
    let mut rest = length;
    while rest > 0 {
        let n = rest.min(CHUNK as u64);
        hasher.update(&zeros[..n as usize]);
        rest -= n;
    }
    let mut sum = [0; 6];
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..6]);
    file.write_all_at(&header(ERASED, length, sum), at)?;
    zero(file, at + BLOCK, length)
}

fn zero(file: &File, at: u64, length: u64) -> std::io::Result<()> {
    let zeros = [0; CHUNK];
    let mut done = 0;
    while done < length {
        let n = (length - done).min(CHUNK as u64);
        file.write_all_at(&zeros[..n as usize], at + done)?;
        done += n;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TarWriter, member_sum, read_extent};

    fn written(path: &Path) -> Vec<(String, Extent)> {
        let mut tar = TarWriter::create(path).expect("begun");
        let mut members = Vec::new();
        for i in 0..5u8 {
            for (suffix, length) in [("jpg", 70_000), ("txt", 9), ("json", 0), ("npy", 513)] {
                let name = format!("{i:09}.{suffix}");
                members.push((name.clone(), tar.append(&name, &vec![i + 1; length]).expect("appended")));
            }
        }
        tar.finish().expect("finished");
        members
    }

    #[test]
    fn a_sample_goes_whole_and_others_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.tar");
        let members = written(&path);
        let before = std::fs::read(&path).expect("read");
        for round in 0..2 {
            assert_eq!(erase(&path, &[members[8].1]).expect("erased"), [], "round {round}");
            let after = std::fs::read(&path).expect("read");
            let (from, to) = ((members[8].1.offset - BLOCK) as usize, (members[12].1.offset - BLOCK) as usize);
            assert!(after.len() == before.len() && after[..from] == before[..from] && after[to..] == before[to..], "round {round}");
            let walked: Vec<Member> = TarReader::open(&path).expect("opened").map(|member| member.expect("whole")).collect();
            let file = File::open(&path).expect("opened");
            for (member, (name, extent)) in walked.iter().zip(&members) {
                let erased = name.starts_with("000000002");
                assert_eq!((member.name.as_str(), member.extent), (if erased { ERASED } else { name.as_str() }, *extent));
                let data = read_extent(&file, &path, *extent).expect("read");
                assert_eq!(member.sum, Some(member_sum(&data)), "{name}");
                assert_eq!(data.iter().all(|&byte| byte == 0), erased || data.is_empty(), "{name}");
            }
        }
        let list = std::process::Command::new("tar").arg("tf").arg(&path).output().expect("tar runs");
        assert!(list.status.success());
        assert_eq!(String::from_utf8_lossy(&list.stdout).lines().filter(|line| *line == ERASED).count(), 4);
    }

    #[test]
    fn long_names_of_other_programs_go_too() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("d".repeat(120));
        std::fs::create_dir(&folder).expect("made");
        std::fs::write(folder.join("a.jpg"), b"one").expect("written");
        std::fs::write(folder.join("b.jpg"), b"two").expect("written");
        for format in ["gnu", "pax"] {
            let path = dir.path().join(format!("{format}.tar"));
            let mut tar = std::process::Command::new("tar");
            tar.arg("-C").arg(dir.path()).arg(format!("--format={format}")).arg("-cf").arg(&path);
            let made = tar.args(["a.jpg", "b.jpg"].map(|name| format!("{}/{name}", "d".repeat(120)))).status();
            assert!(made.expect("tar runs").success());
            let members: Vec<Member> = TarReader::open(&path).expect("opened").map(|member| member.expect("whole")).collect();
            assert!(members[0].start + BLOCK < members[0].extent.offset, "{format}: there is a header before the header");
            erase(&path, &[members[0].extent]).expect("erased");
            let bytes = std::fs::read(&path).expect("read");
            assert!(!bytes.windows(5).any(|window| window == b"a.jpg"), "{format}");
            let left: Vec<Member> = TarReader::open(&path).expect("opened").map(|member| member.expect("whole")).collect();
            assert_eq!(left.last().map(|member| (&member.name, member.extent)), Some((&members[1].name, members[1].extent)), "{format}");
            assert!(left[..left.len() - 1].iter().all(|member| member.name == ERASED), "{format}: {left:?}");
        }
    }

    #[test]
    fn behind_damage_the_bytes_go_and_are_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.tar");
        let members = written(&path);
        let mut bytes = std::fs::read(&path).expect("read");
        bytes[members[5].1.offset as usize - 500] ^= 0xff;
        std::fs::write(&path, &bytes).expect("written");
        let beyond = Extent { offset: 1 << 40, length: 7 };
        assert_eq!(erase(&path, &[members[8].1, beyond]).expect("erased"), [members[8].1, beyond]);
        let file = File::open(&path).expect("opened");
        assert!(read_extent(&file, &path, members[8].1).expect("read").iter().all(|&byte| byte == 0));
        assert_eq!(std::fs::metadata(&path).expect("there").len(), bytes.len() as u64);
    }
}
