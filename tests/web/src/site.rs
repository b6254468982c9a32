//! Lays the figures out on pages and links the pages: a front page, album lists, albums, and what must not be followed.

use crate::dirt::{HIDDEN, PIXEL};
use crate::page::Page;
use crate::plant::{Planter, Waiting};
use crate::resource::{ELSEWHERE, Resource};
use crate::rng::Rng;

/// Figures of an album page.
const FIGURES_PER_PAGE: usize = 12;
/// Albums of a list.
const ALBUMS_PER_LIST: usize = 40;
/// The folder of pages that `robots.txt` forbids.
const PRIVATE: &str = "/private/";
/// Names of albums, by their place.
const NAMES: [&str; 6] = ["Harbour", "Orchard", "Tower", "Meadow", "Café", "Station"];

/// Puts every waiting figure on a page and every page under its path; tells the plan where each pair stands.
pub(crate) fn build(planter: &mut Planter, seed: u64) {
    let mut rng = Rng::new(seed, "site");
    let mut figures = std::mem::take(&mut planter.figures);
    rng.shuffle(&mut figures);
    let mut albums = Vec::new();
    while !figures.is_empty() {
        let rest = figures.split_off(figures.len().min(FIGURES_PER_PAGE));
        albums.push(std::mem::replace(&mut figures, rest));
    }
    let paths: Vec<String> = (0..albums.len()).map(album_path).collect();
    let lists: Vec<String> = (0..albums.len().div_ceil(ALBUMS_PER_LIST)).map(|list| format!("/albums/list-{list}.html")).collect();
    let secret: Vec<String> = (0..3).map(|page| format!("{PRIVATE}diary-{page}.html")).collect();

    let home = Page {
        links: lists.iter().take(1).chain(&secret).map(|path| (path.clone(), path.clone())).collect(),
        ..plain_page("Pictures of all kinds", "/")
    };
    put(planter, home, &mut rng);
    for (number, path) in lists.iter().enumerate() {
        let albums = paths.iter().skip(number * ALBUMS_PER_LIST).take(ALBUMS_PER_LIST);
        let mut links: Vec<_> = albums.map(|path| (path.clone(), path.clone())).collect();
        links.extend(lists.get(number + 1).map(|path| (path.clone(), "more".to_string())));
        links.push((format!("{path}#top"), "top".to_string()));
        put(planter, Page { links, ..plain_page(&format!("Albums, part {}", number + 1), path) }, &mut rng);
    }
    for (number, waiting) in albums.into_iter().enumerate() {
        let album = album(number, &paths, waiting, planter);
        put(planter, album, &mut rng);
    }
    let mut waiting = std::mem::take(&mut planter.secret);
    for (number, path) in secret.iter().enumerate() {
        let rest = waiting.split_off(waiting.len() / (secret.len() - number));
        let figures = settle(std::mem::replace(&mut waiting, rest), path, planter);
        planter.plan.forbidden.push(path.clone());
        put(planter, Page { figures, ..plain_page("Diary", path) }, &mut rng);
    }
    planter.resources.insert("/robots.txt".to_string(), Resource::new("text/plain", robots().into_bytes()));
}

fn album_path(number: usize) -> String {
    format!("/albums/{}/{number:04}.html", NAMES[number % NAMES.len()].to_lowercase().replace('é', "%C3%A9"))
}

fn plain_page(title: &str, path: &str) -> Page {
    Page {
        title: title.to_string(),
        path: path.to_string(),
        figures: Vec::new(),
        links: Vec::new(),
        latin: false,
        base: false,
        pixel: None,
    }
}

/// An album page with its habits and its links: on, back, and here and there to what is gone, forbidden or elsewhere.
fn album(number: usize, paths: &[String], waiting: Vec<Waiting>, planter: &mut Planter) -> Page {
    let path = paths[number].clone();
    let mut links = vec![("/".to_string(), "start".to_string())];
    links.extend(paths.get(number + 1).map(|path| (path.clone(), "next".to_string())));
    if number % 9 == 4 {
        links.push((format!("/albums/gone/{number:04}.html"), "an album that is gone".to_string()));
    }
    if number % 9 == 5 {
        links.push((format!("{PRIVATE}diary-0.html"), "diary".to_string()));
    }
    if number % 9 == 6 {
        links.push((format!("{ELSEWHERE}/friends/{number}.html"), "friends elsewhere".to_string()));
        links.push(("mailto:nobody@elsewhere.test".to_string(), "write".to_string()));
    }
    Page {
        figures: settle(waiting, &path, planter),
        links,
        latin: number % 5 == 3,
        base: number % 8 == 2,
        pixel: number.is_multiple_of(3).then_some(PIXEL),
        ..plain_page(&format!("{} {number}", NAMES[number % NAMES.len()]), &path)
    }
}

/// Tells the plan on which page the figures stand.
fn settle(waiting: Vec<Waiting>, path: &str, planter: &mut Planter) -> Vec<crate::page::Figure> {
    let mut place = |waiting: Waiting| {
        if let Some(planted) = waiting.planted {
            planter.plan.planted[planted].page_path = path.to_string();
        }
        waiting.figure
    };
    waiting.into_iter().map(&mut place).collect()
}

fn put(planter: &mut Planter, page: Page, rng: &mut Rng) {
    let (content_type, bytes) = page.write(rng);
    planter.resources.insert(page.path.clone(), Resource::new(content_type, bytes));
}

/// A file with comments, several groups and both line ends, as found in the wild.
fn robots() -> String {
    format!(
        "# Welcome, but not everywhere.\r\nUser-agent: greedybot\r\nDisallow: /\r\n\r\n\
         User-agent: *\nDisallow: {PRIVATE}   # ours\nDisallow: {HIDDEN}\nAllow: /albums/\n"
    )
}
