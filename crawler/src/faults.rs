//! Reading client errors: what lies at their ground, and what they say.

use std::error::Error;

/// The cause of type `T` somewhere under a client error.
///
/// Errors of input and output hide what they wrap from `source`, so these are opened too.
pub(crate) fn cause_of<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// The causes of a client error in words, without its own, which only names the URL.
pub(crate) fn words_of(error: &(dyn Error + 'static)) -> String {
    let mut words = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Causes often repeat each other.
        let text = error.to_string();
        if !words.contains(&text) {
            words = if words.is_empty() { text } else { format!("{words}: {text}") };
        }
        cause = error.source();
    }
    if words.is_empty() { "the connection failed".to_string() } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Unknown;

    #[test]
    fn causes_are_found_through_input_and_output() {
        let inner = std::io::Error::other(Unknown("a.test".to_string()));
        let outer = crate::Error::from(shards::Error::io("read", std::path::Path::new("x"))(inner));
        assert!(cause_of::<Unknown>(&outer).is_some());
        assert!(cause_of::<std::fmt::Error>(&outer).is_none());
        assert!(words_of(&outer).contains("a.test"), "{}", words_of(&outer));
    }
}
