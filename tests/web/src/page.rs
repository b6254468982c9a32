//! Writes the HTML of one page in one of several habits. Knows nothing of why a picture is on it.

use crate::rng::Rng;

/// Where a caption stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Alt,
    Title,
    Figcaption,
    /// No caption: the attribute is missing, or empty.
    None,
}

/// A picture on a page.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Root-relative path with query.
    pub path: String,
    /// The caption as an author would type it, before escaping.
    pub caption: String,
    pub field: Field,
}

/// A page to be written.
pub(crate) struct Page {
    pub title: String,
    /// Root-relative path.
    pub path: String,
    pub figures: Vec<Figure>,
    /// Targets, root-relative or absolute, with their texts.
    pub links: Vec<(String, String)>,
    /// A sentence with letters outside ASCII, if the page is in Latin-1.
    pub latin: bool,
    /// Whether `<base>` changes what relative links mean.
    pub base: bool,
    /// The counting pixel's path.
    pub pixel: Option<&'static str>,
}

/// Escapes text for an element or a double-quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Page {
    /// The page's bytes and content type.
    pub fn write(&self, rng: &mut Rng) -> (&'static str, Vec<u8>) {
        let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n");
        // Half of the Latin-1 pages say so in the header only, the other half in the page only.
        let in_header = self.latin && rng.chance(0.5);
        match self.latin {
            true if in_header => {}
            true => out.push_str("<meta charset=\"iso-8859-1\">\n"),
            false => out.push_str("<meta charset=\"utf-8\">\n"),
        }
        out.push_str(&format!("<title>{}</title>\n", escape(&self.title)));
        if self.base {
            out.push_str("<base href=\"/\">\n");
        }
        out.push_str(&format!("</head>\n<body>\n<h1>{}</h1>\n", escape(&self.title)));
        for figure in &self.figures {
            out.push_str(&self.figure(figure, rng));
        }
        out.push_str("<ul>\n");
        for (target, text) in &self.links {
            let href = escape(&self.relative(target, rng));
            out.push_str(&format!("<li><a href=\"{href}\">{}</a></li>\n", escape(text)));
        }
        out.push_str("</ul>\n");
        if let Some(pixel) = self.pixel {
            out.push_str(&format!("<img src=\"{pixel}\" width=1 height=1 alt=\"\">\n"));
        }
        out.push_str("</body>\n</html>\n");
        match self.latin {
            false => ("text/html; charset=utf-8", out.into_bytes()),
            true => (if in_header { "text/html; charset=iso-8859-1" } else { "text/html" }, latin1(&out)),
        }
    }

    fn figure(&self, figure: &Figure, rng: &mut Rng) -> String {
        let src = escape(&self.relative(&figure.path, rng));
        let caption = escape(&figure.caption);
        match figure.field {
            // Attribute order, quotes and blanks vary, as authors' habits do.
            Field::Alt => match rng.below(20) {
                0..6 => format!("<p><img alt=\"{caption}\" src=\"{src}\"></p>\n"),
                6 => format!("<a href=\"{src}\"><IMG SRC=\"{src}\" ALT=\"{caption}\" width=\"120\"></a>\n"),
                7..13 => format!("<p><img src=\"{src}\"\n     alt=\"  {} \"/></p>\n", caption.replacen(' ', "\n  ", 1)),
                _ => format!("<p><img src={src} alt=\"{caption}\"></p>\n"),
            },
            Field::Title if rng.chance(0.5) => format!("<p><img src=\"{src}\" title=\"{caption}\"></p>\n"),
            Field::Title => format!("<p><img src=\"{src}\" alt=\"\" title=\"{caption}\"></p>\n"),
            Field::Figcaption => format!("<figure><img src=\"{src}\"><figcaption>{}</figcaption></figure>\n", emphasised(&caption, rng)),
            Field::None if rng.chance(0.5) => format!("<p><img src=\"{src}\"></p>\n"),
            Field::None => format!("<p><img src=\"{src}\" alt=\" \"></p>\n"),
        }
    }

    /// Spells a root-relative path as this page may: relative to its folder or to its base, or from the root.
    fn relative(&self, target: &str, rng: &mut Rng) -> String {
        let Some(from_root) = target.strip_prefix('/') else { return target.to_string() };
        if self.base {
            return if rng.chance(0.8) { from_root.to_string() } else { target.to_string() };
        }
        match rng.below(3) {
            0 => target.to_string(),
            _ => format!("{}{from_root}", "../".repeat(self.path.matches('/').count() - 1)),
        }
    }
}

/// Puts one word of an escaped caption in bold sometimes: the text stays the same.
fn emphasised(caption: &str, rng: &mut Rng) -> String {
    match caption.split_once(' ') {
        Some((first, rest)) if rng.chance(0.3) => format!("<b>{first}</b> {rest}"),
        _ => caption.to_string(),
    }
}

/// Encodes text whose letters are all in Latin-1.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(base: bool, latin: bool) -> Page {
        let figure = |field| Figure { path: "/img/a%20b.jpg?x=1&y=2".to_string(), caption: "Tom & Ann's \"café\"".to_string(), field };
        Page {
            title: "T".to_string(),
            path: "/albums/a/1.html".to_string(),
            figures: [Field::Alt, Field::Title, Field::Figcaption, Field::None].map(figure).to_vec(),
            links: vec![("/albums/b.html".to_string(), "next".to_string())],
            latin,
            base,
            pixel: Some("/pixel.gif"),
        }
    }

    #[test]
    fn captions_and_paths_are_escaped() {
        let (_, bytes) = page(false, false).write(&mut Rng::new(1, "page"));
        let text = String::from_utf8(bytes).expect("UTF-8");
        assert!(text.contains("&quot;café&quot;") && text.contains("?x=1&amp;y=2"));
        assert!(!text.contains("\"café\""));
        assert!(text.matches("albums/b.html").count() == 1);
    }

    #[test]
    fn latin_pages_are_not_utf8() {
        for seed in 0..8 {
            let (kind, bytes) = page(true, true).write(&mut Rng::new(seed, "page"));
            assert!(String::from_utf8(bytes.clone()).is_err());
            let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
            assert!(text.contains("café") && (kind.contains("iso-8859-1") || text.contains("iso-8859-1")));
        }
    }

    #[test]
    fn relative_paths_lead_where_they_should() {
        let mut rng = Rng::new(1, "links");
        let plain = page(false, false);
        for _ in 0..20 {
            assert!(["/img/x.jpg", "../../img/x.jpg"].contains(&plain.relative("/img/x.jpg", &mut rng).as_str()));
        }
        assert_eq!(plain.relative("http://elsewhere.test/", &mut rng), "http://elsewhere.test/");
    }
}
