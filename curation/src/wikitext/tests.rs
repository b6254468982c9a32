//! What a reader sees, mark by mark; then that nothing hostile makes it panic, grow or take long.

use super::*;
use proptest::prelude::*;

fn plain(text: &str) -> String {
    plain_text(text, &Namespaces::default()).trim_end().replace('\n', "|")
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (wikitext, expected) in cases {
        assert_eq!(plain(wikitext), *expected, "{wikitext:?}");
    }
}

#[test]
fn templates_go_however_nested() {
    check(&[
        ("a {{b|c={{d|e}} f}} g", "a g"),
        ("{{{1|x}}}a{{{{{t}}}|y}}b", "ab"),
        ("{{a\n| b = [[c]]\n| d\n}}\ntext", "text"),
        ("a {{b|[[c}} d", "a d"),
        ("a { b } c", "a { b } c"),
        ("a }} b", "a b"),
        ("{{Infobox\n|}}x", "x"),
    ]);
}

#[test]
fn tables_go_with_their_templates() {
    check(&[
        ("before\n{| class=\"x\"\n! head\n|-\n| a || {{b|c}}\n|}\nafter", "before|after"),
        ("{|\n|\n{|\n| inner\n|}\n|}\nx", "x"),
        (":{|\n|a\n|}x", "x"),
        ("{|\n| {{open\n|}\nx", "x"),
    ]);
}

#[test]
fn links_show_their_labels() {
    check(&[
        ("a [[cat]]s and [[dog|big dogs]]", "a cats and big dogs"),
        ("[[File:a.jpg|thumb|A [[cat]] by {{x}} and [http://b c]]]rest", "rest"),
        ("[[Category:Cats| ]]x[[:Category:Dogs]]", "xCategory:Dogs"),
        ("[[de:Katze]]x [[wikt:cat|cat]]", "x cat"),
        ("[[Fichier:Chat.jpg|vignette|un chat]]x", "x"),
        ("[http://a.b/c?d=e label here], [https://x.y] [//z w]", "label here, w"),
        ("[[http://a.b label]] z", "label z"),
        ("see http://a.b/c_d, ok", "see ok"),
        ("array[3] [sic]", "array[3] [sic]"),
        ("[[a\nb]] c", "a|b c"),
        ("[http://a unclosed\nnext]", "unclosed|next]"),
    ]);
}

#[test]
fn tags_comments_and_references() {
    check(&[
        ("a<ref>b {{c}}</ref> d<ref name=x /> e<ref\nname=\"y\">f</REF >", "a d e"),
        ("a<!-- b ]] {{ --> c", "a c"),
        ("a <!-- b", "a"),
        ("H<sub>2</sub>O<br/>x<br>y", "H2O|x|y"),
        ("<nowiki>[[a]] &amp; ''b''</nowiki> <math>\\frac{{a}}{b}</math>c", "[[a]] & ''b'' c"),
        ("<gallery>\nFile:a.jpg|b\n</gallery>c", "c"),
        ("a <ref>b", "a b"),
        ("1 < 2 > 0 <foo> <5", "1 < 2 > 0 <foo> <5"),
    ]);
}

#[test]
fn headings_lists_and_quotes() {
    check(&[
        ("== Life ==\ntext\n=== A = b ===", "Life|text|A = b"),
        ("== Life == <!-- note -->\nx", "Life|x"),
        ("a == b\n= c", "a == b|= c"),
        ("* one\n## two\n; term: def\n----\nx", "one|two|term: def|x"),
        ("'''''bold''' it'' dog's ''''x'''", "bold it dog's 'x"),
        ("__NOTOC__a __b__ c_d", "a __b__ c_d"),
        ("&nbsp;a&ndash;b &amp;lt; &bogus; &#67;at AT&T &", "a–b &lt; &bogus; Cat AT&T &"),
        ("Lincoln ({{IPA|x}}; {{b}}, 1809)", "Lincoln (1809)"),
        ("so\u{AD}ft ({{IPA|x}}) a ( {{b}} ) (c)", "soft a (c)"),
    ]);
}

#[test]
fn unclosed_marks_hide_nothing() {
    check(&[
        ("{{a b\nc", "a b|c"),
        ("[[File:a.jpg|b", "File:a.jpg b"),
        ("[[a|b\n\nc", "b|c"),
        ("{|\n| style=\"x\" | cell || two\n|-\n! last", "cell|two|last"),
    ]);
}

/// A page made only of opening marks, or of marks that each look far ahead, must not take quadratic time: these are
/// 2 MB each, where a quadratic scan would need hours.
#[test]
fn hostile_nesting_is_linear() {
    let closed = |open: &str, close: &str| open.repeat(200_000) + "x" + &close.repeat(200_000);
    let mut texts: Vec<String> = [
        "{{", "[[", "{{a|[[b|", "\n{|", "<ref>", "<ref ", "<!-", "'", "[http:", "&amp", "__A", "\n=", "[[:", "</", "{{x}}]]", "|}",
        "<math>[[",
    ]
    .iter()
    .map(|mark| mark.repeat(2_000_000 / mark.len()))
    .collect();
    texts.extend([closed("{{", "}}"), closed("[[:", "]]"), closed("[[a|", "]]"), closed("\n{|", "\n|}"), closed("[http://a ", "]")]);
    for text in texts {
        let began = std::time::Instant::now();
        let out = plain_text(&text, &Namespaces::default());
        assert!(out.len() <= 2 * text.len());
        assert!(began.elapsed().as_secs() < 20, "{:?}... took {:?}", &text[..10], began.elapsed());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn never_panics_and_stays_bounded(
        parts in proptest::collection::vec(
            "\\{\\{|\\}\\}|\\{\\||\\|\\}|\\[\\[|\\]\\]|\\[http://a |\\]|\\||\\|-|!!|\n|=|==|'''|<ref>|</ref>|<nowiki>|</nowiki>|<!--|-->|<br/>|&nGt;|&#x41;|File:|:|é|猫|[a-z ]{1,4}|\\PC{0,3}",
            0..60,
        ),
    ) {
        let text = parts.concat();
        let out = plain_text(&text, &Namespaces::default());
        prop_assert!(out.len() <= 2 * text.len() + 1, "{} of {}", out.len(), text.len());
        prop_assert!(!out.contains("  ") && !out.contains("\n\n"));
    }

    #[test]
    fn balanced_templates_leave_what_is_around_them(inner in "[a-z|= \n]{0,20}", depth in 1usize..50) {
        let text = format!("before {}{inner}{} after", "{{ a ".repeat(depth), " }}".repeat(depth));
        prop_assert_eq!(plain(&text), "before after");
    }
}
