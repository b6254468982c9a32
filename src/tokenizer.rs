//! `diptych tokenizer`: merges learned from captions, and the ids of texts.

use crate::cli;
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use training::{Tokenizer, WordCounts};

/// Most bytes of a line that is tokenized.
const MAX_LINE: u64 = 1 << 20;

/// Learns a tokenizer from manifests.
///
/// # Errors
/// Usage for a size that no vocabulary can have; otherwise what reading or writing met.
pub fn train(flags: &cli::TokenizerTrain) -> Result<(), Failure> {
    if !(514..=1 << 20).contains(&flags.vocab_size) {
        return Err(Failure::Usage(format!("--vocab-size {}: a vocabulary has 514 to 1,048,576 ids", flags.vocab_size)));
    }
    let progress = Progress::start("count words", Unit::Things("samples"));
    let counts = WordCounts::of_manifests(&flags.manifest, &progress.meter)?;
    drop(progress);
    if counts.forgotten > 0 {
        eprintln!("more different words than fit in memory: {} rare ones were forgotten", counts.forgotten);
    }
    let progress = Progress::start("learn merges", Unit::Things("merges"));
    let learned = counts.learn(flags.vocab_size, &flags.out, &progress.meter)?;
    drop(progress);
    eprintln!("{} merges learned from {} different words: {} ids", learned.merges, learned.words, learned.vocab_size);
    if learned.vocab_size < flags.vocab_size {
        eprintln!("no pair occurs twice any more, so the vocabulary stays smaller than --vocab-size {}", flags.vocab_size);
    }
    println!("{}", flags.out.display());
    Ok(())
}

/// Prints the ids of each line as a JSON array.
///
/// # Errors
/// What reading met; usage for a line that is no JSON string where these are asked for.
pub fn encode(flags: &cli::TokenizerEncode) -> Result<(), Failure> {
    let path = flags.tokenizer.clone().unwrap_or_else(Tokenizer::default_path);
    let tokenizer = Tokenizer::read(&path)?;
    let input: Box<dyn Read> = match &flags.file {
        Some(path) => Box::new(std::fs::File::open(path).map_err(shards::Error::io("open", path))?),
        None => Box::new(std::io::stdin()),
    };
    let mut input = BufReader::new(input);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        if input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let ids = if flags.json {
            let text: String =
                serde_json::from_str(text).map_err(|error| Failure::Usage(format!("line {number} is no JSON string: {error}")))?;
            tokenizer.encode(&text, flags.context_length)
        } else {
            tokenizer.encode(text, flags.context_length)
        };
        serde_json::to_writer(&mut out, &ids)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}
