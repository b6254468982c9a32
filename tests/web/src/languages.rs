//! A host with captions in many languages, on pages in many encodings, some of them broken.

use crate::host::{Host, img, page};
use crate::plan::{Expect, reason};
use crate::plant::Planter;
use crate::resource::Resource;
use crate::words::FOREIGN;
use encoding_rs::{Encoding, ISO_8859_7, SHIFT_JIS, WINDOWS_1251, WINDOWS_1252};

impl Planter {
    /// Plants `words.localhost`.
    pub fn plant_languages(&mut self) {
        let mut host = Host::open(self, "words.localhost");
        let address = "/languages.html";
        let mut body = String::new();
        for (caption, _) in FOREIGN {
            body.push_str(&pair(&mut host, address, caption));
        }
        let path = host.picture();
        host.forbid(&path);
        host.plan(address, &path, "слово без смысла", Expect::Refused(reason::UNMATCHED));
        body.push_str(&img(&path, "слово без смысла"));
        host.page(address, &body);
        encodings(&mut host);
        broken(&mut host);
        host.close(None);
    }
}

/// A picture with the caption, which a number makes its own.
fn pair(host: &mut Host, address: &str, caption: &str) -> String {
    let path = host.picture();
    host.planter.numbered += 1;
    let caption = format!("{caption} {}", 5000 + host.planter.numbered);
    host.plan(address, &path, &caption, Expect::Kept);
    img(&path, &caption)
}

/// Pages in old encodings, said in the header, in the page, in both where the header counts, or by a mark.
fn encodings(host: &mut Host) {
    let table: [(&str, &'static str, &str, &'static Encoding, &str); 7] = [
        ("/latin/header.html", "text/html; charset=ISO-8859-1", "", WINDOWS_1252, "une forêt d’été"),
        ("/latin/page.html", "text/html", "<meta charset=\"iso-8859-1\">", WINDOWS_1252, "la montaña azul"),
        ("/latin/silent.html", "text/html", "", WINDOWS_1252, "forêt brûlée"),
        ("/japanese/header.html", "text/html; charset=Shift_JIS", "", SHIFT_JIS, "夜の灯台"),
        (
            "/japanese/page.html",
            "text/html",
            "<meta http-equiv=\"Content-Type\" content=\"text/html; charset=x-sjis\">",
            SHIFT_JIS,
            "白い猫とソファ",
        ),
        ("/russian/both.html", "text/html; charset=windows-1251", "<meta charset=\"koi8-r\">", WINDOWS_1251, "фонарь зимой"),
        ("/greek/page.html", "text/html", "<meta charset='greek'>", ISO_8859_7, "φανάρι στο λιμάνι"),
    ];
    for (address, kind, head, encoding, caption) in table {
        let body = pair(host, address, caption);
        let text = format!("<!DOCTYPE html>\n<html>\n<head>\n{head}\n</head>\n<body>\n{body}</body>\n</html>\n");
        let (bytes, _, lost) = encoding.encode(&text);
        debug_assert!(!lost, "{caption} has letters outside the encoding");
        host.listed_page(address, Resource::new(kind, bytes.into_owned()));
    }
    let address = "/mark.html";
    let text = format!("\u{feff}{}", page("", &pair(host, address, "une forêt")).replace("<meta charset=\"utf-8\">\n", ""));
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    host.listed_page(address, Resource::new("text/html", bytes));
}

/// UTF-8 with bytes that are none: what is left is read.
fn broken(host: &mut Host) {
    for (address, kind) in [("/broken/said.html", "text/html; charset=utf-8"), ("/broken/silent.html", "text/html")] {
        let body = pair(host, address, "forêt \u{fffd} łódka, montaña");
        let text = format!("<!DOCTYPE html>\n<title>déjà vu, naïve, façade, über, señor</title>\n{body}");
        // In the plan stands the sign for a letter that could not be read, on the wire a byte that UTF-8 has nowhere.
        let bytes = text.split('\u{fffd}').map(str::as_bytes).collect::<Vec<_>>().join(&0xff);
        host.listed_page(address, Resource::new(kind, bytes));
    }
}
