//! Answers of services, read so that one odd value costs itself: a list where an object should be, a number for a text.
//!
//! What is of another form than expected is passed over while it is read; nothing of it is kept.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Records kept of a list, whatever was asked for.
pub(crate) const MAX_RECORDS: usize = 500;

/// A text, or a number as it is written; empty for all else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) String);

/// An object; nothing for all else, such as the empty list that PHP writes for an object without entries.
#[derive(Debug)]
pub(crate) struct Record<T>(pub(crate) Option<T>);

/// The objects of a list, the first [`MAX_RECORDS`] of them; empty for all else.
#[derive(Debug)]
pub(crate) struct Records<T>(pub(crate) Vec<T>);

impl<T> Default for Record<T> {
    fn default() -> Self {
        Record(None)
    }
}

impl<T> Default for Records<T> {
    fn default() -> Self {
        Records(Vec::new())
    }
}

/// The methods that pass over values of a form that is not expected.
macro_rules! pass_over {
    ($empty:expr; $($method:ident: $kind:ty),*) => {
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("any value")
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($empty)
        }
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($empty)
        }
        $(fn $method<E>(self, _: $kind) -> Result<Self::Value, E> {
            Ok($empty)
        })*
    };
}

fn pass_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

fn pass_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<(), A::Error> {
    while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

struct Reader<T>(PhantomData<T>);

impl<'de> Visitor<'de> for Reader<Text> {
    type Value = Text;

    pass_over!(Text::default(););

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Text, E> {
        // This form keeps the nought of 2.0.
        Ok(Text(format!("{number:?}")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Text, A::Error> {
        pass_list(list).map(|()| Text::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Text, A::Error> {
        pass_object(object).map(|()| Text::default())
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<Record<T>> {
    type Value = Record<T>;

    pass_over!(Record(None); visit_str: &str, visit_u64: u64, visit_i64: i64, visit_f64: f64);

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Record<T>, A::Error> {
        pass_list(list).map(|()| Record(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Record<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(object)).map(|record| Record(Some(record)))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<Records<T>> {
    type Value = Records<T>;

    pass_over!(Records(Vec::new()); visit_str: &str, visit_u64: u64, visit_i64: i64, visit_f64: f64);

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Records<T>, A::Error> {
        let mut records = Vec::new();
        while records.len() < MAX_RECORDS {
            match list.next_element::<Record<T>>()? {
                Some(record) => records.extend(record.0),
                None => return Ok(Records(records)),
            }
        }
        pass_list(list).map(|()| Records(records))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Records<T>, A::Error> {
        pass_object(object).map(|()| Records(Vec::new()))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader::<Text>(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Record<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader::<Record<T>>(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Records<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader::<Records<T>>(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type Texts = BTreeMap<String, Text>;

    #[test]
    fn odd_values_cost_themselves() {
        let texts: Texts =
            serde_json::from_str(r#"{"a": "x", "b": 5, "c": 2.0, "d": null, "e": [1, {}], "f": {"g": []}, "h": -1, "i": true}"#)
                .expect("read");
        let read: Vec<&str> = texts.values().map(|text| text.0.as_str()).collect();
        assert_eq!(read, ["x", "5", "2.0", "", "", "", "-1", ""]);
        let records: Records<Texts> = serde_json::from_str(r#"[{"a": "x"}, null, "x", 7, -7, 7.5, false, [{}], {}]"#).expect("read");
        assert_eq!(records.0.len(), 2);
        for none in ["null", "[]", "[[1]]", "5", "-5", "5.5", "true", "\"x\""] {
            assert!(serde_json::from_str::<Record<Texts>>(none).expect("read").0.is_none(), "{none}");
        }
        assert!(serde_json::from_str::<Records<Texts>>(r#"{"1": {}}"#).expect("read").0.is_empty());
        let many = format!("[{}{{}}]", "{},".repeat(2 * MAX_RECORDS));
        assert_eq!(serde_json::from_str::<Records<Texts>>(&many).expect("read").0.len(), MAX_RECORDS);
        assert!(serde_json::from_str::<Records<Texts>>("[{}").is_err());
    }
}
