//! A host that is known by its sitemaps, with a calendar that never ends and one page under endless URLs.

use crate::endless::{CALENDAR, STORY, story};
use crate::host::{Host, page, url};
use crate::plan::Expect;
use crate::plant::Planter;
use crate::resource::{Coding, ELSEWHERE, Resource};

/// The host's name.
pub(crate) const ARCHIVE: &str = "archive.localhost";
/// Pages that a crawler may lose to something endless before it notices.
const PATIENCE: u64 = 1000;

impl Planter {
    /// Plants `archive.localhost`.
    pub fn plant_archive(&mut self) {
        let mut host = Host::open(self, ARCHIVE);
        sitemaps(&mut host);
        endless(&mut host);
        let robots = format!(
            "User-agent: *\nDisallow: /cellar/\nSitemap: {}\nSitemap: {}\nSitemap: {ELSEWHERE}/map.xml\nsitemap: not a web address\n",
            url(ARCHIVE, "/maps/index.xml"),
            url(ARCHIVE, "/maps/list.txt"),
        );
        host.close(Some(&robots));
    }
}

/// A page with one pair that no page links to.
fn loose(host: &mut Host, path: &str, expect: Expect) -> String {
    let picture = host.picture();
    let body = host.figure(path, &picture, expect);
    host.put(path, Resource::html(&page("", &body)));
    url(ARCHIVE, path)
}

/// An index of two sitemaps, one of them packed, and a plain list; what they name beyond the host or against the rules is left.
fn sitemaps(host: &mut Host) {
    let set = |urls: &[String]| {
        let entries: String =
            urls.iter().map(|url| format!("<url><loc>\n {} </loc><priority>0.5</priority></url>\n", url.replace('&', "&amp;"))).collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n{entries}</urlset>\n"
        )
    };
    let cellar = loose(host, "/cellar/1.html", Expect::Absent);
    host.forbid("/cellar/1.html");
    host.planter.plan.forbidden.push("//elsewhere.localhost/listed.html".to_string());
    let first = [
        loose(host, "/shelf/one.html", Expect::Kept),
        loose(host, "/shelf/two.html?part=1&of=2", Expect::Kept),
        cellar,
        format!("{ELSEWHERE}/listed.html"),
    ];
    let second = [loose(host, "/shelf/three.html", Expect::Kept), loose(host, "/shelf/four.html", Expect::Kept)];
    let list = [loose(host, "/shelf/five.html", Expect::Kept), "not a web address".to_string()].join("\r\n");
    host.put("/maps/first.xml", Resource::new("application/xml", set(&first).into_bytes()));
    // Packed on its way, as servers do with what they find packed on their disks.
    let packed = Resource { coding: Coding::Gzip, ..Resource::new("application/xml", set(&second).into_bytes()) };
    host.put("/maps/second.xml.gz", packed);
    host.put("/maps/list.txt", Resource::new("text/plain", list.into_bytes()));
    let maps = ["/maps/first.xml", "/maps/second.xml.gz", "/maps/first.xml"]
        .map(|path| format!("<sitemap><loc>{}</loc></sitemap>", url(ARCHIVE, path)));
    let index = format!("<sitemapindex xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">{}</sitemapindex>", maps.concat());
    host.put("/maps/index.xml", Resource::new("text/xml; charset=utf-8", index.into_bytes()));
}

/// The calendar's and the story's pages are made as they are asked for; here are only their pictures and the truth.
fn endless(host: &mut Host) {
    let logo = host.picture();
    let caption = host.caption();
    host.plan("/calendar/2024/01.html", &logo, &caption, Expect::Kept);
    host.planter.plan.endless.push((host.place(CALENDAR), PATIENCE));
    host.planter.plan.logo = (logo, caption);
    host.list("/calendar/2024/01.html");

    let (path, caption) = (host.picture(), host.caption());
    host.plan(STORY, &path, &caption, Expect::Kept);
    host.planter.plan.endless.push((host.place(STORY), PATIENCE));
    host.put(STORY, Resource::html(&story(&path, &caption)));
    host.list(&format!("{STORY}?utm_source=mail&sid=0123456789abcdef0123456789abcdef"));
}
