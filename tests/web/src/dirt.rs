//! The dirt of the main host: broken and forbidden pictures, captions that say nothing. Each with its truth in the plan.

use crate::Size;
use crate::page::{Field, Figure};
use crate::picture::File;
use crate::plan::{Expect, reason};
use crate::plant::{Original, Planter, Waiting};
use crate::resource::Resource;
use crate::words::{Class, Motif};
use image::{Rgb, RgbImage};

/// The folder of pictures that `robots.txt` forbids.
pub(crate) const HIDDEN: &str = "/img/hidden/";
/// The pixel that counts visitors.
pub(crate) const PIXEL: &str = "/count/pixel.png";

/// Words of captions that are in no dump.
const NOISE: [&str; 6] = ["IMG_{}.JPG", "DSC{}", "untitled-{}", "P{}_resized", "00{}.jpeg", "xyzzy {}"];

impl Planter {
    /// Plants all of it.
    pub fn plant_dirt(&mut self, originals: &[Original], size: Size) {
        self.plant_copies(originals, size.copies);
        self.plant_second_showings(size.copies);
        self.plant_broken(originals, size.faults);
        self.plant_forbidden(size.faults);
        self.plant_small_and_flat(size.faults);
        self.plant_useless(size.faults);
        self.plant_markup();
        self.plant_languages();
        self.plant_faults();
        self.plant_consent();
        self.plant_archive();
    }

    /// A random motif with a class that is shown elsewhere too.
    fn motif(&mut self) -> Motif {
        let seen: Vec<Class> = Class::all().into_iter().filter(|class| class.seen()).collect();
        let class = *self.rng.pick(&seen);
        Motif::random(class, &mut self.rng)
    }

    fn new_caption(&mut self) -> String {
        let motif = self.motif();
        self.caption(motif)
    }

    /// Pairs that stand on two pages: one pair all the same.
    fn plant_second_showings(&mut self, count: usize) {
        for _ in 0..count {
            let at = self.rng.below(self.figures.len());
            let figure = self.figures[at].figure.clone();
            self.figures.push(Waiting { figure, planted: None });
        }
    }

    /// Pictures that are not there, pages instead of pictures, and pictures cut off.
    fn plant_broken(&mut self, originals: &[Original], count: usize) {
        let whole: Vec<&File> = originals.iter().map(|original| &original.file).filter(|file| file.suffix == "jpg").collect();
        for number in 0..3 * count {
            let path = self.path("jpg");
            let caption = self.new_caption();
            let expect = match number % 3 {
                0 => reason::HTTP_4XX,
                1 => {
                    let page = b"<!DOCTYPE html><title>Sorry</title><p>This picture may not be linked from elsewhere.".to_vec();
                    self.resources.insert(path.clone(), Resource::picture("jpg", page));
                    reason::NOT_IMAGE
                }
                _ => {
                    let file = *self.rng.pick(&whole);
                    // Cut off in the picture or, every other time, in the tables before it.
                    let length = if number % 2 == 0 { file.bytes.len() * 2 / 3 } else { 150 };
                    let cut = file.bytes[..length].to_vec();
                    self.resources.insert(path.clone(), Resource::picture("jpg", cut));
                    reason::DECODE
                }
            };
            self.show(path, caption, Expect::Refused(expect));
        }
    }

    /// Pictures in a forbidden folder on readable pages, and pictures in readable folders on forbidden pages.
    fn plant_forbidden(&mut self, count: usize) {
        for number in 0..count {
            let Some(file) = self.spare.pop() else { return };
            let path = format!("{HIDDEN}{number:03}.{}", file.suffix);
            self.resources.insert(path.clone(), Resource::picture(file.suffix, file.bytes));
            self.plan.forbidden.push(path.clone());
            let caption = self.new_caption();
            self.show(path, caption, Expect::Refused(reason::ROBOTS));
        }
        for _ in 0..count {
            let Some(file) = self.spare.pop() else { return };
            let path = self.shelve(&file);
            self.plan.forbidden.push(path.clone());
            let caption = self.new_caption();
            self.hide(path, caption);
        }
    }

    /// Icons of 16 pixels, the counting pixel under a caption, and pictures of one colour.
    fn plant_small_and_flat(&mut self, count: usize) {
        let pixel = File::png(&RgbImage::from_pixel(1, 1, Rgb([255; 3])));
        self.resources.insert(PIXEL.to_string(), Resource::picture("png", pixel.bytes));
        self.show(PIXEL.to_string(), "a white background".to_string(), Expect::Refused(reason::MIN_SIDE));
        for _ in 0..count {
            let shade = [0; 3].map(|_| 40 + self.rng.below(170) as u8);
            let icon = RgbImage::from_fn(16, 16, |x, y| Rgb([shade[0], shade[1].wrapping_add((x * 5) as u8), shade[2] ^ (y * 8) as u8]));
            let blank = RgbImage::from_pixel(96 + 4 * self.rng.below(8) as u32, 96, Rgb(shade));
            for (picture, expect) in [(icon, reason::MIN_SIDE), (blank, reason::FLAT)] {
                let path = self.shelve(&File::png(&picture));
                let caption = self.new_caption();
                self.show(path, caption, Expect::Refused(expect));
            }
        }
    }

    /// Pictures with captions that match nothing, and pictures with no caption at all.
    fn plant_useless(&mut self, count: usize) {
        for number in 0..count {
            let Some(file) = self.spare.pop() else { return };
            let path = self.shelve(&file);
            let caption = self.rng.pick(&NOISE).replace("{}", &format!("{}", 1000 + number));
            self.show(path, caption, Expect::Refused(reason::UNMATCHED));
            let path = self.shelve(&file);
            self.plan.uncaptioned.push(path.clone());
            let figure = Figure { path, caption: String::new(), field: Field::None };
            self.figures.push(Waiting { figure, planted: None });
        }
    }
}
