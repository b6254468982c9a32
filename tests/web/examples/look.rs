//! Shows the small web: a contact sheet of its test pictures and what is planted, in numbers.
//!
//! `cargo run --release -p web --example look -- FOLDER [SEED]` writes `FOLDER/sheet.png` (one row of ten pictures for every fifth
//! class), `FOLDER/dump.xml.bz2` and the test set, and prints the plan's counts.

use image::{GenericImage, RgbImage};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;
use web::{Size, Web};

/// Side of a picture on the sheet, in pixels.
const CELL: u32 = 132;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().ok_or("name a folder")?);
    let seed = args.next().map_or(Ok(1), |seed| seed.parse())?;
    let start = Instant::now();
    let web = Web::generate(seed, Size::DEMO);
    println!("generated in {:.1} s: {} pages", start.elapsed().as_secs_f32(), web.pages());
    let plan = web.plan();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    plan.planted.iter().for_each(|planted| *kinds.entry(format!("{:?}", planted.expect)).or_insert(0) += 1);
    println!("{} pairs planted: {kinds:#?}", plan.planted.len());
    println!("--per-query {}, capped: {:?}, {} copies", plan.per_query, plan.capped, plan.duplicates());
    println!("pairs per query: {:?}", plan.pairs_per_query());
    plan.planted.iter().step_by(97).for_each(|planted| println!("{}", planted.caption));

    web.dump(&folder.join("dump.xml.bz2"))?;
    let classes: Vec<String> = plan.seen.iter().chain(&plan.unseen).cloned().collect();
    web.write_test_set(&folder.join("test"), &classes)?;
    let shown: Vec<&String> = classes.iter().step_by(5).collect();
    let mut sheet = RgbImage::from_pixel(10 * CELL, shown.len() as u32 * CELL, image::Rgb([255; 3]));
    for (row, class) in shown.iter().enumerate() {
        for column in 0..10 {
            let path = folder.join("test").join(class).join(format!("{column:04}.jpg"));
            let picture = image::ImageReader::open(path)?.decode()?.into_rgb8();
            sheet.copy_from(&picture, column * CELL, row as u32 * CELL)?;
        }
    }
    sheet.save(folder.join("sheet.png"))?;
    Ok(())
}
