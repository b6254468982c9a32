//! From rows of luma and chroma to RGB: chroma of fewer samples is spread as libjpeg does, linearly between samples' middles (which libjpeg
//! leaves out for pictures of up to 4 columns).

/// One row of chroma at a time, at the width of the picture.
#[derive(Default)]
pub(super) struct Spread {
    /// A row whose samples lie between two rows of the plane, four times as large.
    tall: Vec<u16>,
    wide: Vec<u8>,
}

impl Spread {
    /// Row `y` of a picture as wide as `width`, from a plane of `samples` x `rows` samples in rows of `stride` that has
    /// `across` and `down` (1 or 2) times fewer columns and rows.
    #[inline(always)]
    pub(super) fn row<'a>(
        &'a mut self,
        plane: &'a [u8],
        stride: usize,
        (samples, rows): (usize, usize),
        (across, down): (usize, usize),
        y: usize,
        width: usize,
    ) -> &'a [u8] {
        let line = |y: usize| &plane[y.min(rows - 1) * stride..][..samples];
        if (across, down) == (1, 1) {
            return &line(y)[..width];
        }
        // Times four: all of it from one row, or a quarter from the row above or below that is nearer.
        self.tall.clear();
        if down == 1 {
            self.tall.extend(line(y).iter().map(|&near| 4 * u16::from(near)));
        } else {
            let other = if y % 2 == 1 { y / 2 + 1 } else { (y / 2).saturating_sub(1) };
            self.tall.extend(line(y / 2).iter().zip(line(other)).map(|(&near, &far)| 3 * u16::from(near) + u16::from(far)));
        }
        if across == 1 {
            self.wide.clear();
            // Rounds halves down and up by turns, so that none is preferred.
            let half = if y % 2 == 1 { 2 } else { 1 };
            self.wide.extend(self.tall.iter().map(|&value| ((value + half) >> 2) as u8));
        } else {
            self.wide.resize(2 * samples, 0);
            widen(&self.tall, &mut self.wide);
        }
        &self.wide[..width]
    }
}

/// Twice as many samples as `tall` has, a quarter as large.
#[inline(always)]
fn widen(tall: &[u16], wide: &mut [u8]) {
    let last = tall.len() - 1;
    wide[0] = ((4 * tall[0] + 8) >> 4) as u8;
    wide[2 * last + 1] = ((4 * tall[last] + 7) >> 4) as u8;
    let between = &mut wide[1..=2 * last];
    for ((two, &left), &right) in between.as_chunks_mut::<2>().0.iter_mut().zip(tall).zip(&tall[1..]) {
        *two = [((3 * left + right + 7) >> 4) as u8, ((3 * right + left + 8) >> 4) as u8];
    }
}

/// A row of pixels from as many luma and chroma values (JFIF's YCbCr, T.871).
#[inline(always)]
pub(super) fn convert(luma: &[u8], blue: &[u8], red: &[u8], out: &mut [u8]) {
    // Pixels at a time: their channels fill whole registers.
    const STEP: usize = 32;
    let (luma, blue, red) = (luma.as_chunks::<STEP>(), blue.as_chunks::<STEP>(), red.as_chunks::<STEP>());
    let (whole, rest) = out.as_chunks_mut::<{ 3 * STEP }>();
    for (((out, luma), blue), red) in whole.iter_mut().zip(luma.0).zip(blue.0).zip(red.0) {
        convert_step(luma, blue, red, out);
    }
    let pad = |values: &[u8]| -> [u8; STEP] { std::array::from_fn(|i| values.get(i).copied().unwrap_or(128)) };
    let mut last = [0; 3 * STEP];
    convert_step(&pad(luma.1), &pad(blue.1), &pad(red.1), &mut last);
    rest.copy_from_slice(&last[..rest.len()]);
}

/// The upper half of a product: `value` / 64 times a factor of 16 bits behind the point, with six bits left behind the point.
#[inline(always)]
fn part(value: i16, factor: i16) -> i16 {
    ((i32::from(value) * i32::from(factor)) >> 16) as i16
}

/// Works with six bits behind the point, the most that 16 bits hold. Factors above 1/2 are split into a whole number and a rest.
#[inline(always)]
fn convert_step<const N: usize, const M: usize>(luma: &[u8; N], blue: &[u8; N], red: &[u8; N], out: &mut [u8; M]) {
    const RED_RED: i16 = (0.402 * 32768.0) as i16;
    const GREEN_BLUE: i16 = (0.344_136 * 32768.0) as i16;
    const GREEN_RED: i16 = ((1.0 - 0.714_136) * 32768.0) as i16;
    const BLUE_BLUE: i16 = ((1.772 - 2.0) * 32768.0) as i16;
    let byte = |value: i16| (value >> 6).clamp(0, 255) as u8;
    let mut planes = [[0u8; N]; 3];
    for i in 0..N {
        let (y, b, r) = ((i16::from(luma[i]) << 6) + 32, i16::from(blue[i]) - 128, i16::from(red[i]) - 128);
        let (r64, b128, r128) = (r << 6, b << 7, r << 7);
        planes[0][i] = byte(y + r64 + part(r128, RED_RED));
        planes[1][i] = byte(y - part(b128, GREEN_BLUE) - r64 + part(r128, GREEN_RED));
        planes[2][i] = byte(y + b128 + part(b128, BLUE_BLUE));
    }
    for i in 0..N {
        for (c, plane) in planes.iter().enumerate() {
            out[3 * i + c] = plane[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_jfif() {
        let values: Vec<[u8; 3]> = (0..=255u16)
            .step_by(5)
            .flat_map(|y| (0..=255u16).step_by(5).flat_map(move |b| (0..=255u16).step_by(5).map(move |r| [y as u8, b as u8, r as u8])))
            .collect();
        let plane = |c: usize| values.iter().map(|value| value[c]).collect::<Vec<u8>>();
        let mut out = vec![0; 3 * values.len()];
        convert(&plane(0), &plane(1), &plane(2), &mut out);
        for (value, rgb) in values.iter().zip(out.as_chunks::<3>().0) {
            let [y, b, r] = value.map(f64::from);
            let (b, r) = (b - 128.0, r - 128.0);
            let exact = [y + 1.402 * r, y - 0.344_136 * b - 0.714_136 * r, y + 1.772 * b];
            for (ours, exact) in rgb.iter().zip(exact) {
                assert!((f64::from(*ours) - exact.clamp(0.0, 255.0)).abs() <= 0.56, "{value:?}: {ours} for {exact}");
            }
        }
    }

    #[test]
    fn samples_are_spread_between_their_middles() {
        let plane = [0u8, 160, 0, 0, 80, 240, 0, 0];
        let mut spread = Spread::default();
        let mut row = |ratio, y, width| spread.row(&plane, 4, (2, 2), ratio, y, width).to_vec();
        assert_eq!(row((1, 1), 1, 2), [80, 240]);
        assert_eq!(row((2, 1), 0, 4), [0, 40, 120, 160]);
        assert_eq!(row((2, 1), 0, 3), [0, 40, 120]);
        assert_eq!(row((1, 2), 1, 2), [20, 180]);
        assert_eq!(row((2, 2), 0, 4), [0, 40, 120, 160]);
        assert_eq!(row((2, 2), 1, 4), [20, 60, 140, 180]);
        assert_eq!(row((2, 2), 3, 4), [80, 120, 200, 240]);
    }
}
