//! One sample's members as they lie in an archive: the picture with its key, and the captions behind it.

use crate::captions::captions_sum;
use crate::draws::name_of;
use crate::samples::{CaptionsAt, Record, Samples, UNIT};
use shards::{Header, member_sum};

/// A sample's bytes, found in what was read of its archive.
pub(crate) struct Members<'a> {
    /// The identity that random draws depend on: of the key, the part of the picture's name that its members share.
    pub name: u64,
    /// The picture, as it is stored.
    pub picture: &'a [u8],
    /// The members' common name.
    key: String,
    sum: Option<[u8; 6]>,
    /// The archive behind the picture.
    rest: &'a [u8],
}

impl<'a> Members<'a> {
    /// Finds the members of `record` in its span.
    ///
    /// # Errors
    /// In words: when the archive is not what the manifest says, or the sample was removed.
    pub fn find(span: &'a [u8], record: &Record) -> Result<Self, String> {
        let header = header(span)
            .filter(|header| header.regular)
            .ok_or("there is no member here: the archive is not the one that the manifest was made of")?;
        if header.name.contains("__removed__") {
            return Err("the sample was removed from the archive".to_string());
        }
        if header.length != record.length() as u64 {
            return Err(format!("the member here has {} bytes, the manifest says {}", header.length, record.length()));
        }
        let body = span.get(UNIT as usize..).unwrap_or_default();
        let picture = body.get(..record.length()).ok_or("the archive is cut off")?;
        let rest = body.get(record.length().next_multiple_of(UNIT as usize)..).unwrap_or_default();
        let key = key(&header.name).to_string();
        Ok(Members { name: name_of(&key), picture, key, sum: header.sum, rest })
    }

    /// Compares the picture with the sum that its archive carries, if it does.
    ///
    /// # Errors
    /// In words, when it is another picture than was written.
    pub fn check(&self) -> Result<(), String> {
        match self.sum {
            Some(sum) if sum != member_sum(self.picture) => Err("the picture's bytes do not fit the sum in its header".to_string()),
            _ => Ok(()),
        }
    }

    /// One of the sample's captions; `choose` gets their number, which is not 0.
    ///
    /// # Errors
    /// In words: when the archive's captions are not those of the manifest.
    pub fn caption(&self, record: &Record, samples: &Samples, choose: impl FnOnce(u64) -> u64) -> Result<String, String> {
        let others = "the captions in the archive are not those of the manifest";
        let captions = match record.captions() {
            CaptionsAt::Kept(list) => {
                let count = samples.kept_captions(list).count() as u64;
                return samples.kept_captions(list).nth(choose(count) as usize).map(str::to_string).ok_or(others.to_string());
            }
            CaptionsAt::Text(sum) => {
                let texts = self.texts().filter_map(|(_, data)| std::str::from_utf8(data).ok());
                return texts.into_iter().find(|text| captions_sum([*text]) == sum).map(str::to_string).ok_or(others.to_string());
            }
            CaptionsAt::Json(sum) => {
                let lists = self.texts().filter(|(name, _)| name.ends_with(".json")).filter_map(|(_, data)| json_captions(data));
                lists.into_iter().find(|list| captions_sum(list.iter().map(String::as_str)) == sum).ok_or(others)?
            }
        };
        let mut captions: Vec<String> = captions.into_iter().filter(|caption| !caption.trim().is_empty()).collect();
        let chosen = choose(captions.len() as u64) as usize;
        if chosen < captions.len() { Ok(captions.swap_remove(chosen)) } else { Err(others.to_string()) }
    }

    /// The members of this sample behind the picture, by name.
    fn texts(&self) -> impl Iterator<Item = (String, &'a [u8])> {
        let mut rest = self.rest;
        std::iter::from_fn(move || {
            let header = header(rest)?;
            let length = usize::try_from(header.length).ok()?;
            let data = rest[UNIT as usize..].get(..length)?;
            rest = rest[UNIT as usize..].get(length.next_multiple_of(UNIT as usize)..).unwrap_or_default();
            Some((header, data))
        })
        .filter(|(header, _)| header.regular && key(&header.name) == self.key)
        .map(|(header, data)| (header.name, data))
    }
}

fn header(bytes: &[u8]) -> Option<Header> {
    Header::parse(bytes.get(..UNIT as usize)?)
}

/// WebDataset's key: the name up to the first dot of its last part.
fn key(name: &str) -> &str {
    let folder = name.rfind('/').map_or(0, |slash| slash + 1);
    name[folder..].find('.').map_or(name, |dot| &name[..folder + dot])
}

/// Field `captions` of a JSON member.
pub(crate) fn json_captions(bytes: &[u8]) -> Option<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Captions {
        captions: Vec<String>,
    }
    Some(serde_json::from_slice::<Captions>(bytes).ok()?.captions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_at_the_first_dot_of_the_last_part() {
        let cases = [("000.jpg", "000"), ("a.b/img01.seg.png", "a.b/img01"), ("none", "none"), ("a/b/.x", "a/b/")];
        for (name, expected) in cases {
            assert_eq!(key(name), expected);
        }
    }

    #[test]
    fn captions_come_from_json() {
        assert_eq!(json_captions(br#"{"key":"1","captions":["a","b"]}"#), Some(vec!["a".to_string(), "b".to_string()]));
        assert_eq!(json_captions(br#"{"caption":"a"}"#), None);
        assert_eq!(json_captions(b"\xff"), None);
    }
}
