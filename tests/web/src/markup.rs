//! Hosts whose pages show what HTML can do: base addresses, sets of sizes, lazy loading, every place of a caption, data in the page.

use crate::host::{Host, img, url};
use crate::page::escape;
use crate::picture::File;
use crate::plan::{Expect, reason};
use crate::plant::Planter;
use crate::resource::Resource;
use image::{Rgb, RgbImage};
use shards::ImageId;

/// One pixel, as pages hold the place of a picture that is loaded later.
const HOLDER: &str = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
/// A host with pictures only.
const CDN: &str = "cdn.localhost";
/// A host that counts visitors.
const STATS: &str = "stats.localhost";

impl Planter {
    /// Plants `photos.localhost`.
    pub fn plant_markup(&mut self) {
        let mut host = Host::open(self, "photos.localhost");
        sizes(&mut host);
        lazy(&mut host);
        addresses(&mut host);
        fields(&mut host);
        in_the_page(&mut host);
        alts(&mut host);
        repeated(&mut host);
        host.close(Some("User-agent: *\nDisallow:\n"));
    }
}

/// A picture on the host of pictures; returns its place and its URL.
fn on_cdn(host: &mut Host, path: &str) -> (String, String) {
    let file = host.file();
    let place = format!("//{CDN}{path}");
    host.planter.resources.insert(place.clone(), Resource::picture(file.suffix, file.bytes));
    (place, url(CDN, path))
}

/// A picture in another size than the one worth fetching: it must not be asked for.
fn unwanted(host: &mut Host) -> String {
    let path = host.picture();
    host.forbid(&path);
    path
}

/// `srcset` and `picture`: the size that fits is the pair's picture.
fn sizes(host: &mut Host) {
    let page = "/sizes.html";
    let mut body = String::new();
    let mut offer = |host: &mut Host, write: &dyn Fn(&[String], &str) -> String| {
        let paths = [unwanted(host), host.picture(), unwanted(host)];
        let caption = host.caption();
        host.plan(page, &paths[1], &caption, Expect::Kept);
        body.push_str(&write(&paths, &caption));
    };
    offer(host, &|p, alt| format!("<img src=\"{}\" srcset=\"{0} 48w, {} 900w, {} 4000w\" alt=\"{alt}\">\n", p[0], p[1], p[2]));
    offer(host, &|p, alt| format!("<img srcset=\"{} 3200w,{} 640w,\n {} 120w\" sizes=\"100vw\" alt=\"{alt}\">\n", p[0], p[1], p[2]));
    offer(host, &|p, alt| format!("<img src=\"{}\" srcset=\"{0}, {} 2x, {} 1.5x\" alt=\"{alt}\">\n", p[0], p[1], p[2]));
    offer(host, &|p, alt| {
        format!(
            "<picture><source type=\"image/avif\" srcset=\"{}\"><source type=\"image/webp\" srcset=\"{} 1x\"><img src=\"{}\" alt=\"{alt}\"></picture>\n",
            p[0], p[1], p[2]
        )
    });
    offer(host, &|p, alt| {
        format!(
            "<picture><source media=\"(min-width: 9px)\" data-srcset=\"{} 60w, {} 800w\"><img src=\"{}\" alt=\"{alt}\"></picture>\n",
            p[0], p[1], p[2]
        )
    });
    host.page(page, &body);
}

/// Pictures that scripts would load when they are scrolled to.
fn lazy(host: &mut Host) {
    let page = "/lazy.html";
    let mut body = String::new();
    for attribute in ["data-src", "data-original", "data-lazy-src", "data-lazy"] {
        let (path, caption) = (host.picture(), host.caption());
        host.plan(page, &path, &caption, Expect::Kept);
        body.push_str(&format!("<img class=lazy src=\"{HOLDER}\" {attribute}=\"{path}\" alt=\"{caption}\">\n"));
    }
    let (path, caption) = (host.picture(), host.caption());
    host.plan(page, &path, &caption, Expect::Kept);
    body.push_str(&format!("<img src=\"{HOLDER}\" data-srcset=\"{path} 700w\" alt=\"{caption}\" loading=lazy>\n"));
    let (path, caption) = (host.picture(), host.caption());
    host.plan(page, &path, &caption, Expect::Kept);
    body.push_str(&format!("<img src=\"{HOLDER}\" alt=\"\"><noscript><img src=\"{path}\" alt=\"{caption}\"></noscript>\n"));
    host.page(page, &body);
}

/// Relative links of all kinds, a base, another host.
fn addresses(host: &mut Host) {
    let page = "/deep/down/addresses.html";
    let mut body = String::new();
    for number in 0..6 {
        let (path, caption) = (host.picture(), host.caption());
        host.plan(page, &path, &caption, Expect::Kept);
        let name = path.trim_start_matches('/');
        let src = match number {
            0 => format!("../../{name}"),
            1 => format!("./.././../{name}"),
            2 => format!("{path}#part"),
            3 => format!(" {path}\n"),
            4 => url("PHOTOS.localhost", &path),
            _ => url("photos.localhost", &path).trim_start_matches("http:").to_string(),
        };
        body.push_str(&img(&src, &caption));
    }
    let (place, address) = on_cdn(host, "/far.jpg");
    let caption = host.caption();
    host.plan_at(page, place, &caption, Expect::Kept);
    body.push_str(&img(&address, &caption));
    host.page(page, &body);

    let page = "/deep/base.html";
    let (place, _) = on_cdn(host, "/shelf/near.jpg");
    let caption = host.caption();
    host.plan_at(page, place, &caption, Expect::Kept);
    let head = format!("<base href=\"{}\">\n<base href=\"/ignored/\">\n", url(CDN, "/shelf/"));
    host.listed_page(page, Resource::html(&crate::host::page(&head, &img("near.jpg", &caption))));
}

/// Captions wherever they may stand, several of one picture, and several pictures under one caption.
fn fields(host: &mut Host) {
    let page = "/fields.html";
    let mut body = String::new();
    let (path, captions) = (host.picture(), [host.caption(), host.caption(), host.caption(), host.caption()]);
    for caption in &captions {
        host.plan(page, &path, caption, Expect::Kept);
    }
    let [alt, title, label, below] = captions;
    body.push_str(&format!(
        "<figure><a href=\"{path}\"><img src=\"{path}\" alt=\"{alt}\" title=\"{title}\" aria-label=\"{label}\"></a><figcaption>{below}</figcaption></figure>\n"
    ));
    for field in ["title", "aria-label"] {
        let (path, caption) = (host.picture(), host.caption());
        host.plan(page, &path, &caption, Expect::Kept);
        body.push_str(&format!("<img src=\"{path}\" alt=\"\" {field}=\"{caption}\">\n"));
    }
    let (path, caption) = (host.picture(), host.caption());
    host.plan(page, &path, &caption, Expect::Kept);
    let (first, rest) = caption.split_once(' ').unwrap_or((&caption, ""));
    body.push_str(&format!("<figure><div><img src=\"{path}\"></div><figcaption><p><i>{first}</i>\n {rest}</p></figcaption></figure>\n"));
    // A caption of two pictures says nothing of either.
    let (one, other, caption) = (unwanted(host), unwanted(host), host.caption());
    body.push_str(&format!("<figure><img src=\"{one}\"><img src=\"{other}\"><figcaption>{caption}</figcaption></figure>\n"));
    let (path, caption) = (host.picture(), host.caption());
    let typed = format!("Tom & Ann’s <{caption}> \u{a0} “fine”");
    host.plan(page, &path, &typed, Expect::Kept);
    body.push_str(&format!("<img src=\"{path}\" alt=\"{}\">\n", escape(&typed).replace('’', "&rsquo;").replace('\u{a0}', "&nbsp;\t")));
    host.page(page, &body);
}

/// Pictures written into the page itself.
fn in_the_page(host: &mut Host) {
    let page = "/data.html";
    let mut body = String::new();
    for number in 0..2 {
        let file = host.file();
        let caption = host.caption();
        host.plan_at(page, format!("data:{}", ImageId::of(&file.bytes)), &caption, Expect::Kept);
        let kind = if file.suffix == "png" { "image/png" } else { "image/jpeg" };
        let src = match number {
            0 => format!("data:{kind};base64,{}", base64(&file.bytes)),
            _ => format!("data:{kind},{}", file.bytes.iter().map(|byte| format!("%{byte:02X}")).collect::<String>()),
        };
        body.push_str(&img(&src, &caption));
    }
    let tiny = File::png(&RgbImage::from_pixel(6, 6, Rgb([9; 3])));
    let caption = host.caption();
    host.plan_at(page, format!("data:{}", ImageId::of(&tiny.bytes)), &caption, Expect::Refused(reason::MIN_SIDE));
    body.push_str(&img(&format!("data:image/png;base64,{}", base64(&tiny.bytes)), &caption));
    host.page(page, &body);
}

/// Alts that are missing, empty or say nothing, and pixels that count visitors: none of them is ever asked for.
fn alts(host: &mut Host) {
    let page = "/alts.html";
    let mut body = String::new();
    for alt in ["", " alt", " alt=\"\"", " alt=\" &nbsp; \"", " alt=\"\" title=\"\" aria-label=\" \""] {
        let path = unwanted(host);
        let place = host.place(&path);
        host.planter.plan.uncaptioned.push(place);
        body.push_str(&format!("<img src=\"{path}\"{alt}>\n"));
    }
    for alt in ["DSC_0417.JPG", "image001.png", "--", "3/17", "untitled-7"] {
        let path = unwanted(host);
        host.plan(page, &path, alt, Expect::Refused(reason::UNMATCHED));
        body.push_str(&img(&path, alt));
    }
    for visit in 0..3 {
        let path = format!("/pixel.gif?visit={visit}&amp;page=alts");
        host.planter.plan.forbidden.push(format!("//{STATS}{}", path.replace("&amp;", "&")));
        body.push_str(&format!("<img src=\"{}\" width=1 height=1 alt=\"\">\n", url(STATS, &path)));
    }
    host.page(page, &body);
}

/// One caption on more pictures than a caption may have, and one on fewer.
fn repeated(host: &mut Host) {
    const MOST: usize = 20;
    host.planter.plan.max_pictures = MOST as u32;
    for (page, caption, count, expect) in [
        ("/boilerplate.html", "teapot barrel", MOST + 4, Expect::Refused(reason::CAPTION_REPEATED)),
        ("/series.html", "pebble walnut", 5, Expect::Kept),
    ] {
        let mut body = String::new();
        for _ in 0..count {
            let path = host.picture();
            host.plan(page, &path, caption, expect);
            body.push_str(&img(&path, caption));
        }
        host.page(page, &body);
    }
}

/// Base64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().chain(&[0, 0]).take(3).fold(0u32, |bits, &byte| bits << 8 | u32::from(byte));
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= three.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_is_the_rfcs() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(super::base64(plain.as_bytes()), coded);
        }
    }
}
