//! Shards in an object store: written to and read from `s3://` and `http://` on loopback.

use crate::run::{Said, Scratch};
use crate::whole::made;
use web::Bucket;

/// Runs the program with a store of ours in place of Amazon's.
fn with_store(scratch: &Scratch, bucket: &Bucket, args: &[&str]) -> Said {
    let url = bucket.url();
    let environment = [
        ("AWS_ENDPOINT", url.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_REGION", "us-east-1"),
        ("TMPDIR", "."),
    ];
    let said = scratch.run_with(&environment, args);
    assert_eq!(said.code, Some(0), "{said}");
    said
}

#[test]
fn shards_are_written_to_a_store_and_read_back() {
    let scratch = made();
    let bucket = Bucket::start().expect("started");
    let manifest = "corpus/selection/default/manifest.parquet";
    let shard = ["shard", "--manifest", manifest, "--shard-samples", "4", "--out"];
    scratch.ok(&[&shard[..], &["here"]].concat());
    let said = with_store(&scratch, &bucket, &[&shard[..], &["s3://data/there"]].concat());
    assert_eq!(said.out.trim(), "s3://data/there/manifest.parquet");
    let there: Vec<String> = bucket.paths();
    let here = scratch.files("here");
    assert_eq!(there, here.keys().map(|name| format!("/data/there/{name}")).collect::<Vec<_>>());
    here.iter().for_each(|(name, bytes)| assert!(bucket.get(&format!("/data/there/{name}")).as_ref() == Some(bytes), "{name}"));
    let puts: Vec<String> = bucket.requests().into_iter().filter(|request| request.starts_with("PUT")).collect();
    assert!(puts.last().is_some_and(|last| last.contains("manifest.parquet")), "{puts:?}");

    // Packed once more from there, and over plain HTTP: the same bytes as from here.
    scratch.ok(&["shard", "--manifest", "here/manifest.parquet", "--seed", "5", "--out", "again-here"]);
    with_store(&scratch, &bucket, &["shard", "--manifest", "s3://data/there/manifest.parquet", "--seed", "5", "--out", "again-s3"]);
    let address = format!("{}/data/there/manifest.parquet", bucket.url());
    scratch.ok(&["shard", "--manifest", &address, "--seed", "5", "--out", "again-http"]);
    for again in ["again-s3", "again-http"] {
        assert!(scratch.files(again) == scratch.files("again-here"), "{again}");
    }
    // Imported from there, nothing copied; both are checked where they lie.
    let range = format!("tar:{}/data/there/{{00000..00001}}.tar", bucket.url());
    let said = scratch.ok(&["import", &range, "--out", "set-there"]);
    assert!(said.err.contains("imported 6 samples"), "{said}");
    scratch.ok(&["verify", "set-there"]);
    let said = with_store(&scratch, &bucket, &["verify", "s3://data/there"]);
    assert!(said.err.contains("1 folders: no damage"), "{said}");
    let folder = format!("{}/data/there", bucket.url());
    scratch.ok(&["verify", &folder]);
    scratch.fails(&["verify", &format!("{}/data/nowhere", bucket.url())], 2, "nowhere");
    scratch.fails(&["verify", "--repair", &folder], 2, "--repair works on folders of this machine");
    let mut spoilt = bucket.get("/data/there/00001.tar").expect("there");
    spoilt[600] ^= 1;
    bucket.put("/data/there/00001.tar", spoilt);
    let said = scratch.fails(&["verify", &folder], 1, "damaged");
    assert!(said.out.contains("00001.tar") && said.out.contains("other bytes than were written"), "{said}");
    // A server in trouble says nothing of the files.
    bucket.forbid("00001.tar");
    let said = scratch.fails(&["verify", &folder], 1, "not everything could be read");
    assert!(said.out.contains("00001.tar") && !said.out.contains("damaged "), "{said}");
    // Other kinds than shards have their files elsewhere.
    bucket.put("/data/other/meta.json", scratch.files("corpus")["meta.json"].clone());
    scratch.fails(&["verify", &format!("{}/data/other", bucket.url())], 2, "is a corpus");
    scratch.fails(&["shard", "--manifest", &format!("{}/data/nowhere.parquet", bucket.url()), "--out", "x"], 1, "nowhere.parquet");
}

#[test]
fn google_cloud_storage_is_written_and_read_too() {
    let scratch = made();
    let bucket = Bucket::start().expect("started");
    // What Google's emulators ask for: an account without a key, and a base address.
    let account =
        format!(r#"{{"gcs_base_url":"{}","disable_oauth":true,"client_email":"","private_key":"","private_key_id":""}}"#, bucket.url());
    let account = scratch.write("account.json", account).display().to_string();
    let google = |args: &[&str]| {
        let said = scratch.run_with(&[("GOOGLE_SERVICE_ACCOUNT", &account), ("GOOGLE_ALLOW_HTTP", "true")], args);
        assert_eq!(said.code, Some(0), "{said}");
        said
    };
    let manifest = "corpus/selection/default/manifest.parquet";
    scratch.ok(&["shard", "--manifest", manifest, "--shard-samples", "4", "--out", "here"]);
    google(&["shard", "--manifest", manifest, "--shard-samples", "4", "--out", "gs://data/there"]);
    for (name, bytes) in scratch.files("here") {
        assert!(bucket.get(&format!("/data/there/{name}")) == Some(bytes), "{name} of {:?}", bucket.paths());
    }
    google(&["shard", "--manifest", "gs://data/there/manifest.parquet", "--seed", "5", "--out", "again-gs"]);
    scratch.ok(&["shard", "--manifest", "here/manifest.parquet", "--seed", "5", "--out", "again-here"]);
    assert!(scratch.files("again-gs") == scratch.files("again-here"));
    let said = google(&["verify", "gs://data/there"]);
    assert!(said.err.contains("no damage"), "{said}");
}

#[test]
fn a_takedown_puts_new_objects_in_place() {
    let scratch = made();
    let bucket = Bucket::start().expect("started");
    let manifest = "corpus/selection/default/manifest.parquet";
    with_store(&scratch, &bucket, &["shard", "--manifest", manifest, "--out", "s3://data/there"]);
    let old = bucket.get("/data/there/00000.tar").expect("there");
    let said = with_store(&scratch, &bucket, &["remove", "--url", "http://a.example/2.jpg", "--shards", "s3://data/there"]);
    assert!(said.err.contains("2 samples of manifests"), "{said}");
    let new = bucket.get("/data/there/00000.tar").expect("there");
    let holds = |bytes: &[u8]| bytes.windows(16).any(|window| window == b"picture number 2");
    assert!(holds(&old) && !holds(&new) && old.len() == new.len());
    let said = with_store(&scratch, &bucket, &["shard", "--manifest", "s3://data/there/manifest.parquet", "--out", "back"]);
    assert!(said.err.contains("wrote 5 samples"), "{said}");
}
