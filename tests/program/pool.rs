//! Downloads of img2dataset and DataComp as a pool: imported, killed, gone on, curated, checked.

use crate::run::{Scratch, arg};
use shards::{Candidate, PoolRow, Sample, TableReader, TarWriter};
use std::collections::BTreeMap;
use std::path::Path;

/// Two tars as img2dataset writes them, `uid` in each record as in DataComp.
fn downloaded(folder: &Path, pictures: &Path) -> u32 {
    let mut files: Vec<_> = std::fs::read_dir(pictures).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let files: Vec<_> =
        files.iter().flat_map(|class| std::fs::read_dir(class).expect("a class").map(|entry| entry.expect("an entry").path())).collect();
    let mut at = 0;
    for (shard, part) in files.chunks(files.len().div_ceil(2)).enumerate() {
        let mut tar = TarWriter::create(&folder.join(format!("{shard:08}.tar"))).expect("begun");
        for (row, file) in part.iter().enumerate() {
            let key = format!("{shard:08}{row:04}");
            let record = serde_json::json!({
                "uid": format!("{at:032x}"), "url": format!("http://h.example/{at}.jpg"), "caption": format!("a picture of thing number {at}"), "key": key,
                "status": "success", "error_message": null, "width": 32, "height": 32, "original_width": 640, "original_height": 480, "sha256": format!("{at:064x}"),
            });
            tar.append(&format!("{key}.jpg"), &std::fs::read(file).expect("read")).expect("written");
            tar.append(&format!("{key}.txt"), record["caption"].as_str().expect("text").as_bytes()).expect("written");
            tar.append(&format!("{key}.json"), record.to_string().as_bytes()).expect("written");
            at += 1;
        }
        tar.append("broken.jpg", b"no picture").expect("written");
        tar.append("broken.json", format!("{{\"url\":\"http://h.example/b{shard}.jpg\",\"caption\":\"broken thing\"}}").as_bytes())
            .expect("written");
        tar.finish().expect("written");
    }
    at
}

fn candidates(scratch: &Scratch, corpus: &str) -> Vec<Candidate> {
    let mut all = Vec::new();
    for job in 1..=2 {
        all.extend(TableReader::<Candidate>::read_all(&scratch.path(&format!("{corpus}/candidates/{job:05}.parquet"))).expect("read"));
    }
    all
}

fn samples(scratch: &Scratch, folder: &str) -> Vec<Sample> {
    TableReader::<Sample>::read_all(&scratch.path(&format!("{folder}/manifest.parquet"))).expect("read")
}

#[test]
fn a_download_becomes_a_pool_and_a_manifest() {
    let scratch = Scratch::new();
    let web = web::Web::generate(1, web::Size::SMALL);
    web.write_test_set(&scratch.path("pictures"), &web.plan().seen[..4]).expect("written");
    let count = downloaded(&scratch.path("data/shards"), &scratch.path("pictures"));
    let said = scratch.ok(&["import", "datacomp:data", "--corpus", "pool"]);
    assert!(said.err.contains(&format!("imported {count} pairs of {} new candidates", count + 2)), "{said}");
    let rows = candidates(&scratch, "pool");
    assert_eq!(rows.iter().filter(|row| row.outcome == shards::outcome::DECODE).count(), 2);
    let said = scratch.ok(&["import", "datacomp:data", "--corpus", "pool"]);
    assert!(said.err.contains("imported 0 pairs of 0 new"), "{said}");
    scratch.ok(&["curate", "--corpus", "pool", "--without", "near-duplicate", "--without", "min-side", "--without", "flat"]);
    let kept = samples(&scratch, "pool/selection/default");
    assert_eq!(kept.iter().map(|row| row.pair_ids.len() as u32).sum::<u32>(), count);
    let pool: Vec<PoolRow> =
        (1..=2).flat_map(|job| TableReader::read_all(&scratch.path(&format!("pool/pool/{job:05}.parquet"))).expect("read")).collect();
    assert!(pool.iter().enumerate().all(|(at, row)| row.sha256 == Some(format!("{at:064x}"))), "the hash of what was received is kept");
    assert!(scratch.ok(&["verify", "pool"]).err.contains("no damage"));
    scratch.ok(&["shard", "--manifest", "pool/selection/default/manifest.parquet", "--out", "shards"]);
    let card = std::fs::read_to_string(scratch.path("shards/card.md")).expect("a card");
    assert!(card.contains("`datacomp:data`") && card.contains("h.example") && card.contains("## Shards"), "{card}");

    // The same as a manifest, and the subset of three uids, one of which is not there.
    scratch.ok(&["import", "img2dataset:data/shards", "--out", "set"]);
    let rows = samples(&scratch, "set");
    assert_eq!(rows.len() as u32, count);
    assert!(rows.iter().all(|row| row.split == "train" && row.image_url.starts_with("http://h.example/") && row.pair_ids.len() == 1));
    let header = "{'descr': [('f0', '<u8'), ('f1', '<u8')], 'fortran_order': False, 'shape': (3,), }";
    let mut subset = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    subset.extend(format!("{header:<117}\n").as_bytes());
    [0u64, 1, 0, 3, 7, 7].iter().for_each(|n| subset.extend(n.to_le_bytes()));
    scratch.write("subset.npy", subset);
    scratch.ok(&["import", "datacomp:data", "--subset", "subset.npy", "--out", "few"]);
    let urls: Vec<String> = samples(&scratch, "few").into_iter().map(|row| row.image_url).collect();
    assert_eq!(urls, ["http://h.example/1.jpg", "http://h.example/3.jpg"]);
    scratch.fails(&["import", "img2dataset:data/shards", "--subset", "subset.npy", "--out", "few"], 2, "--subset goes with datacomp:");
    scratch.fails(&["import", "folder:pictures", "--corpus", "pool"], 2, "img2dataset:DIR and datacomp:DIR");
    scratch.write("words.txt", "no list");
    scratch.fails(&["import", "datacomp:data", "--corpus", "other", "--queries", "words.txt"], 1, "words.txt");
    assert!(!scratch.path("other").exists(), "no corpus is made with a list that is none");

    // What was imported can be added to by a crawl.
    scratch.write("more.csv", "url,caption\nhttp://127.0.0.1:9/a.jpg,one more\n");
    let said = scratch.ok(&["crawl", "--corpus", "pool", "--source", "urls:more.csv", "--allow-private", "--retries", "0"]);
    assert!(said.err.contains("not taken: connect 1"), "{said}");
}

#[test]
fn killed_while_importing_nothing_is_lost_or_doubled() {
    let scratch = Scratch::new();
    let web = web::Web::generate(1, web::Size::SMALL);
    web.write_test_set(&scratch.path("pictures"), &web.plan().seen).expect("written");
    let count = downloaded(&scratch.path("data"), &scratch.path("pictures"));
    let source = format!("img2dataset:{}", arg(&scratch.path("data")));
    let begun = std::time::Instant::now();
    scratch.ok(&["import", &source, "--corpus", "calm"]);
    let whole = begun.elapsed();
    for kill in 1..=8 {
        let mut child = scratch.start(&["import", &source, "--corpus", "killed"]);
        std::thread::sleep(whole.mul_f64(f64::from(kill) / 9.0));
        let _ = child.kill();
        child.wait().expect("ended");
    }
    scratch.ok(&["import", &source, "--corpus", "killed"]);
    let outcomes = |corpus: &str| -> BTreeMap<String, String> {
        let rows = candidates(&scratch, corpus);
        let by_pair: BTreeMap<String, String> = rows.iter().map(|row| (row.pair_id.to_string(), row.outcome.clone())).collect();
        assert_eq!((by_pair.len(), by_pair.len() as u32), (rows.len(), count + 2), "{corpus}");
        by_pair
    };
    assert_eq!(outcomes("killed"), outcomes("calm"));
    assert!(scratch.ok(&["verify", "killed"]).err.contains("no damage"));
}

#[test]
fn tars_that_are_damaged_or_come_later_are_told_of_and_read_by_the_same_command() {
    let scratch = Scratch::new();
    let web = web::Web::generate(1, web::Size::SMALL);
    web.write_test_set(&scratch.path("pictures"), &web.plan().seen[..4]).expect("written");
    let count = downloaded(&scratch.path("data"), &scratch.path("pictures"));
    let whole = std::fs::read(scratch.path("data/00000001.tar")).expect("read");
    scratch.write("data/00000001.tar", &whole[..whole.len() / 2]);
    let import = ["import", "img2dataset:data", "--corpus", "pool"];
    let said = scratch.ok(&[&import[..], &["--per-query", "5"]].concat());
    assert!(said.err.contains("damaged-tar") && said.err.contains("00000001.tar"), "{said}");

    // Whole again, and two more of a download that still runs.
    scratch.write("data/00000001.tar", &whole);
    scratch.write("data/00000002.tar", "");
    scratch.write("data/00000003.parquet", "PAR1");
    let said = scratch.ok(&import);
    for part in ["00000001.tar: it or its table has another size", "00000002.tar", "00000003.parquet: its tar is not there"] {
        assert!(said.err.contains(part), "{part}\n{said}");
    }
    let outcomes = scratch.ok(&["sql", "--corpus", "pool", "-c", "-- all\nselect count(*) as n from pairs", "--format", "csv"]);
    assert_eq!(outcomes.out.trim().lines().last(), Some(count.to_string().as_str()), "{outcomes}");
    assert!(scratch.ok(&import).err.contains("imported 0 pairs of 0 new"));
    assert!(scratch.ok(&["verify", "pool"]).err.contains("no damage"));

    // The cap is a crawl's to set while there are imports only.
    scratch.write("more.csv", "url,caption\nhttp://127.0.0.1:9/a.jpg,one more\n");
    let crawl = ["crawl", "--corpus", "pool", "--source", "urls:more.csv", "--allow-private", "--retries", "0", "--per-query"];
    scratch.ok(&[&import[..], &["--per-query", "0"]].concat());
    scratch.ok(&[&crawl[..], &["20"]].concat());
    scratch.fails(&[&crawl[..], &["10"]].concat(), 2, "contradicts");
    scratch.fails(&[&import[..], &["--per-query", "0"]].concat(), 2, "raise it with diptych crawl");
    scratch.write("files/00000/000.jpg", "x");
    scratch.fails(&["import", "img2dataset:files", "--corpus", "other"], 1, "--output_format=webdataset");
}
