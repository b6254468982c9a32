//! Words on so many pairs that the cap must act, on a host of galleries.

use crate::Size;
use crate::host::{Host, img};
use crate::plan::{Expect, Planted};
use crate::plant::Planter;
use crate::words::{HEAVY, words_of};

/// Figures of a gallery page.
const FIGURES: usize = 24;

impl Planter {
    /// Settles the cap and plants far more pairs than that on each heavy word. Each caption has two of the words and nothing else
    /// that matches, so that a pair has two chances; their pictures stand under many captions each, as those of a gallery with
    /// numbered pages do, because a model should see few of them.
    pub fn plant_heavy(&mut self, size: Size) {
        let counts = self.plan.pairs_per_query();
        let rarest = |planted: &Planted| words_of(&planted.caption).iter().filter_map(|word| counts.get(word)).min().copied().unwrap_or(0);
        let shown = self.plan.planted.iter().filter(|planted| planted.class.is_some());
        self.plan.per_query = shown.map(rarest).max().unwrap_or(0).next_multiple_of(10);
        let share = self.plan.per_query as usize * 5 / 4;
        let pictures = (3 * size.per_class).div_ceil(HEAVY.len()).max(1);
        let mut host = Host::open(self, "stock.localhost");
        let mut number = 10_000;
        for (at, word) in HEAVY.into_iter().enumerate() {
            let other = HEAVY[(at + 1) % HEAVY.len()];
            let paths: Vec<String> = (0..pictures).map(|_| host.picture()).collect();
            let captions: Vec<String> = (0..share).map(|index| format!("{word} {other} {}", number + index)).collect();
            number += share;
            for (page, captions) in captions.chunks(FIGURES).enumerate() {
                let address = format!("/{word}/{page}.html");
                let mut body = String::new();
                for (caption, path) in captions.iter().zip(paths.iter().cycle().skip(page * FIGURES)) {
                    host.plan(&address, path, caption, Expect::Kept);
                    body.push_str(&img(path, caption));
                }
                host.page(&address, &body);
            }
        }
        host.close(None);
        self.plan.capped = HEAVY.iter().map(|word| (word.to_string(), 2 * share as u64)).collect();
    }
}
