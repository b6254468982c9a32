//! Test pictures: drawn as those of the web are, from another random stream, never shown on a page.

use crate::picture::File;
use crate::rng::Rng;
use crate::words::{Class, Motif};
use crate::{Error, Web, draw};
use shards::write_atomic;
use std::path::Path;

impl Web {
    /// Writes `dir/CLASS/0000.jpg`... for the named classes (see [`crate::Plan::seen`] and [`crate::Plan::unseen`]); names that
    /// are no class are left out. Returns the number of pictures.
    ///
    /// # Errors
    /// `Files` when a folder or file cannot be written.
    pub fn write_test_set(&self, dir: &Path, classes: &[String]) -> Result<usize, Error> {
        let mut written = 0;
        for class in Class::all().into_iter().filter(|class| classes.contains(&class.name())) {
            for number in 0..self.size.test_per_class {
                let mut rng = Rng::new(self.seed, &format!("test {} {number}", class.name()));
                let motif = Motif::random(class, &mut rng);
                let file = File::jpeg(&draw::draw(motif, &mut rng), 92);
                write_atomic(&dir.join(class.name()).join(format!("{number:04}.jpg")), &file.bytes)?;
                written += 1;
            }
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;

    #[test]
    fn one_folder_for_each_class_asked_for() {
        let web = Web::generate(3, Size { per_class: 1, copies: 1, faults: 1, test_per_class: 2 });
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(web.write_test_set(dir.path(), &web.plan().unseen).expect("written"), 48);
        for class in &web.plan().unseen {
            assert_eq!(std::fs::read_dir(dir.path().join(class)).expect("a folder").count(), 2, "{class}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 24);
    }
}
