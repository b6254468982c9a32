//! The house rules that a program can check: direction of imports, file headers, file length, where SQL and sockets live.

use std::path::{Path, PathBuf};

/// Rooms and what they may import of the other rooms (`ARCHITECTURE.md`).
const EDGES: [(&str, &[&str]); 6] = [
    ("shards", &[]),
    ("crawler", &["shards"]),
    ("curation", &["shards"]),
    ("training", &["shards"]),
    ("sql", &["shards"]),
    ("tests/web", &["shards"]),
];
const ROOMS: [&str; 6] = ["shards", "crawler", "curation", "training", "sql", "web"];
/// Longer files need a reason, given here.
const LONG_FILES: [(&str, &str); 1] = [("src/cli.rs", "one definition for each flag")];
const MAX_LINES: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["src", "tests", "shards", "crawler", "curation", "training", "sql"].map(|room| root().join(room)).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|suffix| suffix == "rs") {
                let text = std::fs::read_to_string(&entry).expect("text");
                files.push((entry.strip_prefix(root()).expect("below the root").to_path_buf(), text));
            }
        }
    }
    assert!(files.len() > 60, "the walk found only {} files", files.len());
    files
}

#[test]
fn imports_go_one_way() {
    for (room, allowed) in EDGES {
        let manifest: toml::Table = std::fs::read_to_string(root().join(room).join("Cargo.toml")).expect("read").parse().expect("TOML");
        for section in ["dependencies", "dev-dependencies"] {
            for name in manifest.get(section).and_then(|section| section.as_table()).into_iter().flat_map(|table| table.keys()) {
                let is_room = ROOMS.contains(&name.as_str());
                assert!(!is_room || allowed.contains(&name.as_str()), "{room} imports {name} in [{section}]");
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_is_short() {
    for (path, text) in rust_files() {
        assert!(text.starts_with("//! "), "{} has no header", path.display());
        let tests = ["#[cfg(test)]\nmod ", "#[cfg(test)]\npub(crate) mod "].iter().filter_map(|start| text.find(start)).min();
        let code = text[..tests.unwrap_or(text.len())].lines().count();
        let excused = LONG_FILES.iter().any(|(file, _)| Path::new(file) == path);
        assert!(code <= MAX_LINES || excused, "{} has {code} lines before its tests", path.display());
    }
}

#[test]
fn sql_text_and_sockets_stay_in_their_rooms() {
    for (path, text) in rust_files() {
        let room = path.components().next().map(|first| first.as_os_str().to_string_lossy().into_owned()).unwrap_or_default();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(&text);
        if !["sql", "tests"].contains(&room.as_str()) {
            for word in ["insert into ", "create table ", "delete from "] {
                assert!(!code.to_lowercase().contains(word), "{} holds SQL: {word}", path.display());
            }
        }
        if !["crawler", "tests"].contains(&room.as_str()) {
            assert!(!code.contains("reqwest") && !code.contains("TcpStream"), "{} opens sockets", path.display());
        }
    }
}
