//! Names that look like a mistyped one.

/// Changes of one character (put in, left out, replaced, or swapped with its neighbour) that turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, n) | (n, 0) => n,
                _ => {
                    let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                    let swap = if swapped { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                    replaced.min(swap).min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1)
                }
            };
        }
    }
    rows[a.len()][b.len()]
}

/// Longest name compared; the time of a comparison is the product of both lengths.
pub(crate) const MAX_CHARS: usize = 100;
/// Most names proposed.
const MAX_NAMES: usize = 3;

/// Those of `names` that `name` may have meant, the likeliest first: at most a third of its characters (rounded) differ, or one
/// holds the other.
pub(crate) fn near<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted: String = name.to_lowercase().chars().take(MAX_CHARS).collect();
    let allowed = ((wanted.chars().count() + 1) / 3).max(1);
    let score = |other: &str| {
        let lower: String = other.to_lowercase().chars().take(MAX_CHARS).collect();
        let holds = wanted.len() > 2 && lower.len() > 2 && (lower.contains(&wanted) || wanted.contains(&lower));
        let changes = distance(&wanted, &lower);
        (changes <= allowed || holds).then_some(changes)
    };
    let mut scored: Vec<(usize, &str)> = names.into_iter().filter_map(|other| Some((score(other)?, other))).collect();
    scored.sort_unstable();
    scored.dedup();
    // Written with other capitals: that one was meant.
    if scored.first().is_some_and(|(changes, _)| *changes == 0) {
        scored.truncate(1);
    }
    scored.into_iter().take(MAX_NAMES).map(|(_, other)| other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_changes() {
        for (a, b, changes) in [("", "abc", 3), ("pairs", "pairs", 0), ("piars", "pairs", 1), ("segmets", "segments", 1), ("é", "e", 1)] {
            assert_eq!(distance(a, b), changes, "{a} {b}");
            assert_eq!(distance(b, a), changes, "{b} {a}");
        }
    }

    #[test]
    fn proposes_only_what_looks_alike() {
        let names = ["candidates", "pairs", "pages", "hosts", "reasons"];
        assert_eq!(near("candidats", names), ["candidates"]);
        assert_eq!(near("Pairs", names), ["pairs"]);
        assert_eq!(near("host", names), ["hosts"]);
        assert_eq!(near("pears", names), ["pairs"]);
        assert!(near("zebra", names).is_empty());
        assert!(near(&"x".repeat(1 << 20), names).is_empty());
    }
}
