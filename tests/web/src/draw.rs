//! Draws the pictures: a few textured shapes on an uneven ground. Knows nothing of captions, files or the web.
//!
//! Everything is a function of a point, sampled four times a pixel; shapes are signed distances in units of their radius.

use crate::rng::Rng;
use crate::words::{COLOURS, GROUNDS, Motif};
use image::{Rgb, RgbImage};

type Colour = [f32; 3];

/// Sample positions in a pixel: the rotated grid, which smooths near-horizontal and near-vertical edges alike.
const SAMPLES: [(f32, f32); 4] = [(0.375, 0.125), (0.875, 0.375), (0.125, 0.625), (0.625, 0.875)];
/// Width of a shape's rim in its own colour, in radii: it keeps the outline readable whatever the filling.
const RIM: f32 = 0.09;

/// One shape of a picture.
struct Thing {
    shape: usize,
    texture: usize,
    /// Centre and radius in pixels.
    centre: (f32, f32),
    radius: f32,
    /// Cosine and sine of the shape's and the filling's rotation.
    turn: (f32, f32),
    grain: (f32, f32),
    /// Where the filling's pattern begins, in radii.
    phase: (f32, f32),
    paint: Colour,
    /// The filling's second colour.
    light: Colour,
}

/// A soft spot that lightens or darkens the ground.
struct Spot {
    centre: (f32, f32),
    radius: f32,
    strength: f32,
}

/// The ground: a colour, a slope across the picture and some soft spots.
struct Ground {
    colour: Colour,
    slope: (f32, f32),
    spots: Vec<Spot>,
    noise: f32,
}

/// Draws `motif` with everything the caption leaves open chosen by `rng`; sides are 96 to 128 pixels.
pub(crate) fn draw(motif: Motif, rng: &mut Rng) -> RgbImage {
    let (width, height) = sides(rng);
    let ground = Ground::random(ground_colour(GROUNDS[motif.ground]), (width, height), rng);
    let paint = jitter(shape_colour(COLOURS[motif.class.colour]), 0.1, rng);
    let things = place(motif.count, width.min(height), rng)
        .into_iter()
        .map(|(x, y, radius)| Thing {
            shape: motif.class.shape,
            texture: motif.class.texture,
            centre: (x + (width - width.min(height)) / 2.0, y + (height - width.min(height)) / 2.0),
            radius,
            turn: angle(rng.range(-0.5, 0.5)),
            grain: angle(rng.range(0.0, std::f32::consts::PI)),
            phase: (rng.range(0.0, 1.0), rng.range(0.0, 1.0)),
            paint: jitter(paint, 0.03, rng),
            light: mix(paint, [255.0; 3], rng.range(0.75, 0.9)),
        })
        .collect::<Vec<_>>();
    paint_all((width, height), &ground, &things, rng)
}

/// Draws a picture that shows none of the shapes: a ground with many soft spots.
pub(crate) fn draw_nothing(rng: &mut Rng) -> RgbImage {
    let (width, height) = sides(rng);
    let colour = ground_colour(rng.pick::<&str>(&GROUNDS));
    let mut ground = Ground::random(colour, (width, height), rng);
    ground.spots = (0..12).map(|_| Spot::random((width, height), 70.0, rng)).collect();
    paint_all((width, height), &ground, &[], rng)
}

fn sides(rng: &mut Rng) -> (f32, f32) {
    let width = 96 + 8 * rng.below(5);
    let height = if rng.chance(0.6) { width } else { 96 + 8 * rng.below(5) };
    (width as f32, height as f32)
}

fn angle(radians: f32) -> (f32, f32) {
    (radians.cos(), radians.sin())
}

fn shape_colour(name: &str) -> Colour {
    match name {
        "red" => [214.0, 30.0, 34.0],
        "blue" => [28.0, 72.0, 214.0],
        "green" => [22.0, 150.0, 52.0],
        "yellow" => [242.0, 200.0, 16.0],
        _ => [136.0, 36.0, 168.0],
    }
}

/// Grounds are duller than shapes: the same word, but paint against wall.
fn ground_colour(name: &str) -> Colour {
    match name {
        "white" => [240.0, 240.0, 238.0],
        "grey" => [142.0, 144.0, 146.0],
        "black" => [34.0, 34.0, 38.0],
        "brown" => [120.0, 84.0, 56.0],
        "red" => [206.0, 132.0, 128.0],
        "blue" => [140.0, 164.0, 208.0],
        "green" => [146.0, 186.0, 144.0],
        "yellow" => [226.0, 212.0, 148.0],
        _ => [184.0, 150.0, 196.0],
    }
}

fn mix(a: Colour, b: Colour, share: f32) -> Colour {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * share)
}

/// Scales brightness and each channel by up to `amount`.
fn jitter(colour: Colour, amount: f32, rng: &mut Rng) -> Colour {
    let bright = rng.range(1.0 - amount, 1.0 + amount);
    colour.map(|value| value * bright * rng.range(1.0 - amount / 2.0, 1.0 + amount / 2.0))
}

/// Centres and radii (pixels) of `count` shapes within a square of side `side`, apart from each other.
fn place(count: usize, side: f32, rng: &mut Rng) -> Vec<(f32, f32, f32)> {
    let (near, far) = match count {
        1 => (0.25, 0.4),
        2 => (0.18, 0.22),
        _ => (0.175, 0.205),
    };
    // Slots on a circle round the middle, turned at random: apart by construction, so no search is needed.
    let start = rng.range(0.0, std::f32::consts::TAU);
    let spread = if count == 1 { 0.0 } else { side * 0.265 };
    (0..count)
        .map(|i| {
            let radius = side * rng.range(near, far);
            let (cos, sin) = angle(start + std::f32::consts::TAU * i as f32 / count as f32);
            // A lone shape wanders as far as it stays inside.
            let wander = if count == 1 { (side / 2.0 - radius) * 0.8 } else { side * 0.02 };
            let x = side / 2.0 + spread * cos + rng.range(-wander, wander);
            let y = side / 2.0 + spread * sin + rng.range(-wander, wander);
            (x, y, radius)
        })
        .collect()
}

impl Spot {
    fn random((width, height): (f32, f32), strength: f32, rng: &mut Rng) -> Self {
        let centre = (rng.range(0.0, width), rng.range(0.0, height));
        Spot { centre, radius: width * rng.range(0.1, 0.4), strength: rng.range(-strength, strength) }
    }
}

impl Ground {
    fn random(colour: Colour, (width, height): (f32, f32), rng: &mut Rng) -> Self {
        Ground {
            colour: jitter(colour, 0.08, rng),
            slope: (rng.range(-24.0, 24.0) / width, rng.range(-24.0, 24.0) / height),
            spots: (0..4 + rng.below(4)).map(|_| Spot::random((width, height), 34.0, rng)).collect(),
            noise: rng.range(2.0, 8.0),
        }
    }

    /// How much lighter or darker the ground is at a point.
    fn light(&self, x: f32, y: f32, (width, height): (f32, f32)) -> f32 {
        let slope = self.slope.0 * (x - width / 2.0) + self.slope.1 * (y - height / 2.0);
        self.spots.iter().fold(slope, |light, spot| {
            let (dx, dy) = ((x - spot.centre.0) / spot.radius, (y - spot.centre.1) / spot.radius);
            let near = (1.0 - (dx * dx + dy * dy) / 4.0).max(0.0);
            light + spot.strength * near * near
        })
    }
}

fn paint_all((width, height): (f32, f32), ground: &Ground, things: &[Thing], rng: &mut Rng) -> RgbImage {
    RgbImage::from_fn(width as u32, height as u32, |px, py| {
        let (left, top) = (px as f32, py as f32);
        let light = ground.light(left, top, (width, height));
        let behind = ground.colour.map(|value| value + light);
        let mut sum = [0.0; 3];
        for (dx, dy) in SAMPLES {
            let colour = things.iter().find_map(|thing| thing.colour_at(left + dx, top + dy)).unwrap_or(behind);
            (0..3).for_each(|i| sum[i] += colour[i] / SAMPLES.len() as f32);
        }
        let noise = ground.noise * (rng.range(-1.0, 1.0) + rng.range(-1.0, 1.0));
        Rgb(sum.map(|value| (value + noise).round().clamp(0.0, 255.0) as u8))
    })
}

impl Thing {
    /// The colour at a point in pixels, `None` outside.
    fn colour_at(&self, x: f32, y: f32) -> Option<Colour> {
        let (x, y) = ((x - self.centre.0) / self.radius, (y - self.centre.1) / self.radius);
        // No shape reaches further than this from its centre.
        if x * x + y * y > 1.6 {
            return None;
        }
        let turned = |(cos, sin): (f32, f32)| (x * cos + y * sin, y * cos - x * sin);
        let (u, v) = turned(self.turn);
        let distance = distance(self.shape, u, v);
        if distance > 0.0 {
            return None;
        }
        let (u, v) = turned(self.grain);
        let filled = distance > -RIM || filled(self.texture, u + self.phase.0, v + self.phase.1);
        Some(if filled { self.paint } else { self.light })
    }
}

/// Distance from the shape's outline in radii, negative inside; exact enough near the outline.
fn distance(shape: usize, x: f32, y: f32) -> f32 {
    let from_box = |a: f32, b: f32| (x.abs() - a).max(y.abs() - b);
    let length = x.hypot(y);
    match shape {
        0 => length - 0.95,
        1 => from_box(0.84, 0.84),
        2 => {
            // The incircle's radius is half the circumcircle's; the tip points up.
            let side = |x: f32| x * 0.866 - (y - 0.2) * 0.5;
            side(x).max(side(-x)).max(y - 0.2) - 0.56
        }
        3 => star(x, y),
        4 => from_box(1.02, 0.36).min(from_box(0.36, 1.02)),
        _ => (length - 0.7).abs() - 0.3,
    }
}

/// A star of five points, tip up: the plane is folded into a tenth, bounded by one line from tip to notch.
fn star(x: f32, y: f32) -> f32 {
    const TIP: f32 = 1.15;
    const NOTCH: f32 = 0.52;
    let tenth = std::f32::consts::PI / 5.0;
    let turn = (x.atan2(-y).abs()) % (2.0 * tenth);
    let folded = turn.min(2.0 * tenth - turn);
    let (px, py) = (x.hypot(y) * folded.cos(), x.hypot(y) * folded.sin());
    let (nx, ny) = (NOTCH * tenth.cos() - TIP, NOTCH * tenth.sin());
    // Signed distance to the line through (TIP, 0) with direction (nx, ny); outside is positive.
    (ny * (px - TIP) - nx * py) / nx.hypot(ny)
}

/// Whether the filling shows the shape's own colour at a point in radii.
fn filled(texture: usize, u: f32, v: f32) -> bool {
    // Periods of about half a radius stay visible in 64 pixels: the smallest radius there is 11.
    let cell = |value: f32, period: f32| (value / period).rem_euclid(1.0);
    match texture {
        0 => true,
        1 => cell(u, 0.5) < 0.52,
        2 => {
            // Every other row of dots is shifted by half a period.
            let row = (v / 0.5).floor();
            let (x, y) = (cell(u + 0.25 * row, 0.5) - 0.5, cell(v, 0.5) - 0.5);
            x.hypot(y) > 0.3
        }
        _ => (cell(u, 0.8) < 0.5) == (cell(v, 0.8) < 0.5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Class;

    #[test]
    fn shapes_have_an_inside_and_stay_in_reach() {
        for shape in 0..6 {
            let mut area = 0;
            for i in 0..100 {
                for j in 0..100 {
                    let (x, y) = (i as f32 / 33.0 - 1.5, j as f32 / 33.0 - 1.5);
                    if distance(shape, x, y) < 0.0 {
                        area += 1;
                        assert!(x * x + y * y <= 1.6, "shape {shape} reaches ({x}, {y})");
                    }
                }
            }
            assert!((1000..4500).contains(&area), "shape {shape} covers {area} of 10,000");
        }
    }

    #[test]
    fn textures_differ_in_how_much_they_fill() {
        let share = |texture| {
            let points = (0..200).flat_map(|i| (0..200).map(move |j| (i as f32 / 50.0, j as f32 / 50.0)));
            points.filter(|&(u, v)| filled(texture, u, v)).count() as f32 / 40_000.0
        };
        assert_eq!(share(0), 1.0);
        for texture in 1..4 {
            assert!((0.4..0.8).contains(&share(texture)), "texture {texture} fills {}", share(texture));
        }
    }

    #[test]
    fn drawing_repeats_and_has_the_sides_promised() {
        let motif = Motif { class: Class { colour: 0, texture: 1, shape: 3 }, count: 3, ground: 2 };
        let draw_it = |seed| draw(motif, &mut Rng::new(seed, "picture"));
        assert_eq!(draw_it(1).as_raw(), draw_it(1).as_raw());
        assert_ne!(draw_it(1).as_raw(), draw_it(2).as_raw());
        for seed in 0..20 {
            let picture = draw_it(seed);
            assert!((96..=128).contains(&picture.width()) && (96..=128).contains(&picture.height()));
        }
    }
}
