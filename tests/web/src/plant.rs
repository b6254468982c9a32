//! What is planted: pictures with captions, and the truth about each written down as it goes in.
//!
//! Gives files under paths and figures that wait for a page. Knows nothing of HTML or links; the dirt is in `dirt.rs`.

use crate::Size;
use crate::dump::DECOYS;
use crate::page::{Field, Figure};
use crate::picture::{Drawing, File, Order, draw_orders};
use crate::plan::{Expect, Plan, Planted};
use crate::resource::Resource;
use crate::rng::Rng;
use crate::words::{Class, Motif, vocabulary};
use shards::clean_caption;
use std::collections::{BTreeMap, HashMap};

/// Folders of pictures.
const SHELVES: [&str; 8] = ["attic", "barn", "cellar", "den", "eaves", "foyer", "gallery", "hall"];

/// A figure that waits for a page; `planted` is `None` for pictures without caption and for second showings.
pub(crate) struct Waiting {
    pub figure: Figure,
    pub planted: Option<usize>,
}

/// What has been planted so far.
pub(crate) struct Planter {
    pub rng: Rng,
    pub plan: Plan,
    pub resources: BTreeMap<String, Resource>,
    /// Figures for the pages that may be read.
    pub figures: Vec<Waiting>,
    /// Figures for the pages that `robots.txt` forbids.
    pub secret: Vec<Waiting>,
    /// Pictures of nothing in particular that are still to be used.
    pub spare: Vec<File>,
    /// Perceptual hashes of the pictures of nothing on the other hosts.
    pub waves: Vec<u64>,
    /// Captions numbered so far.
    pub numbered: usize,
    /// How many pairs have each caption.
    captions: HashMap<String, usize>,
    files: usize,
}

/// A picture of a class as it was planted.
pub(crate) struct Original {
    pub planted: usize,
    pub motif: Motif,
    pub file: File,
}

/// The most pairs that share a caption by chance, fewer than any filter for repeated captions objects to.
const MOST_USES: usize = 12;

impl Planter {
    /// Plants everything for a web of this seed and size.
    pub fn plant(seed: u64, size: Size) -> Self {
        let names = |seen: bool| Class::all().into_iter().filter(|class| class.seen() == seen).map(Class::name).collect();
        let vocabulary = vocabulary().into_iter().map(str::to_string).collect();
        let decoys = DECOYS.into_iter().map(str::to_string).collect();
        let mut planter = Planter {
            rng: Rng::new(seed, "plant"),
            plan: Plan { seen: names(true), unseen: names(false), vocabulary, decoys, ..Plan::default() },
            resources: BTreeMap::new(),
            figures: Vec::new(),
            secret: Vec::new(),
            spare: Vec::new(),
            waves: Vec::new(),
            numbered: 0,
            captions: HashMap::new(),
            files: 0,
        };
        let originals = planter.plant_classes(seed, size);
        planter.plant_dirt(&originals, size);
        planter.plant_heavy(size);
        planter
    }

    /// The pictures that show a class, each with a caption of its own.
    fn plant_classes(&mut self, seed: u64, size: Size) -> Vec<Original> {
        let mut motifs = Vec::new();
        for class in Class::all().into_iter().filter(|class| class.seen()) {
            motifs.extend((0..size.per_class).map(|_| Motif::random(class, &mut self.rng)));
        }
        let spare = 3 * size.faults;
        let orders = motifs.iter().map(|&motif| Some(motif)).chain(std::iter::repeat_n(None, spare));
        let orders: Vec<Order> = orders.enumerate().map(|(number, motif)| Order { motif, number }).collect();
        let mut files: Vec<File> = draw_orders(seed, &orders).into_iter().map(|Drawing { file, .. }| file).collect();
        self.spare = files.split_off(motifs.len());

        let plant_one = |(motif, file): (Motif, File)| {
            let path = self.shelve(&file);
            let caption = self.caption(motif);
            let planted = self.show(path, caption, Expect::Kept);
            self.plan.planted[planted].class = Some(motif.class.name());
            Original { planted, motif, file }
        };
        motifs.into_iter().zip(files).map(plant_one).collect()
    }

    /// A caption of the motif that few other pairs have.
    pub fn caption(&mut self, motif: Motif) -> String {
        loop {
            let mut caption = motif.caption(&mut self.rng);
            match self.rng.below(32) {
                0 => caption.push_str(" at the café"),
                1 => caption = format!("Tom & Ann: {caption}"),
                2 => caption.push_str(&format!(" ({})", 2 + self.rng.below(98))),
                _ => {}
            }
            let uses = self.captions.entry(caption.clone()).or_insert(0);
            if *uses < MOST_USES {
                *uses += 1;
                return caption;
            }
        }
    }

    /// A new path on one of the shelves; a few have blanks or queries.
    pub fn path(&mut self, suffix: &str) -> String {
        self.files += 1;
        let number = self.files;
        let shelf = *self.rng.pick(&SHELVES);
        match self.rng.below(40) {
            0 => format!("/img/{shelf}/scan%20{number:05}.{suffix}"),
            1 => format!("/img/show?id={number:05}&size=full"),
            _ => format!("/img/{shelf}/{number:05}.{suffix}"),
        }
    }

    /// Puts a file under a new path.
    pub fn shelve(&mut self, file: &File) -> String {
        let path = self.path(file.suffix);
        self.resources.insert(path.clone(), Resource::picture(file.suffix, file.bytes.clone()));
        path
    }

    /// Puts a pair on a page that may be read and into the plan; returns its index there.
    pub fn show(&mut self, image_path: String, caption: String, expect: Expect) -> usize {
        let planted = self.note(image_path.clone(), &caption, expect);
        let field = match self.rng.below(10) {
            0 => Field::Title,
            1 => Field::Figcaption,
            _ => Field::Alt,
        };
        self.figures.push(Waiting { figure: Figure { path: image_path, caption, field }, planted: Some(planted) });
        planted
    }

    /// Puts a pair on a page that `robots.txt` forbids.
    pub fn hide(&mut self, image_path: String, caption: String) {
        let planted = self.note(image_path.clone(), &caption, Expect::Absent);
        let figure = Figure { path: image_path, caption, field: Field::Alt };
        self.secret.push(Waiting { figure, planted: Some(planted) });
    }

    /// Puts a pair into the plan alone; returns its index there.
    pub fn note(&mut self, image_path: String, caption: &str, expect: Expect) -> usize {
        let caption = clean_caption(caption);
        let page_path = String::new();
        self.plan.planted.push(Planted { image_path, page_path, caption, expect, class: None, copy_of: None, near: false });
        self.plan.planted.len() - 1
    }
}
