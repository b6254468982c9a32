//! A host whose owner says what may be used, in every place where that can be said.

use crate::host::{Host, page};
use crate::plan::{Expect, reason};
use crate::plant::Planter;
use crate::resource::Resource;
use std::time::Duration;

/// The wait between two requests that its `robots.txt` asks for.
const DELAY: Duration = Duration::from_millis(150);

impl Planter {
    /// Plants `shy.localhost`.
    pub fn plant_consent(&mut self) {
        let mut host = Host::open(self, "shy.localhost");
        headers(&mut host);
        pages(&mut host);
        follows(&mut host);
        closed(&mut host);
        let name = host.place("").trim_start_matches('/').to_string();
        host.planter.plan.delays.push((name, DELAY));
        let robots = "# Come slowly.\nUser-agent: greedybot\nDisallow: /\n\nUser-agent: diptych\nUser-agent: other\nCrawl-delay: 0.15\n\
             Disallow: /closed/\nDisallow: /*.secret.*$\nAllow: /closed/open\n\nUser-agent: *\nDisallow: /\n";
        host.close(Some(robots));
    }
}

/// Pictures whose headers refuse, or refuse somebody else.
fn headers(host: &mut Host) {
    let address = "/headers.html";
    let refused = Expect::Refused(reason::OPT_OUT);
    let mut body = String::new();
    for (number, (name, value, expect)) in [
        ("X-Robots-Tag", "noai", refused),
        ("X-Robots-Tag", "noarchive, NoImageAI", refused),
        ("X-Robots-Tag", "diptych: noindex", refused),
        ("TDM-Reservation", "1", refused),
        ("X-Robots-Tag", "greedybot: noai, noindex", Expect::Kept),
        ("X-Robots-Tag", "max-image-preview: none", Expect::Kept),
    ]
    .into_iter()
    .enumerate()
    {
        let file = host.file();
        let path = format!("/tagged/{number}.{}", file.suffix);
        host.put(&path, Resource::picture(file.suffix, file.bytes).with_header(name, value));
        body.push_str(&host.figure(address, &path, expect));
    }
    host.page(address, &body);
}

/// Pages that refuse the use of what stands on them.
fn pages(host: &mut Host) {
    for (number, (head, header)) in [
        ("<meta name=\"robots\" content=\"noai\">\n", None),
        ("<META NAME=ROBOTS CONTENT='NoIndex, follow'>\n", None),
        ("<meta name=\"Diptych\" content=\"noimageai\">\n", None),
        ("<meta name=\"tdm-reservation\" content=\"1\">\n", None),
        ("", Some("noai")),
    ]
    .into_iter()
    .enumerate()
    {
        let address = format!("/refuses/{number}.html");
        let path = host.picture();
        host.forbid(&path);
        let body = host.figure(&address, &path, Expect::Refused(reason::OPT_OUT));
        let resource = Resource::html(&page(head, &body));
        host.listed_page(&address, header.map_or(resource.clone(), |value| resource.with_header("X-Robots-Tag", value)));
    }
    let address = "/allows.html";
    let path = host.picture();
    let body = host.figure(address, &path, Expect::Kept);
    host.listed_page(address, Resource::html(&page("<meta name=\"greedybot\" content=\"noai\">\n", &body)));
}

/// Links that are not to be followed, to pages that nothing else links to.
fn follows(host: &mut Host) {
    host.listed_page(
        "/nofollow.html",
        Resource::html(&page("<meta name=\"robots\" content=\"nofollow\">\n", "<a href=\"/unlinked/1.html\">do not</a>\n")),
    );
    host.page("/links.html", "<a rel=\"ugc nofollow\" href=\"/unlinked/2.html\">nor here</a>\n");
    for number in 1..3 {
        hidden(host, &format!("/unlinked/{number}.html"));
    }
}

/// What `robots.txt` forbids, with an exception.
fn closed(host: &mut Host) {
    hidden(host, "/closed/diary.html");
    host.list("/closed/diary.html");
    hidden(host, "/letters.secret.html");
    host.list("/letters.secret.html");
    let address = "/closed/open.html";
    let path = host.picture();
    let body = host.figure(address, &path, Expect::Kept);
    host.page(address, &body);
    let address = "/shown.html";
    let file = host.file();
    let path = format!("/closed/hidden.{}", file.suffix);
    host.put(&path, Resource::picture(file.suffix, file.bytes));
    host.forbid(&path);
    let body = host.figure(address, &path, Expect::Refused(reason::ROBOTS));
    host.page(address, &body);
}

/// A page that must never be read, with a pair that is never seen.
fn hidden(host: &mut Host, address: &str) {
    let path = host.picture();
    let body = host.figure(address, &path, Expect::Absent);
    host.put(address, Resource::html(&page("", &body)));
    host.forbid(address);
    host.forbid(&path);
}
