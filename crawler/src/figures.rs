//! The images of a page while it is read, and the figures that give them a caption.

use crate::lazy::is_stand_in;
use crate::page::Place;
use shards::clean_caption;

/// An image whose captions are not yet complete.
pub(crate) struct Draft {
    pub(crate) place: Option<Place>,
    pub(crate) captions: Vec<(&'static str, String)>,
    pub(crate) nearby: String,
    /// It stands in a `noscript`, for one that a script loads.
    pub(crate) is_fallback: bool,
}

impl Draft {
    /// Whether it is there only until the picture is loaded, as far as one can see.
    fn is_stand_in(&self) -> bool {
        match &self.place {
            Some(Place::Url(url)) => is_stand_in(url),
            Some(Place::Data(_)) => true,
            None => false,
        }
    }

    /// Lets the picture go that `fallback`, which follows, is meant to replace: it says the same of another picture.
    pub(crate) fn give_way_to(&mut self, fallback: &Draft) {
        let says_the_same = self.alt().is_some_and(|alt| !alt.is_empty() && Some(alt) == fallback.alt());
        if fallback.is_fallback && !self.is_fallback && fallback.place.is_some() && self.is_stand_in() && says_the_same {
            self.place = None;
        }
    }

    fn alt(&self) -> Option<&str> {
        self.captions.iter().find(|(field, _)| *field == "alt").map(|(_, text)| text.as_str())
    }

    /// How much a figure is about it: a picture of the web, before one in the page and one that stands in, before none.
    fn weight(&self) -> u8 {
        let is_mute = || self.captions.iter().all(|(_, text)| text.is_empty());
        match &self.place {
            None => 0,
            Some(Place::Data(_)) => 1,
            Some(Place::Url(url)) if is_stand_in(url) && is_mute() => 1,
            Some(Place::Url(_)) => 2,
        }
    }
}

/// A figure that is being walked.
#[derive(Default)]
pub(crate) struct Figure {
    /// Its images, as indices of the page's.
    pub(crate) images: Vec<usize>,
    /// Those in its caption: icons, unless there is no other.
    pub(crate) in_caption: Vec<usize>,
    pub(crate) caption: String,
}

impl Figure {
    /// Gives the caption to the figure's image, if it is clear which that is. Its fallback is no other image.
    pub(crate) fn close(self, drafts: &mut [Draft]) {
        let caption = clean_caption(&self.caption);
        let images = if self.images.is_empty() { self.in_caption } else { self.images };
        let most = images.iter().map(|&image| drafts[image].weight()).max().unwrap_or(0);
        if caption.is_empty() || most == 0 {
            return;
        }
        let meant = || images.iter().copied().filter(|&image| drafts[image].weight() == most);
        let is_one = |is_fallback: bool| {
            let mut places = meant().map(|image| &drafts[image]).filter(|draft| draft.is_fallback == is_fallback).map(|draft| &draft.place);
            places.next().is_none_or(|first| places.all(|place| place == first))
        };
        if !is_one(false) || !is_one(true) {
            return;
        }
        let meant: Vec<usize> = meant().collect();
        for image in meant {
            // After alt, before title.
            let captions = &mut drafts[image].captions;
            let at = captions.iter().position(|(field, _)| *field != "alt").unwrap_or(captions.len());
            captions.insert(at, ("figcaption", caption.clone()));
        }
    }
}
