//! `diptych.toml`: the flags' own names and values, one table per subcommand, put in front of the flags that were typed.

use clap::CommandFactory;
use std::ffi::OsString;
use std::path::Path;

/// Adds the flags of `file` for the subcommand in `args` that were not typed. A missing file adds nothing.
///
/// # Errors
/// A message that names the file and the key, when it is not TOML or holds a key that is no flag.
pub fn with_config(args: Vec<OsString>, file: &Path) -> Result<Vec<OsString>, String> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(args),
        Err(error) => return Err(format!("cannot read {}: {error}", file.display())),
    };
    let tables: toml::Table = text.parse().map_err(|error| format!("{}: {error}", file.display()))?;
    let mut words: Vec<String> = Vec::new();
    let mut command = crate::cli::Cli::command();
    command.build();
    if let Some(key) = tables.keys().find(|key| command.find_subcommand(key).is_none()) {
        return Err(format!("{}: {key} is no command, so it can have no table", file.display()));
    }
    let mut table = Some(&tables);
    let mut at = 1;
    // Follow the subcommand's words, such as `eval zero-shot`, through the tables of the same names.
    while let Some(word) = args.get(at).and_then(|word| word.to_str()) {
        let Some(sub) = command.find_subcommand(word).cloned() else { break };
        table = table.and_then(|table| table.get(word)).and_then(|table| table.as_table());
        command = sub;
        at += 1;
    }
    if let (Some(table), true) = (table, at > 1) {
        for (key, value) in table.iter().filter(|(_, value)| !value.is_table()) {
            let Some(known) = command.get_arguments().find(|arg| arg.get_long() == Some(key)) else {
                return Err(format!("{}: `{}` has no flag --{key}", file.display(), command.get_name()));
            };
            let is_bare = !known.get_action().takes_values();
            let flag = format!("--{key}");
            let typed = args[at..].iter().filter_map(|arg| arg.to_str()).any(|arg| arg == flag || arg.starts_with(&format!("{flag}=")));
            if !typed {
                words.extend(
                    flag_words(&flag, value, is_bare)
                        .ok_or_else(|| format!("{}: {key} = {value} is not a flag's value", file.display()))?,
                );
            }
        }
    }
    let mut all = args;
    all.splice(at..at, words.into_iter().map(OsString::from));
    Ok(all)
}

/// The words of one flag on a command line; lists repeat the flag, `true` is a flag that is bare.
fn flag_words(flag: &str, value: &toml::Value, is_bare: bool) -> Option<Vec<String>> {
    let with = |text: String| vec![format!("{flag}={text}")];
    Some(match value {
        toml::Value::String(text) => with(text.clone()),
        toml::Value::Integer(number) => with(number.to_string()),
        toml::Value::Float(number) => with(number.to_string()),
        toml::Value::Boolean(value) if !is_bare => with(value.to_string()),
        toml::Value::Boolean(true) => vec![flag.to_string()],
        toml::Value::Boolean(false) => Vec::new(),
        toml::Value::Array(items) => {
            let words: Option<Vec<_>> = items.iter().map(|item| flag_words(flag, item, is_bare)).collect();
            words?.concat()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(toml: &str, args: &[&str]) -> Result<Vec<String>, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("diptych.toml");
        std::fs::write(&file, toml).expect("written");
        let args = std::iter::once("diptych").chain(args.iter().copied()).map(OsString::from).collect();
        Ok(with_config(args, &file)?.into_iter().map(|arg| arg.into_string().expect("text")).collect())
    }

    #[test]
    fn typed_flags_win_and_lists_repeat() {
        let toml = "[crawl]\nper-query = 500\nsource = ['web:a', 'web:b']\nallow-private = true\n[eval.zero-shot]\nsplit = 'test'";
        let all = merged(toml, &["crawl", "--per-query", "7"]).expect("merged");
        assert_eq!(all, ["diptych", "crawl", "--allow-private", "--source=web:a", "--source=web:b", "--per-query", "7"]);
        assert_eq!(merged(toml, &["eval", "zero-shot"]).expect("merged"), ["diptych", "eval", "zero-shot", "--split=test"]);
        assert_eq!(merged(toml, &["status"]).expect("merged"), ["diptych", "status"]);
        let all = merged("[crawl]\nresize-only-if-bigger = false\nskip-reencode = false", &["crawl"]).expect("merged");
        assert_eq!(all, ["diptych", "crawl", "--resize-only-if-bigger=false"]);
    }

    #[test]
    fn unknown_keys_are_named() {
        let error = merged("[crawl]\nper-qery = 1", &["crawl"]).expect_err("refused");
        assert!(error.ends_with("`crawl` has no flag --per-qery"), "{error}");
        assert!(merged("[crwl]\nper-query = 1", &["crawl"]).expect_err("refused").contains("crwl is no command"));
    }
}
