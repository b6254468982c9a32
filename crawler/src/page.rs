//! What a page offers: links, and images with the words that stand by them.
//!
//! Reads HTML as a browser without scripts does, so that the fallbacks of lazily loaded images inside `noscript` count.

use crate::optout::Directives;
use crate::{dataurl, srcset, urls};
use html5ever::tendril::TendrilSink;
use rustc_hash::FxHashSet;
use scraper::node::Element;
use scraper::{Html, HtmlTreeSink, Node};
use shards::clean_caption;
use std::time::{Duration, Instant};
use url::Url;

/// Links taken from one page.
const MAX_LINKS: usize = 5_000;
/// Images taken from one page; with four captions each they fit into a job.
pub(crate) const MAX_IMAGES: usize = 1_000;
/// Bytes of an image written into the page.
const MAX_DATA_BYTES: usize = 1 << 20;
/// Time for parsing. Usual pages take milliseconds; nesting made to be slow to parse is cut off here.
const MAX_TIME: Duration = Duration::from_secs(2);
/// Bytes between two looks at the clock.
const STRETCH: usize = 1 << 14;
/// Bytes of a figure's caption.
const MAX_FIGCAPTION: usize = 16 << 10;
/// Bytes of text kept on either side of an image.
const NEARBY: usize = 120;
/// Elements whose text is no words of the page.
const MUTE: [&str; 5] = ["script", "style", "template", "title", "textarea"];
/// Attributes in which pages keep an image's address until it is scrolled to.
const LAZY: [&str; 6] = ["data-src", "data-original", "data-lazy-src", "data-lazy", "data-lazyload", "data-echo"];
const LAZY_SETS: [&str; 2] = ["data-srcset", "data-lazy-srcset"];

/// Where an image's bytes are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    /// On the web.
    Url(Url),
    /// In the page.
    Data(Vec<u8>),
}

/// An image with its captions.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) place: Place,
    /// Cleaned captions, each once, with the field each stood in: alt, figcaption, title, aria-label in this order.
    pub(crate) captions: Vec<(&'static str, String)>,
    /// The words around it, cleaned: some before, some after.
    pub(crate) nearby: String,
    /// Its own licence, where it has one that is not its page's.
    pub(crate) licence: String,
    /// Who made it, where that is said.
    pub(crate) author: String,
}

impl Found {
    /// An image with its captions, without its surroundings.
    pub(crate) fn new(place: Place, captions: Vec<(&'static str, String)>) -> Self {
        Found { place, captions, nearby: String::new(), licence: String::new(), author: String::new() }
    }
}

/// What was found on a page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Links that may be followed, each once, in the page's order.
    pub(crate) links: Vec<Url>,
    /// Images with at least one caption.
    pub(crate) images: Vec<Found>,
    /// What the page and its headers say against use.
    pub(crate) directives: Directives,
    /// Images without any caption.
    pub(crate) uncaptioned: u64,
    /// Images of an extract that cannot be read.
    pub(crate) unreadable: u64,
    /// The address that the page calls its own.
    pub(crate) canonical: Option<Url>,
    /// A licence that the page names for itself (`rel=license`); empty when it names none.
    pub(crate) licence: String,
    /// When it was fetched, as an extract of it says; empty when its record does.
    pub(crate) fetched: String,
    /// Sitemaps that were found on the way to the page, or in it when it is one itself.
    pub(crate) maps: Vec<Url>,
}

impl Page {
    /// Number of pairs that the page offers.
    pub(crate) fn captions(&self) -> usize {
        self.images.iter().map(|image| image.captions.len()).sum()
    }
}

/// Extracts from the text of the page at `url`; `directives` are those of its headers. Of an image in several sizes the one that is
/// `enough` pixels wide is taken.
pub(crate) fn extract(text: &str, url: &Url, directives: Directives, agent: &str, enough: u32) -> Page {
    let html = parse(text);
    let mut walk = Walk { page: Page { directives, ..Page::default() }, agent, enough, base: base_of(&html, url), ..Walk::new(url) };
    walk.run(&html);
    if walk.page.directives.nofollow {
        walk.page.links.clear();
    }
    walk.page
}

fn parse(text: &str) -> Html {
    let mut options = html5ever::driver::ParseOpts::default();
    options.tree_builder.scripting_enabled = false;
    let mut parser = html5ever::driver::parse_document(HtmlTreeSink::new(Html::new_document()), options);
    let begun = Instant::now();
    let mut rest = text;
    while !rest.is_empty() && begun.elapsed() < MAX_TIME {
        let (stretch, after) = rest.split_at(rest.ceil_char_boundary(STRETCH.min(rest.len())));
        parser.process(stretch.into());
        rest = after;
    }
    parser.finish()
}

/// Whether the text of a lazy attribute may be an address: scripts also keep flags (`true`, `0`) and JSON there.
fn may_be_address(text: &str) -> bool {
    text.contains(['.', '/', ':']) && !text.trim_start().starts_with(['{', '[', '<'])
}

/// The address that relative ones are resolved against.
fn base_of(html: &Html, url: &Url) -> Url {
    let bases = html.tree.values().filter_map(Node::as_element).filter(|element| element.name() == "base");
    bases.filter_map(|base| base.attr("href")).find_map(|href| urls::web_url(Some(url), href)).unwrap_or_else(|| url.clone())
}

/// A figure that is being walked.
#[derive(Default)]
struct Figure {
    /// Its images, as indices of `Walk::drafts`.
    images: Vec<usize>,
    caption: String,
}

/// An image whose captions are not yet complete.
struct Draft {
    place: Option<Place>,
    captions: Vec<(&'static str, String)>,
    nearby: String,
}

struct Walk<'a> {
    page: Page,
    agent: &'a str,
    /// Width in pixels of an image from which on more is of no use.
    enough: u32,
    base: Url,
    known_links: FxHashSet<String>,
    drafts: Vec<Draft>,
    figures: Vec<Figure>,
    /// Depth of `figcaption` elements.
    in_caption: usize,
    /// The best source so far of each open `picture`.
    pictures: Vec<Option<srcset::Candidate<'a>>>,
    /// Depth of elements whose text does not count.
    muted: usize,
    /// The last words of the page so far.
    before: String,
    /// Images that still take words after them, with the length at which they have enough.
    after: Vec<(usize, usize)>,
}

impl<'a> Walk<'a> {
    fn new(url: &'a Url) -> Self {
        Walk {
            page: Page::default(),
            agent: "",
            enough: 0,
            base: url.clone(),
            known_links: FxHashSet::default(),
            drafts: Vec::new(),
            figures: Vec::new(),
            in_caption: 0,
            pictures: Vec::new(),
            muted: 0,
            before: String::new(),
            after: Vec::new(),
        }
    }

    /// Walks all nodes in order, without recursion: pages can be nested as deep as they are long.
    fn run(&mut self, html: &'a Html) {
        let mut node = html.tree.root();
        'walk: loop {
            self.open(node.value());
            if let Some(child) = node.first_child() {
                node = child;
                continue;
            }
            loop {
                self.close(node.value());
                if let Some(next) = node.next_sibling() {
                    node = next;
                    break;
                }
                match node.parent() {
                    Some(parent) => node = parent,
                    None => break 'walk,
                }
            }
        }
        while let Some(figure) = self.figures.pop() {
            self.close_figure(figure);
        }
        let drafts = std::mem::take(&mut self.drafts);
        drafts.into_iter().for_each(|draft| self.finish(draft));
    }

    fn open(&mut self, node: &'a Node) {
        match node {
            Node::Element(element) => self.open_element(element),
            Node::Text(text) => {
                if self.in_caption > 0
                    && let Some(figure) = self.figures.last_mut()
                    && figure.caption.len() < MAX_FIGCAPTION
                {
                    figure.caption.push(' ');
                    figure.caption.push_str(&text[..text.floor_char_boundary(MAX_FIGCAPTION)]);
                }
                if self.muted == 0 && !text.trim().is_empty() {
                    self.words(text.trim());
                }
            }
            _ => {}
        }
    }

    /// Words of the page: they stand after the images before them, and before those after them.
    fn words(&mut self, text: &str) {
        let drafts = &mut self.drafts;
        self.after.retain(|&(image, enough)| {
            let nearby = &mut drafts[image].nearby;
            nearby.push(' ');
            nearby.push_str(&text[..text.floor_char_boundary(enough.saturating_sub(nearby.len()))]);
            nearby.len() < enough
        });
        self.before.push(' ');
        self.before.push_str(&text[text.ceil_char_boundary(text.len().saturating_sub(NEARBY))..]);
        let surplus = self.before.ceil_char_boundary(self.before.len().saturating_sub(NEARBY));
        self.before.drain(..surplus);
    }

    fn open_element(&mut self, element: &'a Element) {
        match element.name() {
            "meta" => {
                if let (Some(name), Some(content)) = (element.attr("name"), element.attr("content")) {
                    self.page.directives.read_meta(name, content, self.agent);
                }
            }
            "a" | "area" => {
                self.link(element);
                self.licence(element);
            }
            "link" => {
                self.canonical(element);
                self.licence(element);
            }
            name if MUTE.contains(&name) => self.muted += 1,
            "figure" => self.figures.push(Figure::default()),
            "figcaption" => self.in_caption += 1,
            "picture" => self.pictures.push(None),
            "source" => self.source(element),
            "img" => self.image(element),
            _ => {}
        }
    }

    fn close(&mut self, node: &Node) {
        match node.as_element().map(Element::name) {
            Some("figure") => {
                if let Some(figure) = self.figures.pop() {
                    self.close_figure(figure);
                }
            }
            Some("figcaption") => self.in_caption = self.in_caption.saturating_sub(1),
            Some(name) if MUTE.contains(&name) => self.muted = self.muted.saturating_sub(1),
            Some("picture") => {
                self.pictures.pop();
            }
            _ => {}
        }
    }

    fn link(&mut self, element: &Element) {
        let nofollow =
            element.attr("rel").is_some_and(|rel| rel.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("nofollow")));
        let Some(href) = element.attr("href").filter(|_| !nofollow && self.page.links.len() < MAX_LINKS) else { return };
        if let Some(mut url) = urls::web_url(Some(&self.base), href) {
            url.set_fragment(None);
            if self.known_links.insert(url.to_string()) {
                self.page.links.push(url);
            }
        }
    }

    /// `<link rel=canonical>`: the first one counts.
    fn canonical(&mut self, element: &Element) {
        let is = element.attr("rel").is_some_and(|rel| rel.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("canonical")));
        if is && self.page.canonical.is_none() {
            self.page.canonical = element.attr("href").and_then(|href| urls::web_url(Some(&self.base), href));
        }
    }

    /// `rel=license`: the first one counts.
    fn licence(&mut self, element: &Element) {
        let is = element.attr("rel").is_some_and(|rel| rel.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("license")));
        if is && self.page.licence.is_empty() {
            let url = element.attr("href").and_then(|href| urls::web_url(Some(&self.base), href));
            self.page.licence = url.map(String::from).unwrap_or_default();
        }
    }

    /// A `source` of a `picture`: of those whose type we can read the best gives a candidate. Browsers take the first that is meant for their
    /// window; ours has no size.
    fn source(&mut self, element: &'a Element) {
        let readable = element.attr("type").is_none_or(|kind| {
            matches!(kind.trim().to_ascii_lowercase().as_str(), "image/jpeg" | "image/jpg" | "image/png" | "image/webp" | "image/gif" | "")
        });
        let set = LAZY_SETS.iter().find_map(|name| element.attr(name)).or_else(|| element.attr("srcset"));
        if let Some(held) = self.pictures.last_mut()
            && readable
            && let Some(best) = set.and_then(|set| srcset::best(set, self.enough))
            && held.is_none_or(|held| best.is_better(&held, self.enough))
        {
            *held = Some(best);
        }
    }

    fn image(&mut self, element: &Element) {
        if self.drafts.len() >= MAX_IMAGES {
            return;
        }
        let mut draft = Draft { place: self.place(element), captions: Vec::new(), nearby: self.before.clone() };
        for field in ["alt", "title", "aria-label"] {
            draft.captions.extend(element.attr(field).map(|text| (field, clean_caption(text))));
        }
        if let Some(figure) = self.figures.last_mut() {
            figure.images.push(self.drafts.len());
        }
        self.after.push((self.drafts.len(), draft.nearby.len() + NEARBY));
        self.drafts.push(draft);
    }

    /// The image's best address: sets before single addresses, lazy attributes before `src`, which is then a placeholder.
    fn place(&self, element: &Element) -> Option<Place> {
        let set = |name: &&str| element.attr(name).and_then(|set| srcset::best(set, self.enough)).map(|candidate| candidate.url);
        let sets = LAZY_SETS.iter().filter_map(set).chain(set(&"srcset"));
        let picture = self.pictures.last().copied().flatten().map(|candidate| candidate.url);
        let lazy = LAZY.iter().filter_map(|name| element.attr(name)).filter(|text| may_be_address(text));
        let singles = lazy.chain(element.attr("src"));
        let mut candidates = sets.chain(picture).chain(singles).map(str::trim).filter(|text| !text.is_empty());
        candidates.clone().find_map(|text| urls::web_url(Some(&self.base), text).map(Place::Url)).or_else(|| {
            let data = candidates.find(|text| text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")))?;
            dataurl::decode(data, MAX_DATA_BYTES).map(Place::Data)
        })
    }

    /// Gives the caption to the figure's image, if it is clear which that is.
    fn close_figure(&mut self, figure: Figure) {
        let caption = clean_caption(&figure.caption);
        let mut places = figure.images.iter().filter_map(|&image| self.drafts[image].place.as_ref());
        let first = places.next();
        if !caption.is_empty() && places.all(|place| Some(place) == first) {
            for image in figure.images {
                // After alt, before title.
                let captions = &mut self.drafts[image].captions;
                let at = captions.iter().position(|(field, _)| *field != "alt").unwrap_or(captions.len());
                captions.insert(at, ("figcaption", caption.clone()));
            }
        }
    }

    fn finish(&mut self, draft: Draft) {
        let Some(place) = draft.place else { return };
        let mut captions: Vec<(&'static str, String)> = Vec::new();
        for (field, caption) in draft.captions {
            if !caption.is_empty() && captions.iter().all(|(_, known)| *known != caption) {
                captions.push((field, caption));
            }
        }
        if captions.is_empty() {
            self.page.uncaptioned += 1;
        } else {
            self.page.images.push(Found { nearby: clean_caption(&draft.nearby), ..Found::new(place, captions) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(text: &str) -> Page {
        extract(text, &Url::parse("http://e.org/dir/page.html").expect("a URL"), Directives::default(), "diptych", 512)
    }

    /// Address and captions of each image.
    fn images(text: &str) -> Vec<(String, Vec<(&'static str, String)>)> {
        let place = |place| match place {
            Place::Url(url) => url.to_string(),
            Place::Data(bytes) => format!("{} bytes", bytes.len()),
        };
        page(text).images.into_iter().map(|found| (place(found.place), found.captions)).collect()
    }

    fn addresses(text: &str) -> Vec<String> {
        images(text).into_iter().map(|(address, _)| address).collect()
    }

    #[test]
    fn captions_come_in_order_and_once() {
        let text = "<figure><img src=a.jpg title=' T ' aria-label=L alt='a &amp; b'><figcaption>The <b>fig</b>ure</figcaption></figure>\
            <img src=b.jpg alt=same title=same><img src=c.jpg alt=''><img src=d.jpg>";
        let own = |list: &[(&'static str, &str)]| list.iter().map(|(field, text)| (*field, text.to_string())).collect::<Vec<_>>();
        let expected = vec![
            (
                "http://e.org/dir/a.jpg".to_string(),
                own(&[("alt", "a & b"), ("figcaption", "The fig ure"), ("title", "T"), ("aria-label", "L")]),
            ),
            ("http://e.org/dir/b.jpg".to_string(), own(&[("alt", "same")])),
        ];
        assert_eq!(images(text), expected);
        assert_eq!(page(text).uncaptioned, 2);
    }

    #[test]
    fn a_caption_of_several_images_belongs_to_none() {
        let text = "<figure><img src=a.jpg alt=a><img src=b.jpg alt=b><figcaption>both</figcaption></figure>";
        assert!(images(text).iter().all(|(_, captions)| captions.len() == 1));
    }

    #[test]
    fn the_best_address_is_taken() {
        let text = "<base href='/img/'><img alt=1 src=a.jpg srcset='b.jpg 100w, c.jpg 900w'>\
            <img alt=2 src='data:image/gif;base64,R0lGODlh' data-src=d.jpg>\
            <picture><source type=image/avif srcset=e.avif><source type=image/webp srcset='e.webp 1x, f.webp 2x'><img alt=3 src=g.jpg></picture>\
            <noscript><img alt=4 src=h.jpg></noscript><img alt=5 src='data:image/gif;base64,R0lGODlh'><img alt=6 src='javascript:x'>";
        let at = |name: &str| format!("http://e.org/img/{name}");
        assert_eq!(addresses(text), [at("c.jpg"), at("d.jpg"), at("f.webp"), at("h.jpg"), "6 bytes".to_string()]);
        let text = "<img alt=1 src=a.jpg data-lazy=true><img alt=2 src=b.jpg data-original=0><img alt=3 src=c.jpg data-src='{\"d\":\"//e.org/x.jpg\"}'>\
            <img alt=4 src=blank.gif data-lazyload=d.jpg>\
            <picture><source media='(max-width:600px)' srcset='small.png 320w'><source srcset='big.png 1600w'><source srcset='huge.png 3200w'>\
            <img alt=5 src=e.jpg></picture><img alt=6 src=f.jpg srcset='bad.jpg 0w, /s a.png 1x'>";
        let images = ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "big.png", "f.jpg"];
        assert_eq!(addresses(text), images.map(|name| format!("http://e.org/dir/{name}")));
    }

    #[test]
    fn links_are_resolved_once_and_rel_is_kept() {
        let page = page(
            "<a href='../x#1'>1</a><a href='/x'>2</a><a href='//o.org/'>3</a><a rel='ugc NoFollow' href=y>4</a><a href='mailto:a@b'>5</a>",
        );
        assert_eq!(page.links.iter().map(Url::as_str).collect::<Vec<_>>(), ["http://e.org/x", "http://o.org/"]);
        assert!(super::tests::page("<meta name=robots content='nofollow'><a href=x>1</a>").links.is_empty());
        assert_eq!(super::tests::page("<meta name=Diptych content='noai'>").directives.refusal, Some("noai"));
    }

    #[test]
    fn words_around_an_image_are_kept() {
        let text = "<title>no</title><script>no</script><p>The old <b>mill</b></p><img alt=a src=a.jpg><img alt=b src=b.jpg><p>by the river,\n1890.";
        let found = page(text);
        assert!(found.images.iter().all(|image| image.nearby == "The old mill by the river, 1890."), "{:?}", found.images);
        let long = page(&format!("{}<img alt=a src=a.jpg>{}", "é ".repeat(500), "ü ".repeat(500)));
        assert!((2 * NEARBY - 20..=2 * NEARBY).contains(&long.images[0].nearby.len()), "{}", long.images[0].nearby.len());
    }

    #[test]
    fn a_page_says_its_licence() {
        assert_eq!(page("<a rel='nofollow License' href='/by'>x</a><link rel=license href='/other'>").licence, "http://e.org/by");
        assert_eq!(page("<a rel=license>x</a>").licence, "");
    }

    #[test]
    fn a_page_says_its_own_address() {
        let text = "<link rel=stylesheet href=s.css><link rel='Canonical' href='../own.html'><link rel=canonical href=other.html>";
        assert_eq!(page(text).canonical.as_ref().map(Url::as_str), Some("http://e.org/own.html"));
        assert_eq!(page("<link rel=canonical href='data:x'>").canonical, None);
    }

    #[test]
    fn hostile_pages_end() {
        let begun = Instant::now();
        page(&"<div><p>".repeat(500_000));
        page(&"<figure><img alt=a src=a><figcaption>x".repeat(50_000));
        page(&"<a href=x><b>".repeat(100_000));
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        assert_eq!(page(&"<img alt=a src=a>".repeat(3_000)).images.len(), MAX_IMAGES);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(<(img|a|figure|figcaption|picture|source|/figure|base|meta)( (src|alt|href|srcset|name|content)=[a-z:/]{0,8})*>|x){0,30}") {
            page(&text);
        }
    }
}
