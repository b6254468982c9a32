//! Questions worth asking of any corpus: the files of `inspect/`, kept in the program so that they can be asked by name.

/// A question: `diptych sql` answers it with `\i NAME`.
pub struct Inspection {
    /// Its name, that of its file. Those that begin with `catalogue_` can also be asked of `catalog.sqlite` in `sqlite3`.
    pub name: &'static str,
    /// The statement, after comments that say what it answers and how to read that.
    pub text: &'static str,
}

impl Inspection {
    /// What it answers: the first line of its text.
    pub fn question(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches("-- ")
    }

    /// The question of this name.
    pub fn find(name: &str) -> Option<&'static Inspection> {
        INSPECTIONS.iter().find(|inspection| inspection.name == name)
    }
}

macro_rules! inspections {
    ($($name:literal,)*) => {
        [$(Inspection { name: $name, text: include_str!(concat!("../inspect/", $name, ".sql")) },)*]
    };
}

/// All questions, by name.
pub static INSPECTIONS: [Inspection; 34] = inspections![
    "aspect_ratios",
    "caption_search",
    "captions_by_length",
    "captions_most_repeated",
    "catalogue_counters_summary",
    "catalogue_frontier",
    "catalogue_hosts_by_bytes",
    "catalogue_jobs_open",
    "catalogue_outcomes",
    "catalogue_segments_by_size",
    "classes_hardest",
    "copies_of_images",
    "evals_latest",
    "fields",
    "image_sizes",
    "labels",
    "mistakes_surest",
    "most_capped_queries",
    "near_duplicates_examples",
    "outcomes_over_time",
    "pair_history",
    "pairs_per_query",
    "queries_by_source",
    "queries_cut",
    "queries_rarest",
    "queries_without_pairs",
    "refusals_by_host",
    "refusals_by_reason",
    "runs_latest",
    "runs_settings",
    "runs_speed",
    "selection_sizes",
    "selections_compared",
    "shards_sizes",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::corpus;
    use crate::{Format, Lake, Parameters, render};
    use std::path::Path;

    fn ask(lake: &Lake, name: &str) -> Vec<String> {
        let inspection = Inspection::find(name).expect(name);
        let lake = lake.with_parameters(Parameters::parse(["word=circle", "pair="]).expect("well formed"));
        let mut frame = lake.query(inspection.text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut out = Vec::new();
        render(&mut frame, Format::Csv, &mut out).expect("written");
        String::from_utf8(out).expect("text").lines().skip(1).map(str::to_string).collect()
    }

    #[test]
    fn every_file_is_here_and_says_what_it_answers() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("inspect");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("listed")
            .map(|entry| entry.expect("entry").file_name().into_string().expect("text"))
            .collect();
        files.sort();
        assert_eq!(files, INSPECTIONS.iter().map(|inspection| format!("{}.sql", inspection.name)).collect::<Vec<_>>());
        for inspection in &INSPECTIONS {
            let comments = inspection.text.lines().take_while(|line| line.starts_with("-- ")).count();
            assert!(inspection.question().ends_with('?') && comments >= 2, "{}", inspection.name);
        }
    }

    #[test]
    fn all_answer_over_a_corpus_and_over_nothing() {
        let corpus = corpus();
        let lake = corpus.lake();
        let nothing = Lake::open(None, None).expect("nothing to open");
        for inspection in &INSPECTIONS {
            assert!(!ask(&lake, inspection.name).is_empty(), "{} has no answer", inspection.name);
            assert!(ask(&nothing, inspection.name).is_empty(), "{} answers about nothing", inspection.name);
        }
    }

    #[test]
    fn those_of_the_catalogue_answer_the_same_in_sqlite() {
        let corpus = corpus();
        let connection = rusqlite::Connection::open(corpus.path().join("catalog.sqlite")).expect("opened");
        for inspection in INSPECTIONS.iter().filter(|inspection| inspection.name.starts_with("catalogue_")) {
            let mut statement = connection.prepare(inspection.text).unwrap_or_else(|error| panic!("{}: {error}", inspection.name));
            let columns = statement.column_count();
            let cell = |row: &rusqlite::Row, at| match row.get_ref(at).expect("a cell") {
                rusqlite::types::ValueRef::Integer(n) => n.to_string(),
                rusqlite::types::ValueRef::Real(x) => serde_json::Value::from(x).to_string(),
                other => other.as_str().expect("text").to_string(),
            };
            let rows = statement.query_map([], |row| Ok((0..columns).map(|at| cell(row, at)).collect::<Vec<_>>().join(",")));
            let rows: Vec<String> = rows.expect("asked").map(|row| row.expect("a row")).collect();
            assert_eq!(rows, ask(&corpus.lake(), inspection.name), "{}", inspection.name);
        }
    }

    #[test]
    fn those_of_the_catalogue_answer_in_the_sqlite3_program() {
        let corpus = corpus();
        // `.ci/run` installs it; a machine without it still has the test above, which asks the library.
        if std::process::Command::new("sqlite3").arg("--version").output().is_err() {
            eprintln!("SKIPPED: there is no program sqlite3 here (apt-get install sqlite3)");
            return;
        }
        for inspection in INSPECTIONS.iter().filter(|inspection| inspection.name.starts_with("catalogue_")) {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("inspect").join(format!("{}.sql", inspection.name));
            let said = std::process::Command::new("sqlite3")
                .args(["-csv", "-bail"])
                .arg(corpus.path().join("catalog.sqlite"))
                .stdin(std::fs::File::open(file).expect("opened"))
                .output()
                .expect("sqlite3 runs");
            let text = String::from_utf8_lossy(&said.stdout).replace("\r\n", "\n");
            let rows: Vec<&str> = text.lines().collect();
            assert!(said.status.success(), "{}: {}", inspection.name, String::from_utf8_lossy(&said.stderr));
            assert_eq!(rows, ask(&corpus.lake(), inspection.name), "{}", inspection.name);
        }
    }

    #[test]
    fn answers_are_right() {
        let corpus = corpus();
        let expected: [(&str, &[&str]); 28] = [
            ("pairs_per_query", &["red circle,word,2", "a blue, square,added,1"]),
            ("queries_by_source", &["word,2,0,0,1", "added,1,0,0,0"]),
            ("queries_cut", &["yellow,word,limit,90,,"]),
            ("queries_rarest", &["0,red circle,word,100,,", "1,\"a blue, square\",added,100,,", "2,zebra,word,100,,"]),
            ("queries_without_pairs", &["2,zebra,0"]),
            ("most_capped_queries", &["red circle,4,2,1"]),
            ("refusals_by_reason", &["first,kept,2,0.6667", "first,near-duplicate,1,0.3333"]),
            ("refusals_by_host", &["b.example,http_4xx,1,404 Not Found,http://b.example/4.jpg"]),
            ("captions_most_repeated", &["a red circle,2,2"]),
            ("near_duplicates_examples", &[]),
            ("image_sizes", &["64,1,0.1", "256,2,0.1"]),
            ("aspect_ratios", &["about square,2", "\"banner, 3:1 or wider\",1"]),
            ("captions_by_length", &["3,2", "4,1"]),
            ("fields", &["alt,4,4,2", "figcaption,2,1,1"]),
            ("selection_sizes", &["first,train,1,1,1", "first,val,1,2,1"]),
            ("runs_latest", &["small,20,2"]),
            ("runs_speed", &["small,150.0,0.02,9.0"]),
            ("runs_settings", &["small,lr,0.001", "small,model,small"]),
            ("evals_latest", &["small,val.json,100,0.75,0.0849"]),
            ("classes_hardest", &["small,val.json,cat,40,10,0.25", "small,val.json,dog,60,60,1.0"]),
            ("mistakes_surest", &["small,val.json,000000001,cat,dog,0.75"]),
            ("selections_compared", &["first,3,2,0.6667,2"]),
            ("caption_search", &[]),
            ("pair_history", &[]),
            ("labels", &[]),
            ("shards_sizes", &[]),
            ("catalogue_outcomes", &["ok,3,0.5", "full,1,0.1667", "http_4xx,1,0.1667", "page:ok,1,1.0", "unmatched,1,0.1667"]),
            ("catalogue_jobs_open", &["web,http://a.example/,fetch,open,1,2", "web,http://a.example/,pages,leased,1,3"]),
        ];
        for (name, rows) in expected {
            let answer = ask(&corpus.lake(), name);
            match name {
                "near_duplicates_examples" => assert!(answer[0].contains("http://b.example/2.jpg,http://a.example/1.jpg"), "{answer:?}"),
                "caption_search" => assert!(answer.len() == 4 && answer[3].contains(",ok,"), "{answer:?}"),
                "pair_history" => assert!(answer.len() == 6 && answer.iter().any(|row| row.contains("near-duplicate")), "{answer:?}"),
                "labels" => assert!(answer[0].ends_with(",test,1,2"), "{answer:?}"),
                "shards_sizes" => assert!(answer[0].ends_with(",00000.tar,2,0,0,2,2048"), "{answer:?}"),
                "pairs_per_query" => assert_eq!(answer, ["red circle,word,2", "\"a blue, square\",added,1"]),
                _ => assert_eq!(answer, rows, "{name}"),
            }
        }
    }
}
