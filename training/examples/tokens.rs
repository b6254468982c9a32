//! Texts a second that the tokenizer turns into ids on one core: `... --example tokens -- CAPTIONS.txt [ROUNDS]`.

use std::time::Instant;
use training::Tokenizer;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("expected: CAPTIONS.txt [ROUNDS]")?;
    let rounds: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let text = std::fs::read_to_string(path)?;
    let lines: Vec<&str> = text.lines().collect();
    let tokenizer = Tokenizer::new()?;
    for _ in 0..rounds {
        let begin = Instant::now();
        let ids: usize = lines.iter().map(|line| tokenizer.encode(line, 77).len()).sum();
        println!("{} {ids}", lines.len() as f64 / begin.elapsed().as_secs_f64());
    }
    Ok(())
}
