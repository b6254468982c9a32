//! Copies of pictures under other URLs: the same bytes, and every [`Alteration`].

use crate::alter::{ALTERATIONS, Alteration, alter};
use crate::picture::File;
use crate::plan::Expect;
use crate::plant::{Original, Planter};

/// What a copy has of its original.
#[derive(Clone, Copy)]
enum Kind {
    /// Bytes and caption.
    Repeat,
    /// Bytes, under another caption.
    Exact,
    /// The picture, altered, under another caption.
    Near(Alteration),
}

impl Planter {
    /// `count` copies of each exact kind, a third as many of each alteration, at least two. Every original is copied once at most.
    pub fn plant_copies(&mut self, originals: &[Original], count: usize) {
        let mut kinds: Vec<Kind> = [Kind::Repeat, Kind::Exact].into_iter().flat_map(|kind| std::iter::repeat_n(kind, count)).collect();
        for alteration in ALTERATIONS {
            kinds.extend(std::iter::repeat_n(Kind::Near(alteration), count.div_ceil(3).max(2)));
        }
        let mut chosen: Vec<usize> = (0..originals.len()).collect();
        self.rng.shuffle(&mut chosen);
        for (kind, at) in kinds.into_iter().zip(chosen) {
            self.plant_copy(&originals[at], kind);
        }
    }

    fn plant_copy(&mut self, original: &Original, kind: Kind) {
        let file = match kind {
            Kind::Near(how) => self.altered(&original.file, how),
            Kind::Repeat | Kind::Exact => original.file.clone(),
        };
        let caption = match kind {
            Kind::Repeat => self.plan.planted[original.planted].caption.clone(),
            Kind::Exact | Kind::Near(_) => self.caption(original.motif),
        };
        let path = self.shelve(&file);
        let planted = self.show(path, caption, Expect::Merged);
        let class = self.plan.planted[original.planted].class.clone();
        let planted = &mut self.plan.planted[planted];
        (planted.class, planted.copy_of, planted.near) = (class, Some(original.planted), matches!(kind, Kind::Near(_)));
        self.plan.planted[original.planted].expect = Expect::Merged;
    }

    fn altered(&mut self, file: &File, how: Alteration) -> File {
        alter(&file.pixels(), how, &mut self.rng)
    }
}
