//! Wikitext to plain text: what a reader sees as running text, and nothing else.
//!
//! Templates, tables, references, comments, files, categories, formulas and galleries go; of links the label stays; headings
//! and list items stay as lines. Nothing is looked up and no template is expanded.
//!
//! The text is read once from left to right. What an opening mark may hide is written out all the same, and cut off again
//! when its closing mark comes: so a mark that is never closed hides nothing, and the time is linear in the length
//! whatever the nesting. The stack is a vector of at most [`MAX_OPEN`] marks, so hostile nesting costs neither memory nor stack.

use crate::namespaces::Namespaces;
use crate::tidy::tidy;
use crate::wikitag::{ClosingTags, Effect, Tag, read_tag};

/// Open marks at once; further ones are dropped. MediaWiki itself stops at 100 nested templates ($wgMaxTemplateDepth).
const MAX_OPEN: usize = 1000;
/// The longest `&name;` that is tried, in bytes: the longest name in HTML has 31 letters.
const MAX_ENTITY: usize = 33;
/// The longest `__SWITCH__` that is tried, in bytes.
const MAX_SWITCH: usize = 40;

/// Brings wikitext into plain text: lines of words separated by one blank, without empty lines.
///
/// At most twice as long as the input. Linear in the input's length, never fails.
pub fn plain_text(wikitext: &str, namespaces: &Namespaces) -> String {
    let mut scanner = Scanner {
        text: wikitext,
        at: 0,
        out: String::with_capacity(wikitext.len()),
        open: Vec::new(),
        templates: 0,
        tables: 0,
        heading_end: usize::MAX,
        closing: ClosingTags::default(),
        namespaces,
    };
    scanner.run();
    tidy(&scanner.out)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// `{{`, with the number of braces that are not yet closed.
    Template(usize),
    /// `{|`
    Table,
    /// `[[`
    Link(Link),
    /// `[http://...`
    Address,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Link {
    /// In the target; false where a leading colon says that the link is to be shown whatever its namespace.
    Target(bool),
    /// In the label of a link that is shown.
    Label,
    /// Behind the target of a file or category.
    Hidden,
}

/// Which of the marks that hide most is the innermost open one: a table's bars are not a template's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Inside {
    Text,
    Template,
    Table,
}

struct Open {
    kind: Kind,
    inside: Inside,
    /// Length of the output before the mark. Starts never fall along the stack, and the output is never cut below the last.
    start: usize,
    /// For tables, length of the output at the start of the cell.
    cell: usize,
}

struct Scanner<'a> {
    text: &'a str,
    /// Position in `text`, in bytes.
    at: usize,
    out: String,
    open: Vec<Open>,
    /// Number of templates in `open`.
    templates: usize,
    /// Number of tables in `open`.
    tables: usize,
    /// Where the closing `=` of the current heading begin.
    heading_end: usize,
    closing: ClosingTags,
    namespaces: &'a Namespaces,
}

/// Bytes at which text is looked at more closely; all ASCII, so cutting there never cuts a character.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let bytes = b"{}[]|!<&'_:\n";
    let mut i = 0;
    while i < bytes.len() {
        special[bytes[i] as usize] = true;
        i += 1;
    }
    special
};

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn follows(&self, mark: &str) -> bool {
        self.text.as_bytes()[self.at..].starts_with(mark.as_bytes())
    }

    /// Number of times that `byte` stands at the current position.
    fn count(&self, byte: u8) -> usize {
        self.text.as_bytes()[self.at..].iter().take_while(|&&other| other == byte).count()
    }

    fn inside(&self) -> Inside {
        self.open.last().map_or(Inside::Text, |open| open.inside)
    }

    fn top(&self) -> Option<Kind> {
        self.open.last().map(|open| open.kind)
    }

    fn run(&mut self) {
        self.line_start();
        while self.at < self.text.len() {
            if self.at == self.heading_end {
                self.at = self.line_end();
                continue;
            }
            let byte = self.text.as_bytes()[self.at];
            match byte {
                b'{' => self.open_braces(),
                b'}' => self.close_braces(),
                b'[' => self.open_bracket(),
                b']' => self.close_bracket(),
                b'|' => self.bar(),
                b'!' if self.follows("!!") && self.inside() == Inside::Table => self.next_cell(2),
                b'<' => self.angle(),
                b'&' => self.entity(),
                b'\'' => self.quotes(),
                b'_' => self.switch(),
                b':' => self.colon(),
                b'\n' => self.newline(),
                _ => self.plain(),
            }
        }
    }

    /// Copies up to the next special byte or the end of the heading.
    fn plain(&mut self) {
        let bytes = self.text.as_bytes();
        let mut end = self.at + 1;
        while end < bytes.len() && end != self.heading_end && !SPECIAL[bytes[end] as usize] {
            end += 1;
        }
        self.out.push_str(&self.text[self.at..end]);
        self.at = end;
    }

    /// Writes the mark at the current position as it is.
    fn literal(&mut self, bytes: usize) {
        self.out.push_str(&self.text[self.at..self.at + bytes]);
        self.at += bytes;
    }

    fn line_end(&self) -> usize {
        self.rest().find('\n').map_or(self.text.len(), |length| self.at + length)
    }

    fn push(&mut self, kind: Kind) {
        if self.open.len() >= MAX_OPEN {
            return;
        }
        let inside = match kind {
            Kind::Template(_) => Inside::Template,
            Kind::Table => Inside::Table,
            Kind::Link(_) | Kind::Address => self.inside(),
        };
        self.templates += usize::from(matches!(kind, Kind::Template(_)));
        self.tables += usize::from(kind == Kind::Table);
        self.open.push(Open { kind, inside, start: self.out.len(), cell: self.out.len() });
    }

    /// Takes the innermost mark off the stack; what was written since stays.
    fn pop(&mut self) -> Option<Open> {
        let open = self.open.pop()?;
        self.templates -= usize::from(matches!(open.kind, Kind::Template(_)));
        self.tables -= usize::from(open.kind == Kind::Table);
        Some(open)
    }

    /// Takes marks off the stack up to the innermost one that `wanted` accepts; there must be one.
    fn pop_to(&mut self, wanted: fn(Kind) -> bool) -> Option<Open> {
        loop {
            let open = self.pop()?;
            if wanted(open.kind) {
                return Some(open);
            }
        }
    }

    fn open_braces(&mut self) {
        let count = self.count(b'{');
        if count == 1 {
            return self.literal(1);
        }
        self.at += count;
        self.push(Kind::Template(count));
    }

    fn close_braces(&mut self) {
        let mut count = self.count(b'}');
        if count == 1 {
            return self.literal(1);
        }
        self.at += count;
        while count >= 2 && self.templates > 0 {
            let Some(mut open) = self.pop_to(|kind| matches!(kind, Kind::Template(_))) else { return };
            self.out.truncate(open.start);
            if let Kind::Template(opened) = open.kind {
                let closed = opened.min(count);
                count -= closed;
                if opened - closed >= 2 {
                    open.kind = Kind::Template(opened - closed);
                    self.templates += 1;
                    self.open.push(open);
                }
            }
        }
    }

    fn open_bracket(&mut self) {
        if self.follows("[[") && address_length(&self.rest()[2..]) == 0 {
            self.at += 2;
            let colon = self.rest().trim_start_matches(' ').starts_with(':');
            if colon {
                self.at += self.rest().find(':').map_or(0, |colon| colon + 1);
            }
            return self.push(Kind::Link(Link::Target(!colon)));
        }
        let address = address_length(&self.rest()[1..]);
        if address > 0 {
            self.at += 1 + address;
            return self.push(Kind::Address);
        }
        // `[[http://...]]` is a common slip for one bracket: leave the second one to the next round.
        if self.follows("[[") { self.at += 1 } else { self.literal(1) }
    }

    fn close_bracket(&mut self) {
        let double = self.follows("]]");
        match self.top() {
            Some(Kind::Link(link)) if double => {
                self.at += 2;
                let Some(open) = self.pop() else { return };
                let hidden = match link {
                    Link::Target(may_hide) => may_hide && self.namespaces.hides(&self.out[open.start..], false),
                    Link::Label => false,
                    Link::Hidden => true,
                };
                if hidden {
                    self.out.truncate(open.start);
                }
            }
            Some(Kind::Address) => {
                self.at += 1;
                self.pop();
                if double && !matches!(self.top(), Some(Kind::Link(_))) {
                    self.at += 1;
                }
            }
            _ if double => self.at += 2,
            _ => self.literal(1),
        }
    }

    fn bar(&mut self) {
        match self.top() {
            Some(Kind::Link(Link::Target(may_hide))) => {
                self.at += 1;
                let Some(open) = self.open.last_mut() else { return };
                if may_hide && self.namespaces.hides(&self.out[open.start..], true) {
                    open.kind = Kind::Link(Link::Hidden);
                    self.out.push(' ');
                } else {
                    open.kind = Kind::Link(Link::Label);
                    self.out.truncate(open.start);
                }
            }
            Some(Kind::Table) if self.follows("||") => self.next_cell(2),
            Some(Kind::Table) => {
                // What stood before a single bar were the cell's attributes.
                self.at += 1;
                if let Some(open) = self.open.last() {
                    self.out.truncate(open.cell);
                }
            }
            _ => {
                self.at += 1;
                self.out.push(' ');
            }
        }
    }

    fn next_cell(&mut self, mark: usize) {
        self.at += mark;
        self.out.push('\n');
        if let Some(open) = self.open.last_mut() {
            open.cell = self.out.len();
        }
    }

    fn angle(&mut self) {
        if self.follows("<!--") {
            // An unclosed comment hides the rest of the page in MediaWiki too.
            self.at = self.rest().find("-->").map_or(self.text.len(), |length| self.at + length + 3);
            return;
        }
        let Some(Tag { name, effect, opens, length }) = read_tag(self.rest()) else { return self.literal(1) };
        self.at += length;
        match effect {
            Effect::Inline => {}
            Effect::Block => self.out.push('\n'),
            Effect::Hidden | Effect::Literal if !opens => {}
            Effect::Hidden | Effect::Literal => {
                let Some(content) = self.closing.content(self.rest(), name) else { return };
                let (inner, after) = (&self.rest()[..content.length], self.at + content.length_with_tag);
                if effect == Effect::Literal {
                    html_escape::decode_html_entities_to_string(inner, &mut self.out);
                }
                self.at = after;
            }
        }
    }

    fn entity(&mut self) {
        let rest = self.rest().as_bytes();
        let name = rest[1..].iter().take(MAX_ENTITY).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'#').count();
        if name == 0 || rest.get(1 + name) != Some(&b';') {
            return self.literal(1);
        }
        html_escape::decode_html_entities_to_string(&self.rest()[..name + 2], &mut self.out);
        self.at += name + 2;
    }

    /// Apostrophes: one is an apostrophe, two to five are italics and bold; four are an apostrophe and bold.
    fn quotes(&mut self) {
        let count = self.count(b'\'');
        if count == 1 || count == 4 {
            self.out.push('\'');
        }
        self.at += count;
    }

    /// `__NOTOC__` and the like.
    fn switch(&mut self) {
        if self.follows("__") {
            let name = self.rest().as_bytes()[2..].iter().take(MAX_SWITCH).take_while(|byte| byte.is_ascii_uppercase()).count();
            if name > 0 && self.rest()[2 + name..].starts_with("__") {
                self.at += name + 4;
                return;
            }
        }
        self.literal(1);
    }

    /// An address that stands in the text without brackets goes.
    fn colon(&mut self) {
        let floor = self.open.last().map_or(0, |open| open.start);
        let scheme =
            ["https", "http", "ftp"].into_iter().find(|scheme| self.out.len() >= floor + scheme.len() && self.out.ends_with(scheme));
        match scheme {
            Some(scheme) if self.follows("://") => {
                self.out.truncate(self.out.len() - scheme.len());
                self.at += 1;
                self.at += address_end(self.rest());
            }
            _ => self.literal(1),
        }
    }

    fn newline(&mut self) {
        self.at += 1;
        let paragraph = self.follows("\n");
        // Addresses and link targets end with the line, labels with the paragraph: an unclosed one must not swallow the page.
        while let Some(Kind::Address | Kind::Link(Link::Target(_))) | Some(Kind::Link(Link::Label)) = self.top() {
            if self.top() == Some(Kind::Link(Link::Label)) && !paragraph {
                break;
            }
            self.pop();
        }
        self.out.push('\n');
        self.line_start();
    }

    /// Marks that count only at the start of a line: tables, headings, lists, rules.
    fn line_start(&mut self) {
        self.heading_end = usize::MAX;
        let indent = |byte: &u8| matches!(byte, b' ' | b'\t' | b'*' | b'#' | b':' | b';');
        self.at += self.rest().bytes().take_while(indent).count();
        if self.follows("{|") {
            self.at = self.line_end();
            self.push(Kind::Table);
        } else if self.tables > 0 && self.follows("|}") && (self.inside() == Inside::Table || !self.follows("|}}")) {
            self.at += 2;
            if let Some(open) = self.pop_to(|kind| kind == Kind::Table) {
                self.out.truncate(open.start);
            }
        } else if self.inside() == Inside::Table && self.follows("|-") {
            self.at = self.line_end();
        } else if self.top() == Some(Kind::Table) && (self.follows("|") || self.follows("!")) {
            self.next_cell(if self.follows("|+") { 2 } else { 1 });
        } else if self.follows("----") {
            self.at += self.count(b'-');
        } else if self.follows("=") {
            self.heading();
        }
    }

    /// `== Heading ==`: the marks go when there are some at both ends.
    fn heading(&mut self) {
        let mut line = self.text[self.at..self.line_end()].trim_end();
        if line.ends_with("-->") {
            line = line.rfind("<!--").map_or(line, |comment| line[..comment].trim_end());
        }
        let opening = self.count(b'=').min(6);
        let title = line.trim_end_matches('=');
        if title.len() < line.len() && title.len() > opening {
            self.heading_end = self.at + title.len();
            self.at += opening;
        }
    }
}

/// Length of the address with which `text` begins, 0 if it does not begin with one.
fn address_length(text: &str) -> usize {
    let schemes = ["http://", "https://", "ftp://", "//", "mailto:", "news:", "irc://"];
    let begins = |scheme: &&str| text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme));
    if schemes.iter().any(begins) { address_end(text) } else { 0 }
}

/// Length of `text` up to what cannot be part of an address.
fn address_end(text: &str) -> usize {
    text.find(|c: char| c.is_whitespace() || matches!(c, '[' | ']' | '<' | '>' | '{' | '}' | '|' | '"')).unwrap_or(text.len())
}

#[cfg(test)]
mod tests;
