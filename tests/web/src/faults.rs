//! A host that fails in every way that HTTP knows, and some that it does not.

use crate::host::{Host, img, page, url};
use crate::picture::File;
use crate::plan::{Expect, reason};
use crate::plant::Planter;
use crate::resource::{Behaviour, Coding, ELSEWHERE, Resource};
use std::time::Duration;

/// Longer than any crawl of the small web waits.
const STALL: Duration = Duration::from_secs(30);
/// A host whose `robots.txt` cannot be had.
const DARK: &str = "dark.localhost";

impl Planter {
    /// Plants `flaky.localhost`.
    pub fn plant_faults(&mut self) {
        let mut host = Host::open(self, "flaky.localhost");
        statuses(&mut host);
        redirects(&mut host);
        bodies(&mut host);
        labels(&mut host);
        pages(&mut host);
        dark(&mut host);
        host.close(Some("User-agent: *\nDisallow: /closed/\n"));
    }
}

/// A JPEG in a resource.
fn jpeg(host: &mut Host) -> Resource {
    Resource::picture("jpg", File::jpeg(&host.file().pixels(), 90).bytes)
}

/// Puts each resource under a path of its own and all of them on one page.
fn show(host: &mut Host, address: &str, offers: Vec<(&str, Resource, Expect)>) {
    let mut body = String::new();
    for (path, resource, expect) in offers {
        host.put(path, resource);
        body.push_str(&host.figure(address, path, expect));
    }
    host.page(address, &body);
}

fn statuses(host: &mut Host) {
    let http = Expect::Refused(reason::HTTP_4XX);
    let behaving = |host: &mut Host, behaviour| jpeg(host).behaving(behaviour);
    let offers = vec![
        ("/gone/404.jpg", Resource::error(404), http),
        ("/gone/410.jpg", Resource::error(410), http),
        ("/gone/403.jpg", Resource::error(403), http),
        ("/down/503.jpg", Resource::error(503), Expect::Refused(reason::HTTP_5XX)),
        ("/heals/500.jpg", behaving(host, Behaviour::Heals { failures: 1, status: 500 }), Expect::Kept),
        ("/heals/502.jpg", behaving(host, Behaviour::Heals { failures: 1, status: 502 }), Expect::Kept),
        ("/busy/seconds.jpg", behaving(host, Behaviour::Busy { seconds: 1, as_date: false }), Expect::Kept),
        ("/busy/date.jpg", behaving(host, Behaviour::Busy { seconds: 2, as_date: true }), Expect::Kept),
    ];
    show(host, "/statuses.html", offers);
}

fn redirects(host: &mut Host) {
    let http = Expect::Refused(reason::HTTP_4XX);
    let target = jpeg(host);
    host.put("/moved/here.jpg", target);
    for (path, status, to) in
        [("/moved/2", 302, "3"), ("/moved/3", 307, "/moved/4"), ("/moved/4", 308, "//flaky.localhost:1/moved/here.jpg")]
    {
        host.put(path, Resource::redirect(status, to));
    }
    host.put("/loop/b.jpg", Resource::redirect(302, "a.jpg"));
    let far = jpeg(host);
    host.planter.resources.insert("//cdn.localhost/moved.jpg".to_string(), far);
    let closed = jpeg(host);
    host.put("/closed/secret.jpg", closed);
    host.forbid("/closed/secret.jpg");
    let offers = vec![
        ("/moved/1.jpg", Resource::redirect(301, "2"), Expect::Kept),
        ("/moved/far.jpg", Resource::redirect(303, &url("cdn.localhost", "/moved.jpg")), Expect::Kept),
        ("/loop/a.jpg", Resource::redirect(302, "b.jpg"), http),
        ("/loop/self.jpg", Resource::redirect(301, "self.jpg"), http),
        ("/moved/nowhere.jpg", Resource::redirect(302, "javascript:alert(1)"), http),
        ("/moved/silent.jpg", Resource { headers: Vec::new(), ..Resource::redirect(302, "") }, http),
        ("/moved/closed.jpg", Resource::redirect(302, "/closed/secret.jpg"), Expect::Refused(reason::ROBOTS)),
        ("/moved/clouds.jpg", Resource::redirect(302, "http://169.254.169.254/latest/meta-data/"), Expect::Refused(reason::ADDRESS)),
    ];
    show(host, "/redirects.html", offers);
}

/// Bodies that are slow, cut, of another length than said, or compressed.
fn bodies(host: &mut Host) {
    let cut = Expect::Refused(reason::CONNECT);
    let whole = jpeg(host);
    let length = whole.body.len();
    let behaving = |host: &mut Host, behaviour| jpeg(host).behaving(behaviour);
    let coded = |host: &mut Host, coding| Resource { coding, ..jpeg(host) };
    let offers = vec![
        ("/slow/drops.jpg", behaving(host, Behaviour::Trickle { pause: Duration::from_millis(30) }), Expect::Kept),
        ("/slow/never.jpg", behaving(host, Behaviour::Stall { pause: STALL }), Expect::Refused(reason::TIMEOUT)),
        ("/short/cut.jpg", behaving(host, Behaviour::Cut { after: 700 }), cut),
        ("/short/said-more.jpg", behaving(host, Behaviour::Length { said: 9_000_000 }), cut),
        ("/short/said-less.jpg", whole.behaving(Behaviour::Length { said: length / 2 }), Expect::Refused(reason::DECODE)),
        ("/short/said-huge.jpg", behaving(host, Behaviour::Length { said: 900_000_000 }), Expect::Refused(reason::TOO_BIG)),
        ("/short/chunks.jpg", behaving(host, Behaviour::Chunked), Expect::Kept),
        ("/packed/gzip.jpg", coded(host, Coding::Gzip), Expect::Kept),
        ("/packed/brotli.jpg", coded(host, Coding::Brotli), Expect::Kept),
    ];
    show(host, "/bodies.html", offers);
}

/// Pictures under wrong names and types, and things that are no pictures under names of pictures.
fn labels(host: &mut Host) {
    let (other, damaged) = (Expect::Refused(reason::NOT_IMAGE), Expect::Refused(reason::DECODE));
    let typed = |host: &mut Host, kind| Resource { content_type: kind, ..jpeg(host) };
    let png = File::png(&host.file().pixels()).bytes;
    let cut_png = png[..png.len() / 2].to_vec();
    let cut_jpeg = jpeg(host).body[..150].to_vec();
    let mut huge = png.clone();
    // Width and height of the header; its check sum is then wrong too, as it may be in a hostile file.
    huge[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='90' height='90'><circle r='40'/></svg>".to_vec();
    let offers = vec![
        ("/label/png-as-jpeg.jpg", Resource::picture("jpg", png), Expect::Kept),
        ("/label/text.jpg", typed(host, "text/plain"), Expect::Kept),
        ("/label/bytes", typed(host, "application/octet-stream"), Expect::Kept),
        ("/label/page.jpg", Resource::html("<!DOCTYPE html><title>Log in</title><p>Log in to see this picture."), other),
        ("/label/page-as-jpeg.jpg", Resource::picture("jpg", b"<html>no hot links</html>".to_vec()), other),
        ("/label/drawing.svg", Resource::new("image/svg+xml", svg), other),
        ("/label/empty.jpg", Resource::picture("jpg", Vec::new()), other),
        ("/label/cut.png", Resource::picture("png", cut_png), damaged),
        ("/label/cut.jpg", Resource::picture("jpg", cut_jpeg), damaged),
        ("/label/huge.png", Resource::picture("png", huge), damaged),
    ];
    show(host, "/labels.html", offers);
}

/// Pages that fail, heal, move and come compressed.
fn pages(host: &mut Host) {
    let figure = |host: &mut Host, address: &str| {
        let path = host.picture();
        page("", &host.figure(address, &path, Expect::Kept))
    };
    let text = figure(host, "/page/heals.html");
    host.listed_page("/page/heals.html", Resource::html(&text).behaving(Behaviour::Heals { failures: 1, status: 503 }));
    let text = figure(host, "/page/busy.html");
    host.listed_page("/page/busy.html", Resource::html(&text).behaving(Behaviour::Busy { seconds: 1, as_date: false }));
    let text = figure(host, "/page/gzip.html");
    host.listed_page("/page/gzip.html", Resource { coding: Coding::Gzip, ..Resource::html(&text) });
    let text = figure(host, "/page/brotli.html");
    host.listed_page("/page/brotli.html", Resource { coding: Coding::Brotli, ..Resource::html(&text) });
    let text = figure(host, "/page/chunks.html");
    host.listed_page("/page/chunks.html", Resource::html(&text).behaving(Behaviour::Chunked));
    let text = figure(host, "/page/new-home.html");
    host.put("/page/new-home.html", Resource::html(&text));
    host.listed_page("/page/old-home.html", Resource::redirect(301, "new-home.html"));
    host.listed_page("/page/loop.html", Resource::redirect(302, "loop.html"));
    host.listed_page("/page/gone.html", Resource::error(410));
    host.listed_page("/page/away.html", Resource::redirect(302, &format!("{ELSEWHERE}/away.html")));
    host.planter.plan.forbidden.push("//elsewhere.localhost/picture.jpg".to_string());
    let away = page("", &img("/picture.jpg", "lantern with kettle 4999"));
    host.planter.resources.insert("//elsewhere.localhost/away.html".to_string(), Resource::html(&away));
    host.listed_page(
        "/page/slow.html",
        Resource::html("<p>drop by drop").behaving(Behaviour::Trickle { pause: Duration::from_millis(20) }),
    );
    host.listed_page("/page/paper.pdf", Resource::new("application/pdf", b"%PDF-1.7".to_vec()));
}

/// Pictures on a host whose rules nobody can read: left alone (RFC 9309, 2.3.1.4).
fn dark(host: &mut Host) {
    host.planter.resources.insert(format!("//{DARK}/robots.txt"), Resource::error(500));
    let picture = jpeg(host);
    let place = format!("//{DARK}/lamp.jpg");
    host.planter.resources.insert(place.clone(), picture);
    host.planter.plan.forbidden.push(place.clone());
    let caption = host.caption();
    host.plan_at("/dark.html", place, &caption, Expect::Refused(reason::ROBOTS));
    host.page("/dark.html", &img(&url(DARK, "/lamp.jpg"), &caption));
}
