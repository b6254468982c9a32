//! The small things every section needs: escaping, numbers as people read them, pictures inside the page.

/// Escapes text for elements and double-quoted attributes; characters that XML forbids become blanks.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A count with a thin blank every three digits.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A value on an axis or in a table: about three digits.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        0.0 => return "0".to_string(),
        _ if !(1e-3..1e5).contains(&size) => return format!("{value:.1e}").replace(".0e", "e"),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

/// A value on an axis: thousands and millions by letter.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    for (unit, letter) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if size >= unit && size < unit * 1e6 {
            return number(value / unit) + letter;
        }
    }
    number(value)
}

/// Seconds as people say them.
pub(super) fn seconds(value: f64) -> String {
    match value {
        _ if value < 10.0 => format!("{value:.1} s"),
        _ if value < 100.0 => format!("{value:.0} s"),
        _ => format!("{} min {:02} s", value.round() as u64 / 60, value.round() as u64 % 60),
    }
}

/// A share of 1 in per cent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// An `img` element with the file inside, or a note when the bytes are neither JPEG nor PNG.
pub(super) fn image(bytes: &[u8], alt: &str) -> String {
    let kind = match bytes {
        [0xff, 0xd8, ..] => "jpeg",
        [0x89, b'P', b'N', b'G', ..] => "png",
        _ => return "<p class=\"note\">no picture</p>".to_string(),
    };
    format!("<img alt=\"{}\" src=\"data:image/{kind};base64,{}\">", escape(alt), base64(bytes))
}

/// Base64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().enumerate().fold(0u32, |bits, (at, &byte)| bits | u32::from(byte) << (16 - 8 * at));
        for digit in 0..4 {
            let known = digit <= three.len();
            out.push(if known { char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_the_rfc() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }

    #[test]
    fn nothing_escapes_the_escape() {
        assert_eq!(escape("<a b=\"c\" d='e'>&\u{0}"), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp; ");
    }

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(12), "12");
        let shown = [0.0, 1.5, 100.0, 0.07, 12.0, 1e-4, 3e6].map(number);
        assert_eq!(shown, ["0", "1.5", "100", "0.07", "12", "1e-4", "3e6"]);
        assert_eq!((seconds(1.25), seconds(62.0), seconds(187.4)), ("1.2 s".into(), "62 s".into(), "3 min 07 s".into()));
    }

    #[test]
    fn axes_speak_in_thousands() {
        assert_eq!([0.0, 999.0, 1000.0, 2500.0, 1e5, 2e6, 0.003].map(short), ["0", "999", "1k", "2.5k", "100k", "2M", "0.003"]);
    }

    #[test]
    fn only_pictures_become_pictures() {
        assert!(image(b"\xff\xd8abc", "a \"b\"").contains("alt=\"a &quot;b&quot;\""));
        assert!(!image(b"<script>", "x").contains("<img"));
    }
}
