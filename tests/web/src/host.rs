//! A host beside the main one while it is written: pages by hand, pictures, pairs, and a front page that links to all of them.

use crate::page::escape;
use crate::picture::{ALIKE_BITS, File, waves};
use crate::plan::Expect;
use crate::plant::Planter;
use crate::resource::Resource;
use crate::words::THINGS;
use shards::perceptual_hash;

/// The host being written.
pub(crate) struct Host<'a> {
    pub planter: &'a mut Planter,
    name: &'static str,
    listed: Vec<String>,
    pictures: usize,
}

/// The URL of a path on a host, with the mark that stands for the port.
pub(crate) fn url(name: &str, path: &str) -> String {
    format!("http://{name}:1{path}")
}

/// The page around a body.
pub(crate) fn page(head: &str, body: &str) -> String {
    format!("<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n{head}</head>\n<body>\n{body}</body>\n</html>\n")
}

/// An image element with its caption as `alt`.
pub(crate) fn img(src: &str, alt: &str) -> String {
    format!("<p><img src=\"{}\" alt=\"{}\"></p>\n", escape(src), escape(alt))
}

impl<'a> Host<'a> {
    /// Begins a host, such as `photos.localhost`.
    pub fn open(planter: &'a mut Planter, name: &'static str) -> Self {
        Host { planter, name, listed: Vec::new(), pictures: 0 }
    }

    /// The name under which a path of this host lies in plan and server.
    pub fn place(&self, path: &str) -> String {
        format!("//{}{path}", self.name)
    }

    pub fn put(&mut self, path: &str, resource: Resource) {
        self.planter.resources.insert(self.place(path), resource);
    }

    /// A picture that no other place has.
    pub fn file(&mut self) -> File {
        let pixels = loop {
            let pixels = waves(&mut self.planter.rng);
            let hash = perceptual_hash(&pixels);
            if self.planter.waves.iter().all(|other| (hash ^ other).count_ones() > ALIKE_BITS) {
                self.planter.waves.push(hash);
                break pixels;
            }
        };
        if self.planter.rng.chance(0.2) { File::png(&pixels) } else { File::jpeg(&pixels, 90) }
    }

    /// Puts a new picture somewhere and returns its path.
    pub fn picture(&mut self) -> String {
        let file = self.file();
        self.pictures += 1;
        let path = format!("/img/{:03}.{}", self.pictures, file.suffix);
        self.put(&path, Resource::picture(file.suffix, file.bytes));
        path
    }

    /// A caption that no other pair has.
    pub fn caption(&mut self) -> String {
        self.planter.numbered += 1;
        let rng = &mut self.planter.rng;
        format!("{} with {} {}", rng.pick(&THINGS), rng.pick(&THINGS), 5000 + self.planter.numbered)
    }

    /// Puts a page and links to it from the front page.
    pub fn page(&mut self, path: &str, body: &str) {
        self.listed_page(path, Resource::html(&page("", body)));
    }

    /// Puts any answer as a page and links to it from the front page.
    pub fn listed_page(&mut self, path: &str, resource: Resource) {
        self.put(path, resource);
        self.list(path);
    }

    /// Links to a path from the front page.
    pub fn list(&mut self, path: &str) {
        self.listed.push(path.to_string());
    }

    /// Notes in the plan that `image`, a path of this host, stands on `page` with the caption.
    pub fn plan(&mut self, page: &str, image: &str, caption: &str, expect: Expect) {
        let image = self.place(image);
        self.plan_at(page, image, caption, expect);
    }

    /// The same for an image at any place.
    pub fn plan_at(&mut self, page: &str, image: String, caption: &str, expect: Expect) {
        let page = self.place(page);
        let planted = self.planter.note(image, caption, expect);
        self.planter.plan.planted[planted].page_path = page;
    }

    /// An image element for `image` with a new caption, planned for `page`.
    pub fn figure(&mut self, page: &str, image: &str, expect: Expect) -> String {
        let caption = self.caption();
        self.plan(page, image, &caption, expect);
        img(image, &caption)
    }

    /// A path that must never be asked for.
    pub fn forbid(&mut self, path: &str) {
        let place = self.place(path);
        self.planter.plan.forbidden.push(place);
    }

    /// Ends the host: its front page, and `robots.txt` if it has one. It becomes a place from which to crawl.
    pub fn close(mut self, robots: Option<&str>) {
        let links: String = self.listed.iter().map(|path| format!("<li><a href=\"{}\">{0}</a></li>\n", escape(path))).collect();
        self.put("/", Resource::html(&page("", &format!("<ul>\n{links}</ul>\n"))));
        if let Some(robots) = robots {
            self.put("/robots.txt", Resource::new("text/plain", robots.as_bytes()));
        }
        self.planter.plan.hosts.push(self.name.to_string());
    }
}
