//! `verify --repair`: what can be rebuilt is the very file that was there; what cannot is listed.

use crate::run::{Said, Scratch};
use crate::whole::made;

const ALL: [&str; 3] = ["corpus", "corpus-shards", "set"];

fn repair(scratch: &Scratch) -> Said {
    scratch.run(&["verify", "--repair", ALL[0], ALL[1], ALL[2]])
}

/// Changes a file, repairs, and expects the file to be as it was.
fn comes_back(scratch: &Scratch, file: &str, change: impl Fn(&mut Vec<u8>)) {
    let whole = std::fs::read(scratch.path(file)).expect(file);
    let mut changed = whole.clone();
    change(&mut changed);
    scratch.write(file, &changed);
    let said = repair(scratch);
    assert_eq!(said.code, Some(0), "{file}: {said}");
    assert!(said.out.contains("rebuilt  ") && said.err.contains("no damage"), "{file}: {said}");
    assert!(std::fs::read(scratch.path(file)).expect(file) == whole, "{file} is another: {said}");
}

#[test]
fn damaged_files_come_back() {
    let scratch = made();
    let said = repair(&scratch);
    assert!(said.code == Some(0) && !said.out.contains("rebuilt"), "{said}");
    // Shards are packed again from their manifest, which the corpus has.
    for file in ["corpus-shards/00000.tar", "corpus-shards/manifest.parquet"] {
        comes_back(&scratch, file, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
        });
        comes_back(&scratch, file, |bytes| bytes.truncate(700));
    }
    // An imported set has no parent: its manifest comes from the records, its texts and headers from the manifest.
    comes_back(&scratch, "set/manifest.parquet", |bytes| bytes.truncate(100));
    comes_back(&scratch, "set/sizes.json", |bytes| *bytes = b"{}".to_vec());
    comes_back(&scratch, "set/sums.json", |bytes| bytes.truncate(9));
    comes_back(&scratch, "set/00000.tar", |bytes| bytes[3] ^= 1);
    comes_back(&scratch, "set/00000.tar", |bytes| bytes.truncate(bytes.len() - 600));
    // A segment's texts and headers come from its table.
    let caption = b"picture number 3";
    comes_back(&scratch, "corpus/pool/00001.tar", |bytes| {
        let at = bytes.windows(caption.len()).position(|window| window == caption).expect("a caption");
        bytes[at] ^= 1;
    });
    comes_back(&scratch, "corpus/pool/00001.tar", |bytes| bytes[0] ^= 1);
}

#[test]
fn a_pool_table_comes_back_from_its_tar() {
    let scratch = made();
    let table = scratch.path("corpus/pool/00001.parquet");
    let before = shards::TableReader::<shards::PoolRow>::read_all(&table).expect("read");
    std::fs::remove_file(&table).expect("removed");
    let said = repair(&scratch);
    assert_eq!(said.code, Some(0), "{said}");
    // These pictures are stored as they were received, so that even what is measured is the same.
    assert_eq!(shards::TableReader::<shards::PoolRow>::read_all(&table).expect("read"), before);
}

#[test]
fn what_cannot_be_rebuilt_is_listed() {
    let scratch = made();
    let change = |file: &str| {
        let mut bytes = std::fs::read(scratch.path(file)).expect("read");
        // In the middle of the first picture.
        bytes[512 + 300] ^= 1;
        scratch.write(file, &bytes);
        bytes
    };
    let (pool, set) = (change("corpus/pool/00001.tar"), change("set/00000.tar"));
    let said = repair(&scratch);
    assert_eq!(said.code, Some(1), "{said}");
    for name in ["000010000", "000000000"] {
        assert!(
            said.out.lines().any(|line| line.starts_with("left") && line.contains(name) && line.contains("nothing else has them")),
            "{said}"
        );
    }
    assert!(std::fs::read(scratch.path("corpus/pool/00001.tar")).expect("read") == pool, "nothing is guessed");
    assert!(std::fs::read(scratch.path("set/00000.tar")).expect("read") == set);
}
