//! Downloads that the cap saves on a skewed web that is made up here: `capping [PAIRS] [QUERIES] [PER_QUERY]`.
//!
//! Each pair has one to three queries drawn after Zipf's law, as words of captions are. Three ways are compared: fetching everything, a
//! finite source (all counts are known before the first fetch), and the live web (decided by the counts so far). All three end in the
//! same selection at the final counts, which is checked. Prints one JSON object.

use curation::Cap;
use shards::PairId;

fn main() {
    let number = |at: usize, default: u64| std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (pairs, queries, per_query) = (number(1, 1_000_000), number(2, 50_000), number(3, 200));
    let names: Vec<String> = (0..queries).map(|query| format!("query {query}")).collect();
    let drawn: Vec<Vec<usize>> = (0..pairs).map(|pair| draw(pair, queries)).collect();
    // What filters will drop is fetched besides, as a crawl does.
    let (fetch, keep) = (Cap { seed: 1, per_query: per_query * 3 / 2 }, Cap { seed: 1, per_query });
    let id = |pair: usize| PairId(blake3(pair as u64, 0).to_le_bytes());
    let inside = |cap: Cap, pair: usize, counts: &[u64]| {
        cap.inside(&id(pair), drawn[pair].iter().map(|&query| (names[query].as_str(), counts[query])))
    };
    let mut counts = vec![0u64; queries as usize];
    let mut running = Vec::new();
    for (pair, queries) in drawn.iter().enumerate() {
        queries.iter().for_each(|&query| counts[query] += 1);
        if inside(fetch, pair, &counts) {
            running.push(pair);
        }
    }
    let finite: Vec<usize> = (0..drawn.len()).filter(|&pair| inside(fetch, pair, &counts)).collect();
    let select = |fetched: &mut dyn Iterator<Item = usize>| fetched.filter(|&pair| inside(keep, pair, &counts)).collect::<Vec<_>>();
    let selection = select(&mut (0..drawn.len()));
    assert_eq!(selection, select(&mut running.iter().copied()), "the running form loses nothing");
    assert_eq!(selection, select(&mut finite.iter().copied()), "the finite form loses nothing");
    let saved = |fetched: &[usize]| 1.0 - fetched.len() as f64 / pairs as f64;
    println!(
        "{{\"pairs\": {pairs}, \"queries\": {queries}, \"per_query\": {per_query}, \"selected\": {}, \"fetched_finite\": {}, \"saved_finite\": {:.3}, \"fetched_running\": {}, \"saved_running\": {:.3}}}",
        selection.len(),
        finite.len(),
        saved(&finite),
        running.len(),
        saved(&running)
    );
}

/// One to three distinct queries of a pair, the frequency of a query falling as its number rises.
fn draw(pair: u64, queries: u64) -> Vec<usize> {
    let even = |step: u64| (blake3(pair, step) >> 75) as f64 / (1u64 << 53) as f64;
    let count = 1 + (even(1) * 3.0) as u64;
    // The inverse of the logarithm: query k has a share of about 1 / k.
    let mut drawn: Vec<usize> = (0..count).map(|step| ((queries as f64 + 1.0).powf(even(2 + step)) - 1.0) as usize).collect();
    drawn.iter_mut().for_each(|query| *query = (*query).min(queries as usize - 1));
    drawn.sort_unstable();
    drawn.dedup();
    drawn
}

/// A number that depends on two others and on nothing else.
fn blake3(a: u64, b: u64) -> u128 {
    let id = PairId::new(&a.to_string(), &b.to_string());
    u128::from_le_bytes(id.0)
}
