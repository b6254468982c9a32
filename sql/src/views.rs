//! What the tables' columns mean: `VIEWS.md` beside this folder, which people read and `describe` quotes.

/// The document: a heading for each table, a line for each column.
const VIEWS: &str = include_str!("../VIEWS.md");

/// What a column means, in the document's words; empty for one that it does not know, as of runs of another version.
pub(crate) fn meaning(table: &str, column: &str) -> String {
    let section = VIEWS.split("\n## ").find(|section| section.lines().next() == Some(table)).unwrap_or_default();
    let lines = section.lines().filter_map(|line| line.strip_prefix("- "));
    let mut parts = lines.filter_map(|line| line.split_once(": "));
    let found = parts.find(|(names, _)| names.split(", ").any(|name| name.trim_matches('`') == column));
    found.map(|(_, meaning)| meaning.replace('`', "")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{Place, TABLES};

    #[test]
    fn every_table_and_column_is_documented() {
        for table in &TABLES {
            assert!(VIEWS.contains(&format!("\n## {}\n", table.name)), "{} has no section", table.name);
            let columns = table.column_names(&Place { corpus: None, runs: None, shards: Vec::new() }).expect(table.name);
            for column in columns {
                assert!(!meaning(table.name, &column).is_empty(), "{}.{column} has no line", table.name);
            }
        }
        let sections = VIEWS.matches("\n## ").count();
        assert_eq!(sections, TABLES.len(), "a section that is no table");
    }
}
