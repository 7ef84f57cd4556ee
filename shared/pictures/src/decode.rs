//! Picture files: JPEG, PNG, BMP, PBM, PGM and PPM, told apart by their first bytes.

use crate::background::Background;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// The most pixels of a picture: a file of a kilobyte can claim billions, and a telephone's camera has fewer.
pub const MOST_PIXELS: u64 = 1 << 26;
/// The most bytes that a decoder may take.
const MOST_BYTES: u64 = 1 << 30;
/// Values of 16 bits up to this one leave the upper four bits empty.
const TWELVE_BITS: u16 = 0x0FFF;

/// A picture: rows x columns x channels bytes, channels last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 for gray, 3 for red, green and blue.
    pub channels: usize,
    /// The values of all pixels.
    pub bytes: Vec<u8>,
}

/// Why a file is not a picture: a predicate of the file, with a remedy.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// It has no bytes.
    #[error("is empty; copy it again")]
    Empty,
    /// Its first bytes are of no known format.
    #[error("is not a picture; JPEG, PNG, BMP, PBM, PGM and PPM are read")]
    NotPicture,
    /// Its format is known and not read.
    #[error("is a {0} file; JPEG, PNG, BMP, PBM, PGM and PPM are read, convert it to one of them")]
    Format(&'static str),
    /// It claims more pixels than [`MOST_PIXELS`].
    #[error("claims {width} x {height} pixels, of at most {MOST_PIXELS}; make it smaller")]
    TooLarge {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// It has no pixels.
    #[error("has no pixels; copy it again")]
    NoPixels,
    /// It ends before its last pixel.
    #[error("is a {0} file that is cut off; copy it again")]
    CutOff(&'static str),
    /// It violates its format, or has a part that is not read.
    #[error("is not a valid {format} file ({reason}); save it again from another program")]
    Invalid {
        /// Its format.
        format: &'static str,
        /// What the decoder says, on one line.
        reason: String,
    },
    /// It has 16 bits per value, of which at most the lower 12 hold anything, so that it would be black.
    #[error(
        "has 16 bits for each value and uses only the lower 12; stretch them, as with `magick IN -auto-level OUT.png`"
    )]
    LowBits,
}

/// The name of the format by which a file begins.
///
/// # Errors
/// [`PictureError::Empty`], [`PictureError::NotPicture`] or [`PictureError::Format`] if it is not read.
pub fn format_of(file: &[u8]) -> Result<&'static str, PictureError> {
    Ok(match file {
        [] => return Err(PictureError::Empty),
        [0xFF, 0xD8, 0xFF, ..] => "JPEG",
        [0x89, b'P', b'N', b'G', ..] => "PNG",
        [b'B', b'M', ..] => "BMP",
        [b'P', b'1' | b'4', b' ' | b'\n' | b'\r' | b'\t' | b'#', ..] => "PBM",
        [b'P', b'2' | b'5', b' ' | b'\n' | b'\r' | b'\t' | b'#', ..] => "PGM",
        [b'P', b'3' | b'6', b' ' | b'\n' | b'\r' | b'\t' | b'#', ..] => "PPM",
        [b'G', b'I', b'F', b'8', ..] => return Err(PictureError::Format("GIF")),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => return Err(PictureError::Format("WebP")),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => return Err(PictureError::Format("TIFF")),
        [_, _, _, _, b'f', b't', b'y', b'p', b'h', b'e', b'i' | b'v', ..] => return Err(PictureError::Format("HEIC")),
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', b'f', ..] => return Err(PictureError::Format("AVIF")),
        [b'%', b'P', b'D', b'F', ..] => return Err(PictureError::Format("PDF")),
        _ => return Err(PictureError::NotPicture),
    })
}

impl Picture {
    /// Decodes a file, turns it upright as its EXIF entry says, scales 16 bits to 8, and lays what is transparent over
    /// `background`. Colors of a palette become red, green and blue; profiles of colors are ignored.
    ///
    /// # Errors
    /// [`PictureError`] if the file is malformed, of another format, or claims too many pixels.
    pub fn decode(file: &[u8], background: Background) -> Result<Self, PictureError> {
        let format = format_of(file)?;
        if format == "JPEG" && !ends(file) {
            // The decoder would fill the missing part with gray.
            return Err(PictureError::CutOff(format));
        }
        let mut decoder = opened(file, format)?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut decoded = DynamicImage::from_decoder(decoder).map_err(|error| invalid(format, error))?;
        decoded.apply_orientation(orientation);
        let (width, height) = (decoded.width() as usize, decoded.height() as usize);
        let samples = usize::from(decoded.color().channel_count());
        let color = samples >= 3;
        let bytes = eight_bits(decoded, if samples.is_multiple_of(2) { samples - 1 } else { samples })
            .map_err(|low| if low { PictureError::LowBits } else { unknown(format) })?;
        Ok(match samples {
            1 | 3 => Picture { height, width, channels: samples, bytes },
            _ => laid(&bytes, samples, [height, width], background.ground(&bytes, samples), color),
        })
    }

    /// Rows and columns of the picture in a file, upright, without its pixels.
    ///
    /// # Errors
    /// As for [`Picture::decode`], as far as the beginning of the file tells.
    pub fn size(file: &[u8]) -> Result<[usize; 2], PictureError> {
        let format = format_of(file)?;
        let mut decoder = opened(file, format)?;
        let (width, height) = decoder.dimensions();
        let turned = matches!(
            decoder.orientation(),
            Ok(Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH)
        );
        let [height, width] = [height as usize, width as usize];
        Ok(if turned { [width, height] } else { [height, width] })
    }

    /// Whether the picture in a file has colors, or says so.
    ///
    /// # Errors
    /// As for [`Picture::size`].
    pub fn has_color(file: &[u8]) -> Result<bool, PictureError> {
        let format = format_of(file)?;
        Ok(opened(file, format)?.color_type().has_color())
    }

    /// The same picture with the number of channels that a network takes: color becomes gray by the weights of ITU-R
    /// BT.601, (77 r + 150 g + 29 b + 128) / 256, and gray becomes three equal channels.
    #[must_use]
    pub fn with_channels(self, channels: usize) -> Self {
        let bytes = match (self.channels, channels) {
            (3, 1) => self.bytes.as_chunks::<3>().0.iter().map(luma).collect(),
            (1, 3) => self.bytes.iter().flat_map(|gray| [*gray; 3]).collect(),
            _ => return self,
        };
        Picture { channels, bytes, ..self }
    }

    /// The bytes of a PNG file with this picture.
    ///
    /// # Errors
    /// If there are neither 1 nor 3 channels, or the number of bytes is wrong.
    pub fn png(&self) -> Result<Vec<u8>, image::ImageError> {
        let mut file = Cursor::new(Vec::new());
        let color = if self.channels == 3 { image::ExtendedColorType::Rgb8 } else { image::ExtendedColorType::L8 };
        let (width, height) = (self.width as u32, self.height as u32);
        image::write_buffer_with_format(&mut file, &self.bytes, width, height, color, ImageFormat::Png)?;
        Ok(file.into_inner())
    }
}

fn invalid(format: &'static str, error: image::ImageError) -> PictureError {
    match error {
        image::ImageError::IoError(_) => PictureError::CutOff(format),
        other => PictureError::Invalid { format, reason: other.to_string().replace(['\n', '\r'], " ") },
    }
}

/// A decoder that has read the file's header, of a size that is not too large.
fn opened<'a>(file: &'a [u8], format: &'static str) -> Result<impl ImageDecoder + 'a, PictureError> {
    let kind = match format {
        "JPEG" => ImageFormat::Jpeg,
        "PNG" => ImageFormat::Png,
        "BMP" => ImageFormat::Bmp,
        _ => ImageFormat::Pnm,
    };
    let mut reader = ImageReader::with_format(Cursor::new(file), kind);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| invalid(format, error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(PictureError::TooLarge { width, height });
    }
    if width == 0 || height == 0 {
        return Err(PictureError::NoPixels);
    }
    Ok(decoder)
}

/// The gray value of a color by the weights of ITU-R BT.601.
pub(crate) fn luma(color: &[u8; 3]) -> u8 {
    let sum: u32 = color.iter().zip([77u32, 150, 29]).map(|(c, weight)| u32::from(*c) * weight).sum();
    ((sum + 128) >> 8) as u8
}

/// Whether a JPEG file has the marker of its end. Before the pixels come segments, which state their length and may hold a
/// small picture with an end of its own; among the pixels the marker cannot occur.
fn ends(file: &[u8]) -> bool {
    let mut rest = file.get(2..).unwrap_or_default();
    while let [0xFF, marker, after @ ..] = rest {
        match (marker, after) {
            (0xFF, _) => rest = &rest[1..],
            (0xDA, pixels) => return pixels.windows(2).any(|pair| pair == [0xFF, 0xD9]),
            (_, [high, low, ..]) => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest = after.get(length..).unwrap_or_default();
            }
            _ => return false,
        }
    }
    // What is not even a sequence of segments is for the decoder to name.
    !rest.is_empty()
}

/// The values of all pixels with 8 bits; of 16 bits v becomes v / 257, rounded. Fails with true if the first `inks` values of
/// no pixel are above 12 bits in 16, but some are not 0, and with false for a kind of pixel that no decoder here gives.
fn eight_bits(decoded: DynamicImage, inks: usize) -> Result<Vec<u8>, bool> {
    let deep = match decoded {
        DynamicImage::ImageLuma8(image) => return Ok(image.into_raw()),
        DynamicImage::ImageLumaA8(image) => return Ok(image.into_raw()),
        DynamicImage::ImageRgb8(image) => return Ok(image.into_raw()),
        DynamicImage::ImageRgba8(image) => return Ok(image.into_raw()),
        DynamicImage::ImageLuma16(image) => (1, image.into_raw()),
        DynamicImage::ImageLumaA16(image) => (2, image.into_raw()),
        DynamicImage::ImageRgb16(image) => (3, image.into_raw()),
        DynamicImage::ImageRgba16(image) => (4, image.into_raw()),
        _ => return Err(false),
    };
    let (samples, values) = deep;
    let brightest = values.chunks_exact(samples).flat_map(|pixel| pixel.iter().take(inks)).max();
    if brightest.is_some_and(|value| (1..=TWELVE_BITS).contains(value)) {
        return Err(true);
    }
    Ok(values.iter().map(|value| ((u32::from(*value) + 128) / 257) as u8).collect())
}

fn unknown(format: &'static str) -> PictureError {
    PictureError::Invalid { format, reason: "its kind of pixel is not known".into() }
}

/// Pixels whose last value is their opacity, laid over a background of one color.
fn laid(bytes: &[u8], samples: usize, [height, width]: [usize; 2], ground: [u8; 3], color: bool) -> Picture {
    // A colored background makes a picture in color of a gray one.
    let channels = if color || ground.iter().any(|c| *c != ground[0]) { 3 } else { 1 };
    let over = |pixel: &[u8], channel: usize| {
        let alpha = u32::from(pixel.last().copied().unwrap_or(255));
        let value = u32::from(pixel[if color { channel } else { 0 }]);
        ((value * alpha + u32::from(ground[channel]) * (255 - alpha) + 127) / 255) as u8
    };
    let bytes = bytes.chunks_exact(samples).flat_map(|pixel| (0..channels).map(move |c| over(pixel, c))).collect();
    Picture { height, width, channels, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(color: png::ColorType, depth: png::BitDepth, [width, height]: [u32; 2], bytes: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == png::ColorType::Indexed {
            encoder.set_palette(vec![10, 20, 30, 200, 100, 50]);
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(bytes).unwrap();
        writer.finish().unwrap();
        file
    }

    fn decode(file: &[u8]) -> Result<Picture, PictureError> {
        Picture::decode(file, Background::Auto)
    }

    /// A JPEG file with an EXIF entry that says how the camera was held.
    pub fn jpeg(picture: &Picture, orientation: Option<u8>) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 100);
        let color = if picture.channels == 3 { image::ExtendedColorType::Rgb8 } else { image::ExtendedColorType::L8 };
        encoder.encode(&picture.bytes, picture.width as u32, picture.height as u32, color).unwrap();
        if let Some(orientation) = orientation {
            // TIFF, little-endian: one entry, 0x112 (orientation), of one short number.
            let tiff =
                [&b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"[..], &[orientation, 0, 0, 0], &[0; 4]].concat();
            let length = (2 + 6 + tiff.len()) as u16;
            let segment = [&[0xFF, 0xE1], &length.to_be_bytes()[..], b"Exif\0\0", &tiff].concat();
            file.splice(2..2, segment);
        }
        file
    }

    #[test]
    fn pictures_come_back_as_they_were_written() {
        for channels in [1, 3] {
            let bytes = (0..2 * 3 * channels).map(|k| (40 * k % 251) as u8).collect();
            let picture = Picture { height: 2, width: 3, channels, bytes };
            assert_eq!(decode(&picture.png().unwrap()).unwrap(), picture);
        }
    }

    #[test]
    fn palettes_become_colors_and_16_bits_become_8() {
        let palette = encoded(png::ColorType::Indexed, png::BitDepth::Eight, [2, 1], &[1, 0]);
        assert_eq!(decode(&palette).unwrap().bytes, [200, 100, 50, 10, 20, 30]);
        for (value, right) in
            [(0x0FFFu16, None), (0x0100, None), (1, None), (0x1000, Some(16)), (0xFFFF, Some(255)), (0, Some(0))]
        {
            let file = encoded(png::ColorType::Grayscale, png::BitDepth::Sixteen, [1, 1], &value.to_be_bytes());
            match (decode(&file), right) {
                (Ok(picture), Some(right)) => assert_eq!(picture.bytes, [right]),
                (Err(PictureError::LowBits), None) => (),
                (found, _) => panic!("{value}: {found:?}"),
            }
        }
    }

    #[test]
    fn transparent_ink_is_laid_over_its_opposite_or_over_the_color_given() {
        for (ink, ground) in [(0u8, 255u8), (250, 0)] {
            let file = encoded(png::ColorType::GrayscaleAlpha, png::BitDepth::Eight, [2, 1], &[ink, 255, ink, 0]);
            assert_eq!(decode(&file).unwrap().bytes, [ink, ground]);
            let given = |text: &str| Picture::decode(&file, text.parse().unwrap()).unwrap().bytes;
            assert_eq!(given("black"), [ink, 0]);
            assert_eq!(given("#646464"), [ink, 100]);
            assert_eq!(given("#010203"), [ink, ink, ink, 1, 2, 3]);
        }
        let half = encoded(png::ColorType::Rgba, png::BitDepth::Eight, [1, 1], &[200, 100, 0, 51]);
        assert_eq!(Picture::decode(&half, "white".parse().unwrap()).unwrap().bytes, [244, 224, 204]);
    }

    #[test]
    fn photographs_are_turned_upright() {
        // Dark above, bright below, 8 columns by 16 rows.
        let bytes = (0..8 * 16).map(|k| if k < 64 { 20 } else { 220 }).collect();
        let picture = Picture { height: 16, width: 8, channels: 1, bytes };
        let upright = |orientation| {
            let found = decode(&jpeg(&picture, orientation)).unwrap();
            let at = |row: usize, column: usize| found.bytes[row * found.width + column] > 128;
            (found.height, found.width, at(0, 0), at(0, found.width - 1), at(found.height - 1, 0))
        };
        assert_eq!(upright(None), (16, 8, false, false, true));
        assert_eq!(upright(Some(1)), (16, 8, false, false, true));
        assert_eq!(upright(Some(3)), (16, 8, true, true, false), "by half a turn");
        assert_eq!(upright(Some(6)), (8, 16, true, false, true), "by a quarter, clockwise");
        assert_eq!(upright(Some(8)), (8, 16, false, true, false), "by a quarter, the other way");
    }

    #[test]
    fn files_that_are_cut_off_are_told() {
        let bytes = (0..32 * 32).map(|k| (k * 7 % 251) as u8).collect();
        let picture = Picture { height: 32, width: 32, channels: 1, bytes };
        for (file, name) in [(jpeg(&picture, Some(6)), "JPEG"), (picture.png().unwrap(), "PNG")] {
            assert!(decode(&file).is_ok());
            for part in 1..8 {
                let error = decode(&file[..file.len() * part / 8]).unwrap_err().to_string();
                assert!(error.contains(name) && error.contains(';'), "{name} {part}: {error}");
            }
        }
    }

    #[test]
    fn files_that_claim_too_much_are_refused_before_they_are_unpacked() {
        let mut file = Picture { height: 1, width: 1, channels: 1, bytes: vec![0] }.png().unwrap();
        // The width and the height of the header, with its checksum.
        file[16..24].copy_from_slice(&[0, 1, 0x86, 0xA0, 0, 1, 0x86, 0xA0]);
        let crc = file[12..29].iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
        });
        file[29..33].copy_from_slice(&(!crc).to_be_bytes());
        for file in [&file[..], b"P5 100000 100000 255\n\x07", b"P6\n99999999 1 255\n"] {
            let error = decode(file).unwrap_err();
            assert!(matches!(error, PictureError::TooLarge { .. } | PictureError::Invalid { .. }), "{error}");
        }
    }

    #[test]
    fn other_files_are_named() {
        for (file, name) in [
            (&b""[..], "is empty"),
            (b"GIF89a....", "is a GIF file"),
            (b"RIFF....WEBPVP8 ", "is a WebP file"),
            (b"\0\0\0\x18ftypheic....", "is a HEIC file"),
            (b"II*\0....", "is a TIFF file"),
            (b"Hello", "is not a picture"),
            (b"PNG", "is not a picture"),
            (b"\x89PNG\r\n", "PNG file"),
            (b"P5 2 1 255\n\x07", "PGM file"),
            (b"P5 0 1 255\n", "has no pixels"),
            (b"BM", "BMP file"),
            (b"\xFF\xD8\xFF", "JPEG file"),
        ] {
            let error = decode(file).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(';') && !error.contains('\n'), "{error}");
        }
        assert_eq!(decode(b"P5\n# by hand\n2 1\n255\n\x07\x08").unwrap().bytes, [7, 8]);
        assert_eq!(decode(b"P2 2 1 255 7 8\n").unwrap().bytes, [7, 8]);
        assert_eq!(decode(b"P6 1 1 255\nabc").unwrap().channels, 3);
    }

    #[test]
    fn gray_and_color_become_each_other() {
        let gray = Picture { height: 1, width: 2, channels: 1, bytes: vec![10, 255] };
        let color = gray.clone().with_channels(3);
        assert_eq!(color.bytes, [10, 10, 10, 255, 255, 255]);
        assert_eq!(color.with_channels(1), gray);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(start in 0usize..4, bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let starts: [&[u8]; 4] = [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x08\0\0\0\x08", b"\xFF\xD8\xFF", b"BM", b"P5 "];
            _ = decode(&[starts[start], &bytes].concat());
        }
    }
}
