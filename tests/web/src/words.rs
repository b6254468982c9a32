//! The words of the small web: what a picture can show and how a caption says it. Knows nothing of pages or pixels.

use crate::rng::Rng;

/// Colours of the shapes.
pub(crate) const COLOURS: [&str; 5] = ["red", "blue", "green", "yellow", "purple"];
/// What fills the shapes.
pub(crate) const TEXTURES: [&str; 4] = ["solid", "striped", "dotted", "checked"];
/// The shapes, each with its plural.
pub(crate) const SHAPES: [(&str, &str); 6] =
    [("circle", "circles"), ("square", "squares"), ("triangle", "triangles"), ("star", "stars"), ("cross", "crosses"), ("ring", "rings")];
/// Colours of the ground; a shape never lies on its own colour.
pub(crate) const GROUNDS: [&str; 9] = ["white", "grey", "black", "brown", "red", "blue", "green", "yellow", "purple"];
/// The most shapes of one picture.
pub(crate) const MAX_COUNT: usize = 3;
/// Words of captions that say nothing of the picture, each on far more pairs than the cap lets through.
pub(crate) const HEAVY: [&str; 22] = [
    "snapshot",
    "wallpaper",
    "sketch",
    "poster",
    "banner",
    "sticker",
    "postcard",
    "brochure",
    "catalogue",
    "leaflet",
    "souvenir",
    "template",
    "preview",
    "thumbnail",
    "desktop",
    "gallery",
    "portfolio",
    "stock",
    "vintage",
    "collection",
    "album",
    "print",
];
/// What the captions of the dirt speak of: none of them is a word of a class, so that dirt is no noise there.
pub(crate) const THINGS: [&str; 20] = [
    "lantern", "harbour", "kettle", "violin", "ladder", "compass", "basket", "candle", "anchor", "saddle", "pillow", "turbine", "acorn",
    "walnut", "tractor", "bridge", "teapot", "feather", "pebble", "barrel",
];
/// Captions in several languages, with the words of each that are queries; the other words are in no dump.
pub(crate) const FOREIGN: [(&str, &[&str]); 10] = [
    ("Eine alte Laterne im Nebel", &["laterne"]),
    ("une forêt après la pluie", &["forêt"]),
    ("¿Dónde está la montaña?", &["montaña"]),
    ("Старый фонарь у реки", &["фонарь"]),
    ("Żółta łódka na jeziorze", &["łódka"]),
    ("古い灯台と猫の絵", &["灯台", "灯", "猫"]),
    ("قارب صغير قرب الشاطئ", &["قارب"]),
    ("नदी पर नाव", &["नाव"]),
    ("Ένα παλιό φανάρι", &["φανάρι"]),
    ("오래된 등대", &["등대"]),
];

/// Words that occur in captions besides the tables above, and must be queries too.
const PHRASING: [&str; 25] = [
    "a",
    "the",
    "of",
    "on",
    "in",
    "with",
    "and",
    "at",
    "my",
    "from",
    "photo",
    "picture",
    "drawing",
    "background",
    "wall",
    "paper",
    "front",
    "painted",
    "against",
    "over",
    "one",
    "two",
    "three",
    "plain",
    "ground",
];

/// Every word of a caption that is meant to match: the dump has each at least 100 times. All other words of captions
/// (numbers, camera names, places) are not in the dump at all.
pub(crate) fn vocabulary() -> Vec<&'static str> {
    let mut words: Vec<&str> = PHRASING.into_iter().chain(COLOURS).chain(TEXTURES).chain(GROUNDS).chain(HEAVY).chain(THINGS).collect();
    words.extend(FOREIGN.iter().flat_map(|(_, words)| *words));
    words.extend(SHAPES.iter().flat_map(|(one, many)| [*one, *many]));
    words.sort_unstable();
    words.dedup();
    words
}

/// The words of a caption as the plan matches them: lower case, everything that is no letter or digit is a blank. Japanese has no
/// blanks, and a query of it matches wherever it stands: its words are the queries that are found, also one within another.
pub(crate) fn words_of(caption: &str) -> Vec<String> {
    let spaced: String = caption.chars().map(|c| if is_japanese(c) { ' ' } else { c }).collect();
    let words = spaced.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase);
    let queries = FOREIGN.iter().flat_map(|(_, words)| *words).filter(|word| word.chars().all(is_japanese));
    let found = queries.flat_map(|query| caption.matches(query).map(str::to_string));
    words.chain(found).collect()
}

fn is_japanese(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30FF}' | '\u{4E00}'..='\u{9FFF}')
}

/// A class of pictures: colour, texture and shape, as indices of the tables above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Class {
    pub colour: usize,
    pub texture: usize,
    pub shape: usize,
}

impl Class {
    /// All 120 classes in a fixed order.
    pub fn all() -> Vec<Class> {
        let combine =
            |shape| (0..TEXTURES.len()).flat_map(move |texture| (0..COLOURS.len()).map(move |colour| Class { colour, texture, shape }));
        (0..SHAPES.len()).flat_map(combine).collect()
    }

    /// Whether the web shows this class. One colour in five of every texture and shape is held out, so each word of a held-out
    /// class is seen in other company.
    pub fn seen(self) -> bool {
        !(self.colour + 2 * self.texture + self.shape).is_multiple_of(COLOURS.len())
    }

    /// Its name, such as `striped red circle`.
    pub fn name(self) -> String {
        format!("{} {} {}", TEXTURES[self.texture], COLOURS[self.colour], SHAPES[self.shape].0)
    }
}

/// What a picture shows, as far as its caption may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Motif {
    pub class: Class,
    /// 1 to [`MAX_COUNT`].
    pub count: usize,
    /// Index of [`GROUNDS`].
    pub ground: usize,
}

impl Motif {
    /// A random motif of `class`: alone in three of four pictures, on a ground of another colour.
    pub fn random(class: Class, rng: &mut Rng) -> Self {
        let grounds: Vec<usize> = (0..GROUNDS.len()).filter(|&ground| GROUNDS[ground] != COLOURS[class.colour]).collect();
        let count = if rng.chance(0.75) { 1 } else { 2 + rng.below(MAX_COUNT - 1) };
        Motif { class, count, ground: *rng.pick(&grounds) }
    }

    /// The things shown, such as `two striped red circles` or `a striped red circle`; every other time without the number.
    fn things(self, rng: &mut Rng) -> String {
        let Class { colour, texture, shape } = self.class;
        let (one, many) = SHAPES[shape];
        let number = if rng.chance(0.5) { "" } else { ["a ", "two ", "three "][self.count - 1] };
        format!("{number}{} {} {}", TEXTURES[texture], COLOURS[colour], if self.count == 1 { one } else { many })
    }

    /// A caption in one of several phrasings.
    pub fn caption(self, rng: &mut Rng) -> String {
        let (things, ground) = (self.things(rng), GROUNDS[self.ground]);
        // Few captions name the ground, and only half of them a number. Were both in all of them, ground, colour and number
        // together would tell the pictures of a batch apart, and a model would have no need to look at the shapes.
        match rng.below(16) {
            0 => format!("{things} on {ground}"),
            1 => format!("a photo of {things} on a {ground} background"),
            2 => format!("{things} in front of a {ground} wall"),
            3 => format!("On {ground} paper, {things}."),
            4 | 5 => format!("a photo of {things}"),
            6 => format!("Picture of {things}"),
            7 => format!("a drawing of {things}"),
            8 => format!("{things} painted on paper"),
            9 => format!("my photo: {things}"),
            _ => things,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn held_out_classes_use_only_seen_words() {
        let (seen, unseen): (Vec<Class>, Vec<Class>) = Class::all().into_iter().partition(|class| class.seen());
        assert_eq!((seen.len(), unseen.len()), (96, 24));
        // Even each pair of words of a held-out class is seen, only the three together are not.
        for class in unseen {
            assert!(seen.iter().any(|other| (other.colour, other.texture) == (class.colour, class.texture)));
            assert!(seen.iter().any(|other| (other.colour, other.shape) == (class.colour, class.shape)));
            assert!(seen.iter().any(|other| (other.texture, other.shape) == (class.texture, class.shape)));
        }
    }

    #[test]
    fn japanese_queries_are_words_wherever_they_stand() {
        assert_eq!(words_of("Das 古い灯台, 7 と猫"), ["das", "7", "灯台", "灯", "猫"]);
    }

    #[test]
    fn captions_consist_of_the_vocabulary() {
        let vocabulary: HashSet<&str> = vocabulary().into_iter().collect();
        let mut rng = Rng::new(1, "captions");
        for class in Class::all() {
            for _ in 0..30 {
                let motif = Motif::random(class, &mut rng);
                assert_ne!(GROUNDS[motif.ground], COLOURS[class.colour]);
                let caption = motif.caption(&mut rng);
                for word in words_of(&caption) {
                    assert!(vocabulary.contains(word.as_str()), "{word:?} of {caption:?}");
                }
            }
        }
    }
}
