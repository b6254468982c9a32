//! The headers of a JPEG, as far as it is of the kind that is read here.

use super::bits::Codes;
use crate::Limits;
use image::metadata::Orientation;

/// A picture of the kind that is read here, up to its pixels.
pub struct Jpeg<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: Vec<Component>,
    /// Steps of quantisation, in the order of storage.
    pub(super) steps: [Option<[u16; 64]>; 4],
    pub(super) means: [Option<Codes>; 4],
    pub(super) values: [Option<Codes>; 4],
    /// Units between two restart marks, 0 for none.
    pub(super) restart: usize,
    /// What follows the header of the scan.
    pub(super) scan: &'a [u8],
    orientation: Orientation,
}

/// One of the planes that a picture is made of.
#[derive(Clone, Copy)]
pub(super) struct Component {
    id: u8,
    /// Blocks in a unit, side by side and one below the other.
    pub(super) across: usize,
    pub(super) down: usize,
    /// Numbers of its tables.
    pub(super) steps: usize,
    pub(super) means: usize,
    pub(super) values: usize,
}

/// Width and height of a JPEG that [`Jpeg`] may read; `None` for others, and for those that their camera held sideways.
pub fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    for (mark, body, _) in segments(bytes) {
        match (mark, body) {
            (0xc0 | 0xc1, &[8, h1, h2, w1, w2, ..]) => {
                return Some((u32::from(u16::from_be_bytes([w1, w2])), u32::from(u16::from_be_bytes([h1, h2]))));
            }
            (0xe1, body) if orientation(body).is_some_and(|orientation| orientation != Orientation::NoTransforms) => return None,
            (0xc4 | 0xdb | 0xdd | 0xe0..=0xef | 0xfe, _) => {}
            _ => return None,
        }
    }
    None
}

/// Refuses what the decoder that reads everything would read wrongly without a word.
///
/// # Errors
/// What it is.
pub(crate) fn check(bytes: &[u8]) -> Result<(), &'static str> {
    let (mut jfif, mut adobe, mut parts, mut baseline) = (false, None, 0, false);
    for (mark, body, rest) in segments(bytes) {
        match (mark, body) {
            (0xe0, body) => jfif |= body.starts_with(b"JFIF\0"),
            (0xee, body) if body.starts_with(b"Adobe") => adobe = body.get(11).copied(),
            (0xc0..=0xc2, &[_, _, _, _, _, count, ref components @ ..]) => {
                (parts, baseline) = (usize::from(count), mark != 0xc2);
                let factors: Vec<u8> = components.as_chunks::<3>().0.iter().map(|[_, factors, _]| *factors).collect();
                let (first, others) = factors.split_first().unwrap_or((&0, &[]));
                if others.iter().any(|other| other >> 4 > first >> 4 || other & 15 > first & 15) {
                    return Err("a JPEG of a kind that cannot be read: its first component has fewer samples than others");
                }
            }
            (0xda, body) => {
                if jfif && adobe == Some(0) && parts == 3 {
                    return Err("a JPEG whose marks contradict each other about colours (JFIF and Adobe's)");
                }
                // Progressive ones repeat components; others tell each once.
                let told = |count: Option<&u8>| count.map_or(0, |&count| usize::from(count));
                let further = memchr::memmem::find_iter(rest, &[0xff, 0xda]).map(|at| told(rest.get(at + 4))).sum::<usize>();
                if baseline && told(body.first()) + further < parts {
                    return Err("the JPEG is cut off: components are missing");
                }
                break;
            }
            _ => {}
        }
    }
    Ok(())
}

/// What the body of an APP1 segment says of the picture's orientation.
fn orientation(body: &[u8]) -> Option<Orientation> {
    body.strip_prefix(b"Exif\0\0").and_then(Orientation::from_exif_chunk)
}

/// The segments up to the first scan: mark, body, and what follows. Ends where the bytes are no segment.
fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8], &[u8])> {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8]).unwrap_or_default();
    std::iter::from_fn(move || {
        while rest.starts_with(&[0xff, 0xff]) {
            rest = &rest[1..];
        }
        let &[0xff, mark, high, low, ..] = rest else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let body = rest.get(4..2 + length)?;
        rest = &rest[2 + length..];
        Some((mark, body, rest))
    })
}

impl<'a> Jpeg<'a> {
    /// Reads the headers; `None` for anything that is not read here, such as progressive pictures, CMYK, or sides beyond the limits.
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Option<Self> {
        let mut jpeg = Jpeg {
            width: 0,
            height: 0,
            components: Vec::new(),
            steps: [None; 4],
            means: [const { None }; 4],
            values: [const { None }; 4],
            restart: 0,
            scan: &[],
            orientation: Orientation::NoTransforms,
        };
        let (mut jfif, mut adobe, mut turned) = (false, None, false);
        for (mark, body, rest) in segments(bytes) {
            match mark {
                0xc0 | 0xc1 => jpeg.frame(body, limits)?,
                0xc4 => jpeg.codes(body)?,
                0xdb => jpeg.quantisation(body)?,
                0xdd => jpeg.restart = usize::from(u16::from_be_bytes(body.try_into().ok()?)),
                0xda => {
                    jpeg.scan_header(body)?;
                    jpeg.scan = rest;
                    // Without either mark, components may be called by the colours that they are.
                    let named = jpeg.components.iter().map(|component| component.id).eq(*b"RGB");
                    // As libjpeg has it, JFIF alone decides where it stands; Adobe's mark otherwise.
                    let is_ycbcr = jfif || adobe.map_or(!named, |transform| transform == 1);
                    return is_ycbcr.then_some(jpeg);
                }
                0xe0 if body.starts_with(b"JFIF\0") => jfif = true,
                // Of several such blocks the first counts, as for others.
                0xe1 if !turned => {
                    if let Some(orientation) = orientation(body) {
                        (jpeg.orientation, turned) = (orientation, true);
                    }
                }
                // Adobe's mark says of three components whether they are YCbCr.
                0xee if body.starts_with(b"Adobe") => {
                    adobe = Some(*body.get(11)?);
                }
                0xe0..=0xef | 0xfe => {}
                _ => return None,
            }
        }
        None
    }

    /// How the picture is to be turned or mirrored, as its camera noted.
    pub(crate) fn orientation(&self) -> Orientation {
        self.orientation
    }

    fn frame(&mut self, body: &[u8], limits: &Limits) -> Option<()> {
        let &[8, h1, h2, w1, w2, count, ref components @ ..] = body else { return None };
        let (width, height) = (u16::from_be_bytes([w1, w2]), u16::from_be_bytes([h1, h2]));
        (self.width, self.height) = (usize::from(width), usize::from(height));
        let fits = u32::from(width.max(height)) <= limits.max_side && u64::from(width) * u64::from(height) <= limits.max_pixels;
        if !fits || width == 0 || height == 0 || components.len() != 3 * usize::from(count) || !self.components.is_empty() {
            return None;
        }
        for component in components.as_chunks::<3>().0 {
            let [id, factors, steps] = *component;
            let (across, down) = (usize::from(factors >> 4), usize::from(factors & 15));
            self.components.push(Component { id, across, down, steps: usize::from(steps), means: 0, values: 0 });
        }
        let full = |component: &Component| matches!(component.across, 1 | 2) && matches!(component.down, 1 | 2);
        let single = |component: &Component| component.across == 1 && component.down == 1;
        match &mut self.components[..] {
            // A lone component is not interleaved, whatever its factors.
            [grey] => (grey.across, grey.down) = (1, 1),
            [first, second, third] if full(first) && single(second) && single(third) => {}
            _ => return None,
        }
        Some(())
    }

    fn quantisation(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = body.split_first() {
            let wide = kind >> 4 == 1;
            let (steps, rest) = rest.split_at_checked(if wide { 128 } else { 64 })?;
            let step = |i: usize| if wide { u16::from_be_bytes([steps[2 * i], steps[2 * i + 1]]) } else { u16::from(steps[i]) };
            *self.steps.get_mut(usize::from(kind & 15))? = Some(std::array::from_fn(step));
            body = rest;
        }
        Some(())
    }

    fn codes(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = body.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(total)?;
            let tables = if kind >> 4 == 0 { &mut self.means } else { &mut self.values };
            *tables.get_mut(usize::from(kind & 15))? = Some(Codes::new(counts, symbols)?);
            body = rest;
        }
        Some(())
    }

    fn scan_header(&mut self, body: &[u8]) -> Option<()> {
        let (&count, rest) = body.split_first()?;
        let (pairs, rest) = rest.split_at_checked(2 * usize::from(count))?;
        if usize::from(count) != self.components.len() || count == 0 || rest != [0, 63, 0] {
            return None;
        }
        for (component, &[id, tables]) in self.components.iter_mut().zip(pairs.as_chunks::<2>().0) {
            (component.means, component.values) = (usize::from(tables >> 4), usize::from(tables & 15));
            let known = self.means.get(component.means)?.is_some() && self.values.get(component.values)?.is_some();
            if component.id != id || !known || self.steps.get(component.steps)?.is_none() {
                return None;
            }
        }
        Some(())
    }
}
