//! The web as a whole: made once, then only read; the count of requests is all that changes.

use crate::archive::ARCHIVE;
use crate::conduct::Notes;
use crate::endless;
use crate::plan::Plan;
use crate::plant::Planter;
use crate::resource::{Behaviour, Resource};
use crate::site;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// How much is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Pictures of each of the 96 classes shown, and of each word that the cap thins out.
    pub per_class: usize,
    /// Copies of each of three kinds.
    pub copies: usize,
    /// Broken, forbidden, useless pictures of each kind.
    pub faults: usize,
    /// Test pictures of each of the 120 classes.
    pub test_per_class: usize,
}

impl Size {
    /// For `diptych demo`: about 10,000 pictures of classes on 2,100 pages, enough to train a small model on. With 40 pictures a class it
    /// learned them by heart and told new ones apart by colour alone.
    pub const DEMO: Size = Size { per_class: 100, copies: 40, faults: 12, test_per_class: 10 };
    /// For tests: every kind of dirt, 300 pictures.
    pub const SMALL: Size = Size { per_class: 3, copies: 6, faults: 3, test_per_class: 1 };
}

/// The small web.
#[derive(Debug)]
pub struct Web {
    pub(crate) seed: u64,
    pub(crate) size: Size,
    plan: Plan,
    resources: BTreeMap<String, Resource>,
    pub(crate) notes: Notes,
}

impl Web {
    /// Makes the web of this seed; the same seed and size give the same bytes.
    pub fn generate(seed: u64, size: Size) -> Web {
        let mut planter = Planter::plant(seed, size);
        site::build(&mut planter, seed);
        Web { seed, size, plan: planter.plan, resources: planter.resources, notes: Notes::default() }
    }

    /// The truth about it.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The URLs from which everything that may be read can be reached when the web is served at `base`: scheme, address and port
    /// without a path. Hosts that make a crawler wait come first, so that it can do other things meanwhile.
    pub fn starts(&self, base: &str) -> Vec<String> {
        let port = base.rsplit_once(':').map_or("80", |(_, port)| port);
        let others = self.plan.hosts.iter().map(|host| format!("http://{host}:{port}/"));
        others.chain([format!("{base}/")]).collect()
    }

    /// Lets the server misbehave when `path` is asked for; `false` when nothing lies there.
    pub fn misbehave(&mut self, path: &str, behaviour: Behaviour) -> bool {
        self.resources.get_mut(path).map(|resource| resource.behaviour = behaviour).is_some()
    }

    /// Requests so far by place (with query).
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.notes.counts()
    }

    /// Number of pages, the forbidden ones included.
    pub fn pages(&self) -> usize {
        self.resources.values().filter(|resource| resource.content_type.starts_with("text/html")).count()
    }

    pub(crate) fn count(&self, place: &str) -> u64 {
        self.notes.count(place)
    }

    pub(crate) fn busy_until(&self, place: &str, wait: Duration) -> Option<SystemTime> {
        self.notes.busy_until(place, wait)
    }

    /// What lies at a place: planted, or made because somebody asks for it.
    pub(crate) fn resource(&self, place: &str) -> Option<Cow<'_, Resource>> {
        let story = || self.resources.get(&format!("//{ARCHIVE}{}", endless::STORY));
        let planted = self.resources.get(place).map(Cow::Borrowed);
        planted.or_else(|| endless::answer(place, &self.plan.logo, story()?).map(Cow::Owned))
    }

    #[cfg(test)]
    pub(crate) fn resources(&self) -> &BTreeMap<String, Resource> {
        &self.resources
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alter::ALTERATIONS;
    use crate::plan::{Expect, reason};
    use shards::{Limits, decode};
    use std::collections::HashSet;

    fn small() -> Web {
        Web::generate(7, Size::SMALL)
    }

    #[test]
    fn same_seed_same_bytes() {
        let (one, same, other) = (small(), small(), Web::generate(8, Size::SMALL));
        assert_eq!(one.resources, same.resources);
        assert_eq!(one.plan.planted, same.plan.planted);
        assert_ne!(one.resources, other.resources);
    }

    #[test]
    fn pictures_are_what_the_plan_says() {
        let web = small();
        let limits = Limits::default();
        for planted in &web.plan().planted {
            let resource = web.resources.get(&planted.image_path);
            match planted.expect {
                // The other hosts are written by hand, and what is wrong there is often not in the bytes.
                _ if planted.image_path.starts_with("//") || planted.image_path.starts_with("data:") => {}
                Expect::Refused(reason::HTTP_4XX) => assert!(resource.is_none()),
                Expect::Refused(reason::NOT_IMAGE | reason::DECODE) => {
                    // Lenient decoders fill up what was cut off, so a cut picture may decode; it lacks the end mark all the same.
                    let body = &resource.expect("there").body;
                    assert!(decode(body, &limits).is_err() || !body.ends_with(&[0xff, 0xd9]), "{planted:?} is whole");
                }
                expect => {
                    let pixels = decode(&resource.expect("there").body, &limits).expect("a picture").pixels;
                    let flat = shards::flatness(&pixels) > 0.99;
                    assert_eq!(flat, expect == Expect::Refused(reason::FLAT) || pixels.width() == 1, "{planted:?}");
                    assert_eq!(pixels.width().min(pixels.height()) < 80, expect == Expect::Refused(reason::MIN_SIDE), "{planted:?}");
                }
            }
        }
    }

    #[test]
    fn the_cap_touches_only_what_the_plan_names() {
        let web = small();
        let plan = web.plan();
        let counts = plan.pairs_per_query();
        assert!(plan.capped.len() >= 20);
        for (word, n) in &plan.capped {
            assert_eq!(counts.get(word), Some(n));
            assert!(*n >= 2 * plan.per_query);
        }
        for planted in plan.planted.iter().filter(|planted| planted.class.is_some()) {
            assert!(!plan.may_be_capped(&counts, &planted.caption, plan.per_query), "{planted:?}");
        }
    }

    #[test]
    fn pairs_are_distinct_and_every_kind_is_there() {
        let web = small();
        let pairs: HashSet<(&str, &str)> = web.plan().planted.iter().map(|p| (p.image_path.as_str(), p.caption.as_str())).collect();
        assert_eq!(pairs.len(), web.plan().planted.len());
        let refused = [
            reason::HTTP_4XX,
            reason::HTTP_5XX,
            reason::NOT_IMAGE,
            reason::DECODE,
            reason::ROBOTS,
            reason::UNMATCHED,
            reason::MIN_SIDE,
            reason::FLAT,
        ]
        .map(Expect::Refused);
        let others = [reason::CONNECT, reason::TIMEOUT, reason::ADDRESS, reason::TOO_BIG, reason::OPT_OUT, reason::CAPTION_REPEATED]
            .map(Expect::Refused);
        for expect in [Expect::Kept, Expect::Merged, Expect::Absent].into_iter().chain(refused).chain(others) {
            assert!(web.plan().planted.iter().any(|planted| planted.expect == expect), "{expect:?}");
        }
        assert_eq!(web.plan().duplicates(), 2 * Size::SMALL.copies + 2 * ALTERATIONS.len());
        assert!(web.plan().planted.iter().all(|planted| web.resource(&planted.page_path).is_some()), "a page of the plan is missing");
    }

    #[test]
    fn latin_pages_carry_captions_outside_ascii() {
        let web = small();
        let latin = |path: &str| String::from_utf8(web.resources[path].body.to_vec()).is_err();
        let planted = &web.plan().planted;
        assert!(planted.iter().any(|p| p.caption.contains('é') && latin(&p.page_path)));
        assert!(planted.iter().any(|p| p.caption.contains('é') && !latin(&p.page_path)));
    }

    /// Follows links by plain text search, as no crawler would; enough to see that every planted page can be reached.
    #[test]
    fn links_lead_to_every_page_that_may_be_read() {
        let web = small();
        let mut reached = HashSet::from(["/".to_string()]);
        let mut waiting = vec!["/".to_string()];
        while let Some(path) = waiting.pop() {
            let Some(resource) = web.resources.get(&path).filter(|r| r.content_type.starts_with("text/html")) else { continue };
            let text = String::from_utf8_lossy(&resource.body).into_owned();
            for part in text.split("href=\"").skip(1) {
                let target = part.split('"').next().expect("a target").split('#').next().expect("a path");
                // Folders are only ever left as far as the root.
                let target = format!("/{}", target.trim_start_matches("../").trim_start_matches('/'));
                if !target.starts_with("/private/") && reached.insert(target.clone()) {
                    waiting.push(target);
                }
            }
        }
        for planted in web.plan().planted.iter().filter(|planted| !planted.page_path.starts_with("//")) {
            assert_eq!(reached.contains(&planted.page_path), planted.expect != Expect::Absent, "{planted:?}");
        }
        let written = |place: &&String| !place.contains("stats.localhost") && !place.contains("elsewhere.localhost");
        assert!(web.plan().forbidden.iter().filter(written).all(|place| web.resources.contains_key(place)));
    }

    /// Redirects and the like lead to pictures, but are none.
    fn is_picture(resource: &Resource) -> bool {
        decode(&resource.body, &Limits::default()).is_ok()
    }

    /// The perceptual hashes of the pictures that reach the search for duplicates, with the original each belongs to.
    fn hashes(web: &Web) -> Vec<(usize, u64)> {
        let planted = web.plan().planted.iter().zip(web.plan().originals());
        let kept = planted.filter(|(planted, _)| {
            matches!(planted.expect, Expect::Kept | Expect::Merged) && web.resources.get(&planted.image_path).is_some_and(is_picture)
        });
        let files: BTreeMap<&str, usize> = kept.map(|(planted, original)| (planted.image_path.as_str(), original)).collect();
        let hash = |path: &str| {
            let picture = decode(&web.resources[path].body, &Limits::default()).expect("a picture");
            shards::perceptual_hash(&picture.pixels)
        };
        files.into_iter().map(|(path, original)| (original, hash(path))).collect()
    }

    #[test]
    fn only_copies_look_like_copies() {
        let web = small();
        let hashes = hashes(&web);
        let (mut near, mut copies) = (0, 0);
        for (at, one) in hashes.iter().enumerate() {
            for other in &hashes[..at] {
                let bits = (one.1 ^ other.1).count_ones();
                assert!(one.0 == other.0 || bits > 7, "pairs {} and {} are {bits} bits apart", one.0, other.0);
                copies += usize::from(one.0 == other.0);
                near += usize::from(one.0 == other.0 && bits <= 7);
            }
        }
        assert_eq!(copies, web.plan().duplicates());
        assert!(near * 100 >= copies * 95, "only {near} of {copies} copies are within 7 bits");
    }
}
