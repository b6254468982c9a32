//! What a page offers: links, and images with the words that stand by them.
//!
//! Reads HTML as a browser without scripts does, so that the fallbacks of lazily loaded images inside `noscript` count.

use crate::fetch::AGENT;
use crate::figures::{Draft, Figure};
use crate::lazy::{Attributes, LAZY_SETS};
use crate::links::is_media;
use crate::optout::{Directives, Metas};
use crate::prose::{self, NEARBY, Prose};
use crate::{srcset, urls};
use html5ever::tendril::TendrilSink;
use rustc_hash::FxHashSet;
use scraper::node::Element;
use scraper::{Html, HtmlTreeSink, Node};
use shards::clean_caption;
use std::time::{Duration, Instant};
use url::Url;

/// Links taken from one page, and looked at for that.
const MAX_LINKS: usize = 5_000;
const MAX_LOOKS: usize = 50_000;
/// Bytes of a link's address, as there may be that many.
const MAX_LINK: usize = 4096;
/// Images taken from one page; with four captions each they fit into a job.
pub(crate) const MAX_IMAGES: usize = 1_000;
/// Time for parsing. Usual pages take milliseconds; nesting made to be slow to parse is cut off here.
const MAX_TIME: Duration = Duration::from_secs(2);
/// Bytes between two looks at the clock.
const STRETCH: usize = 1 << 14;
/// Bytes of a figure's caption.
const MAX_FIGCAPTION: usize = 16 << 10;
/// Elements `base` that are looked at: the first one that counts is among the first.
const MAX_BASES: usize = 16;

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

/// What is wanted of a page.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// Width in pixels of an image from which on more is of no use.
    pub(crate) enough: u32,
    /// Crawlers (lower case) to whom opt-outs are said that hold for us where we are not named.
    pub(crate) also: &'a [String],
    /// Which links are wanted; none without it.
    pub(crate) links: Option<&'a dyn Fn(&Url) -> bool>,
}

/// Extracts from the text of the page at `url`; `directives` are those of its headers.
pub(crate) fn extract(text: &str, url: &Url, directives: Directives, reading: Reading) -> Page {
    let html = parse(text);
    let mut walk = Walk::new(reading, base_of(&html, url), directives);
    walk.run(&html);
    let mut page = Page { directives: walk.metas.done(), ..walk.page };
    if page.directives.nofollow {
        page.links.clear();
    }
    page
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

/// The address that relative ones are resolved against: that of the first `base` with one, or the page's own if it is none.
fn base_of(html: &Html, url: &Url) -> Url {
    let is_base = |node: &Node| node.as_element().is_some_and(|element| element.name() == "base" && prose::is_html(element));
    let bases = html.tree.nodes().filter(|node| is_base(node.value())).take(MAX_BASES);
    let is_inert = |node: &Node| node.as_element().is_some_and(prose::is_inert);
    let live = bases.filter(|node| !node.ancestors().any(|outer| is_inert(outer.value())));
    let mut hrefs = live.filter_map(|node| node.value().as_element()?.attr("href"));
    hrefs.next().and_then(|href| urls::web_url(Some(url), href)).unwrap_or_else(|| url.clone())
}

struct Walk<'a> {
    page: Page,
    reading: Reading<'a>,
    metas: Metas<'a>,
    base: Url,
    /// Links that were looked at.
    looks: usize,
    known_links: FxHashSet<String>,
    drafts: Vec<Draft>,
    figures: Vec<Figure>,
    /// Depth of `figcaption` elements.
    in_caption: usize,
    /// The best source so far of each open `picture`.
    pictures: Vec<Option<srcset::Candidate<'a>>>,
    /// Depth of templates, in which nothing counts.
    inert: usize,
    /// Depth of elements whose text does not count, and of those among them that scripts replace.
    muted: usize,
    fallback: usize,
    prose: Prose,
    /// Images that still take words after them, with the length at which they have enough.
    after: Vec<(usize, usize)>,
}

impl<'a> Walk<'a> {
    fn new(reading: Reading<'a>, base: Url, directives: Directives) -> Self {
        Walk {
            page: Page::default(),
            reading,
            metas: Metas::new(directives, AGENT, reading.also),
            base,
            looks: 0,
            known_links: FxHashSet::default(),
            drafts: Vec::new(),
            figures: Vec::new(),
            in_caption: 0,
            pictures: Vec::new(),
            inert: 0,
            muted: 0,
            fallback: 0,
            prose: Prose::default(),
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
            figure.close(&mut self.drafts);
        }
        let drafts = std::mem::take(&mut self.drafts);
        drafts.into_iter().for_each(|draft| self.finish(draft));
    }

    fn open(&mut self, node: &'a Node) {
        match node {
            Node::Element(element) => self.open_element(element),
            Node::Text(text) if self.muted == 0 && self.inert == 0 => self.words(text),
            _ => {}
        }
    }

    /// Words of the page: they stand after the images before them, and before those after them.
    fn words(&mut self, text: &str) {
        let Some((words, is_apart)) = self.prose.read(text) else { return };
        if self.in_caption > 0
            && let Some(figure) = self.figures.last_mut()
            && figure.caption.len() < MAX_FIGCAPTION
        {
            prose::push(&mut figure.caption, &words[..words.floor_char_boundary(MAX_FIGCAPTION)], is_apart);
        }
        let drafts = &mut self.drafts;
        self.after.retain(|&(image, enough)| {
            let nearby = &mut drafts[image].nearby;
            let room = enough.saturating_sub(nearby.len() + usize::from(is_apart));
            prose::push(nearby, &words[..words.floor_char_boundary(room)], is_apart);
            nearby.len() < enough
        });
    }

    fn open_element(&mut self, element: &'a Element) {
        self.inert += usize::from(prose::is_inert(element));
        if self.inert > 0 {
            return;
        }
        let name = element.name();
        self.prose.is_apart |= prose::is_apart(name);
        self.muted += usize::from(prose::is_mute(name));
        match name {
            "meta" => {
                if let (Some(name), Some(content)) = (element.attr("name"), element.attr("content")) {
                    self.metas.read(name, content);
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
            "noscript" => self.fallback += 1,
            "figure" => self.figures.push(Figure::default()),
            "figcaption" => self.in_caption += 1,
            "picture" => self.pictures.push(None),
            "source" => self.source(element),
            "img" => self.image(element),
            _ => {}
        }
    }

    fn close(&mut self, node: &Node) {
        let Some(element) = node.as_element() else { return };
        if self.inert > 0 {
            self.inert -= usize::from(prose::is_inert(element));
            return;
        }
        let name = element.name();
        self.prose.is_apart |= prose::is_apart(name);
        self.muted -= usize::from(prose::is_mute(name));
        match name {
            "figure" => {
                if let Some(figure) = self.figures.pop() {
                    figure.close(&mut self.drafts);
                }
            }
            "noscript" => self.fallback -= 1,
            "figcaption" => self.in_caption -= 1,
            "picture" => {
                self.pictures.pop();
            }
            _ => {}
        }
    }

    /// A link: those that are not wanted do not count.
    fn link(&mut self, element: &Element) {
        let Some(is_wanted) = self.reading.links.filter(|_| self.page.links.len() < MAX_LINKS && self.looks < MAX_LOOKS) else { return };
        let nofollow =
            element.attr("rel").is_some_and(|rel| rel.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("nofollow")));
        let Some(href) = element.attr("href").filter(|_| !nofollow) else { return };
        self.looks += 1;
        if let Some(mut url) = urls::web_url(Some(&self.base), href).filter(|url| url.as_str().len() <= MAX_LINK) {
            url.set_fragment(None);
            if !is_media(&url) && is_wanted(&url) && self.known_links.insert(url.to_string()) {
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
        let lazy = LAZY_SETS.iter().filter_map(|name| element.attr(name)).find(|set| !set.trim().is_empty());
        let set = lazy.or_else(|| element.attr("srcset"));
        if let Some(held) = self.pictures.last_mut()
            && readable
            && let Some(best) = set.and_then(|set| srcset::best(set, self.reading.enough))
            && held.is_none_or(|held| best.is_better(&held, self.reading.enough))
        {
            *held = Some(best);
        }
    }

    fn image(&mut self, element: &'a Element) {
        if self.drafts.len() >= MAX_IMAGES {
            return;
        }
        let attributes = Attributes::of(element, self.reading.enough);
        let picture = self.pictures.last().copied().flatten().map(|candidate| candidate.url);
        let said = attributes.texts.into_iter().filter(|(_, text)| !text.is_empty());
        let draft = Draft {
            place: attributes.place(&self.base, picture),
            captions: said.map(|(field, text)| (field, clean_caption(text))).collect(),
            nearby: self.prose.before.clone(),
            is_fallback: self.fallback > 0,
        };
        if let Some(figure) = self.figures.last_mut() {
            let images = if self.in_caption > 0 { &mut figure.in_caption } else { &mut figure.images };
            images.push(self.drafts.len());
        }
        if let Some(before) = self.drafts.last_mut() {
            before.give_way_to(&draft);
        }
        self.after.push((self.drafts.len(), draft.nearby.len() + NEARBY));
        self.drafts.push(draft);
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
        let reading = Reading { enough: 512, also: &["gptbot".to_string()], links: Some(&|url| url.host_str() != Some("far.org")) };
        extract(text, &Url::parse("http://e.org/dir/page.html").expect("a URL"), Directives::default(), reading)
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
                own(&[("alt", "a & b"), ("figcaption", "The figure"), ("title", "T"), ("aria-label", "L")]),
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
        let late = "<picture><source data-srcset='' srcset='a.webp 800w' type=image/webp><img alt=a src=b.jpg></picture>";
        assert_eq!(addresses(late), ["http://e.org/dir/a.webp"]);
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
    fn a_figure_has_one_image_whatever_stands_in_for_it() {
        let gif = "src='data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7'";
        let front = format!("<img {gif} data-src=a.jpg data-srcset='a-300.jpg 300w, a-600.jpg 600w'>");
        for (inside, expected) in [
            (format!("{front}<noscript><img src=a.jpg></noscript>"), vec!["a-600.jpg", "a.jpg"]),
            (format!("<span><img alt='' {gif}><noscript><img alt='' src=b.jpg></noscript></span>"), vec!["b.jpg"]),
            ("<img src='small.jpg?q=20'><noscript><img src=large.jpg></noscript>".to_string(), vec!["small.jpg?q=20", "large.jpg"]),
            ("<img src=grey-placeholder.png><img src=c.jpg alt=''>".to_string(), vec!["c.jpg"]),
            ("<img src='data:image/png;base64,iVBORw0KGgo='><img src=d.jpg>".to_string(), vec!["d.jpg"]),
            ("<img src=e.jpg><noscript><img src=f.jpg><img src=g.jpg></noscript>".to_string(), vec![]),
        ] {
            let found = images(&format!("<figure>{inside}<figcaption>The <img src=icon.gif>old mill</figcaption></figure>"));
            assert_eq!(found.iter().map(|(url, _)| url.trim_start_matches("http://e.org/dir/")).collect::<Vec<_>>(), expected, "{inside}");
            assert!(found.iter().all(|(_, captions)| *captions == [("figcaption", "The old mill".to_string())]));
        }
        assert_eq!(addresses("<figure><figcaption><img src=a.jpg>in its caption</figcaption></figure>"), ["http://e.org/dir/a.jpg"]);
    }

    #[test]
    fn what_stands_in_for_a_picture_is_none() {
        let front = "<img alt='A lake' src='data:image/png;base64,iVBORw0KGgo='>";
        let fallback = "<noscript><img alt='A lake' src=a.jpg></noscript>";
        assert_eq!(addresses(&format!("{front}{fallback}")), ["http://e.org/dir/a.jpg"]);
        assert_eq!(addresses(&format!("<img alt='A lake' src=blank.gif>{fallback}")), ["http://e.org/dir/a.jpg"]);
        assert_eq!(addresses(front), ["8 bytes"]);
        assert_eq!(
            addresses("<img alt=a src='data:image/svg+xml,<svg width=3 height=2></svg>'><img alt=b src='#'><img alt=c src='?'>"),
            [""; 0]
        );
        assert_eq!(addresses("<img alt='{{ a }}' src='{{ src }}'><template><img alt=a src=a.jpg></template>"), [""; 0]);
        assert_eq!(addresses("<template shadowrootmode=open><img alt=a src=a.jpg></template>"), ["http://e.org/dir/a.jpg"]);
        assert_eq!(page("<img alt='\u{200b}' src=a.jpg>").uncaptioned, 1);
    }

    #[test]
    fn addresses_with_room_for_a_width_are_filled() {
        let shop = |widths: &str| addresses(&format!("<img alt=a src=a.jpg data-src='//s.org/p_{{width}}x.jpg?v=1' {widths}>"));
        assert_eq!(shop("data-widths='[180, 360, 540, 720]'"), ["http://s.org/p_540x.jpg?v=1"]);
        assert_eq!(shop(""), ["http://e.org/dir/a.jpg"]);
        assert_eq!(addresses("<img alt=a src=a.jpg data-src='p_%7Bwidth%7D.jpg' data-widths=90>"), ["http://e.org/dir/p_90.jpg"]);
        assert_eq!(addresses("<img alt=a src=a.jpg data-src='p_{size}.jpg' data-widths=90>"), ["http://e.org/dir/a.jpg"]);
    }

    #[test]
    fn texts_are_those_that_readers_see() {
        let caption = |text: &str| images(&format!("<figure><img src=a.jpg><figcaption>{text}</figcaption></figure>"))[0].1[0].1.clone();
        assert_eq!(
            caption("夜の<b>東</b>京 H<sub>2</sub>O<br>next<p>one</p>two <i>three</i> four"),
            "夜の東京 H2O next one two three four"
        );
        assert_eq!(caption("<button>Enlarge</button>The mill"), "Enlarge The mill");
        assert_eq!(caption("<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby>字"), "漢字");
        let code = "<style>b{}</style><script>x</script><template>t</template><svg><title>Icon</title></svg><noscript>n</noscript>";
        assert_eq!(caption(&format!("The{code} mill")), "The mill");
    }

    #[test]
    fn the_first_base_counts() {
        let at = |bases: &str| addresses(&format!("{bases}<img alt=a src=a.jpg>")).remove(0);
        assert_eq!(at("<base target=x><base href=/b/><base href=/c/>"), "http://e.org/b/a.jpg");
        assert_eq!(at("<base href='javascript:0'><base href=/c/>"), "http://e.org/dir/a.jpg");
        assert_eq!(at("<template><base href=/t/></template><svg><base href=/s/></svg>"), "http://e.org/dir/a.jpg");
    }

    #[test]
    fn only_links_that_are_wanted_count() {
        let far: String = (0..MAX_LINKS + 10).map(|n| format!("<a href='http://far.org/{n}'>x</a>")).collect();
        let page = page(&format!("{far}<a href=own>x</a><a href=full.jpg>x</a><a href='/wiki/File:A.jpg'>x</a>"));
        assert_eq!(page.links.iter().map(Url::as_str).collect::<Vec<_>>(), ["http://e.org/dir/own", "http://e.org/wiki/File:A.jpg"]);
    }

    #[test]
    fn links_are_resolved_once_and_rel_is_kept() {
        let page = page(
            "<a href='../x#1'>1</a><a href='/x'>2</a><a href='//o.org/'>3</a><a rel='ugc NoFollow' href=y>4</a><a href='mailto:a@b'>5</a>",
        );
        assert_eq!(page.links.iter().map(Url::as_str).collect::<Vec<_>>(), ["http://e.org/x", "http://o.org/"]);
        assert!(super::tests::page("<meta name=robots content='nofollow'><a href=x>1</a>").links.is_empty());
        assert_eq!(super::tests::page("<meta name=Diptych content='noai'>").directives.refusal, Some("noai"));
        assert_eq!(super::tests::page("<meta name='robots, GPTBot' content='noindex'>").directives.refusal, Some("noindex"));
        assert_eq!(super::tests::page("<meta name=gptbot content='noai,noimageai'>").directives.refusal, Some("noai"));
        assert_eq!(super::tests::page("<meta name=gptbot content=noai><meta name=diptych content=all>").directives.refusal, None);
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
        fn any_text_is_read(text in "(<(img|a|figure|figcaption|picture|source|noscript|template|rt|/template|/figure|base|meta)( (src|alt|href|srcset|name|content)=[a-z:/]{0,8})*>|x){0,30}") {
            page(&text);
        }
    }
}
