//! Image files with 8 bits per channel: PNG, PGM and PPM, and IDX files (the format of MNIST) with many images in one.

use crate::Error;
use std::io::{Cursor, Read};
use std::path::Path;

/// An image: rows x columns x channels bytes, channels last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 for gray, 3 for color.
    pub channels: usize,
    /// The values of all pixels.
    pub bytes: Vec<u8>,
}

/// The error for a file of images; `what` is a predicate of the file.
fn bad(path: &Path, what: impl Into<String>) -> Error {
    Error::Picture { path: path.to_owned(), what: what.into() }
}

/// What a file is that is no image of a known format, by its first bytes.
fn format_of(file: &[u8]) -> &'static str {
    match file {
        [0xFF, 0xD8, 0xFF, ..] => "a JPEG file",
        [b'B', b'M', ..] => "a BMP file",
        [b'G', b'I', b'F', b'8', ..] => "a GIF file",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "a WebP file",
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => "a TIFF file",
        [] => "empty",
        _ => "no image",
    }
}

impl Picture {
    /// Reads a PNG, PGM (P5) or PPM (P6) file.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read, [`Error::Picture`] if it is malformed or of another format.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let file = std::fs::read(path).map_err(Error::file(path))?;
        match file.get(..2) {
            Some(b"P5") => netpbm(&file, 1).ok_or_else(|| bad(path, "is not a complete 8-bit PGM file")),
            Some(b"P6") => netpbm(&file, 3).ok_or_else(|| bad(path, "is not a complete 8-bit PPM file")),
            _ if file.starts_with(b"\x89PNG") => png(&file).map_err(|what| bad(path, what)),
            _ => Err(bad(path, format!("is {}; PNG, PGM and PPM are read", format_of(&file)))),
        }
    }

    /// The same image with the number of channels that a network takes: color becomes gray by the weights of ITU-R
    /// BT.601, gray becomes three equal channels.
    #[must_use]
    pub fn with_channels(self, channels: usize) -> Self {
        let bytes = match (self.channels, channels) {
            (3, 1) => {
                let luma = |p: &[u8]| {
                    p.iter().zip([77u32, 150, 29]).map(|(c, weight)| u32::from(*c) * weight).sum::<u32>() + 128
                };
                self.bytes.chunks_exact(3).map(|p| (luma(p) >> 8) as u8).collect()
            }
            (1, 3) => self.bytes.iter().flat_map(|gray| [*gray; 3]).collect(),
            _ => return self,
        };
        Picture { channels, bytes, ..self }
    }

    /// The bytes of a PNG file with this image.
    ///
    /// # Errors
    /// If there are neither 1 nor 3 channels, or the number of bytes is wrong.
    pub fn png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width as u32, self.height as u32);
        encoder.set_color(if self.channels == 3 { png::ColorType::Rgb } else { png::ColorType::Grayscale });
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.bytes)?;
        writer.finish()?;
        Ok(file)
    }
}

/// The most pixels an image may have: no network takes as many, and a file of a kilobyte can claim billions.
const MOST_PIXELS: u64 = 1 << 24;
/// The most bytes that a packed file of images may unpack to: ten times MNIST.
const MOST_UNPACKED: u64 = 1 << 29;

/// Decodes a PNG file. What is transparent is laid over the opposite of its ink: dark ink over white, light ink over black.
/// Indices into a palette become colors. Of 16 bits the upper 8 stay; where they hold nothing, as with 12 bits in 16, the image
/// would be black, and the file is refused.
///
/// # Errors
/// What is wrong, as a predicate of the file.
fn png(file: &[u8]) -> Result<Picture, String> {
    let invalid = |error: png::DecodingError| format!("is not a valid PNG file: {error}");
    let mut decoder = png::Decoder::new(Cursor::new(file));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    decoder.set_limits(png::Limits { bytes: 8 * MOST_PIXELS as usize });
    let (width, height) = decoder.read_header_info().map_err(invalid)?.size();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(invalid(png::DecodingError::LimitsExceeded));
    }
    let mut reader = decoder.read_info().map_err(invalid)?;
    let deep = reader.info().bit_depth == png::BitDepth::Sixteen;
    let mut bytes = vec![0; reader.output_buffer_size().unwrap_or_default()];
    let info = reader.next_frame(&mut bytes).map_err(invalid)?;
    bytes.truncate(info.buffer_size());
    let (height, width, samples) = (info.height as usize, info.width as usize, info.color_type.samples());
    let channels = if samples < 3 { 1 } else { 3 };
    let brightest = bytes.chunks_exact(samples).flat_map(|pixel| pixel.iter().take(channels)).max();
    if deep && brightest.is_some_and(|value| (1..16).contains(value)) {
        return Err("has 16 bits for each value and uses only the lower 12; stretch them, as with `magick IN -auto-level OUT.png`".into());
    }
    // Two or four samples: the last one is the opacity.
    let opacity =
        |pixel: &[u8]| if samples == channels { 255 } else { u32::from(pixel.last().copied().unwrap_or(255)) };
    let (mut ink, mut opaque) = (0u64, 0u64);
    for pixel in bytes.chunks_exact(samples) {
        let alpha = u64::from(opacity(pixel));
        opaque += alpha * channels as u64;
        ink += alpha * pixel.iter().take(channels).map(|value| u64::from(*value)).sum::<u64>();
    }
    let ground = if ink < 128 * opaque { 255 } else { 0 };
    let laid = |pixel: &[u8]| -> Vec<u8> {
        let alpha = opacity(pixel);
        let over = |value: &u8| ((u32::from(*value) * alpha + ground * (255 - alpha) + 127) / 255) as u8;
        pixel.iter().take(channels).map(over).collect()
    };
    let bytes = bytes.chunks_exact(samples).flat_map(laid).collect();
    Ok(Picture { height, width, channels, bytes })
}

/// Decodes `P5 WIDTH HEIGHT 255`, one white space, then the bytes; lines of the header that begin with # are comments.
fn netpbm(file: &[u8], channels: usize) -> Option<Picture> {
    let mut rest = file.get(2..)?;
    let mut number = || -> Option<usize> {
        loop {
            rest = rest.trim_ascii_start();
            match rest {
                [b'#', ..] => rest = rest.get(rest.iter().position(|b| *b == b'\n')?..)?,
                _ => break,
            }
        }
        let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
        let (digits, after) = rest.split_at(digits);
        rest = after;
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    let (width, height, largest) = (number()?, number()?, number()?);
    let size = width.checked_mul(height)?.checked_mul(channels)?;
    let bytes = rest.get(1..)?.get(..size)?;
    (largest == 255 && size > 0).then(|| Picture { height, width, channels, bytes: bytes.to_vec() })
}

/// The content of a file, decompressed if it is a gzip file.
fn unpacked(path: &Path) -> Result<Vec<u8>, Error> {
    let file = std::fs::read(path).map_err(Error::file(path))?;
    if !file.starts_with(&[0x1F, 0x8B]) {
        return Ok(file);
    }
    let mut content = Vec::new();
    let unpacking =
        flate2::read::MultiGzDecoder::new(file.as_slice()).take(MOST_UNPACKED + 1).read_to_end(&mut content);
    let bytes = unpacking.map_err(|e| bad(path, format!("is not a complete gzip file: {e}")))?;
    if bytes as u64 > MOST_UNPACKED {
        return Err(bad(path, format!("unpacks to more than {MOST_UNPACKED} bytes")));
    }
    Ok(content)
}

/// Reads an IDX file of bytes in `N` dimensions, perhaps packed with gzip: the number 2048 + N, the `N` sizes, then the
/// bytes. The trainer reads data sets of this format with a reader of its own, as the tools do not depend on it.
fn idx<const N: usize>(path: &Path, what: &str) -> Result<([usize; N], Vec<u8>), Error> {
    let content = unpacked(path)?;
    let (words, _) = content.as_chunks::<4>();
    let mut numbers = words.iter().map(|word| u32::from_be_bytes(*word) as usize);
    let kind = 2048 + N;
    if numbers.next() != Some(kind) {
        return Err(bad(path, format!("is not an IDX file of {what}: its first number is not {kind}")));
    }
    let mut sizes = [0; N];
    for size in &mut sizes {
        *size = numbers.next().ok_or_else(|| bad(path, "ends within its header"))?;
    }
    let length = sizes.iter().fold(1, |product: usize, size| product.saturating_mul(*size));
    let header = 4 + 4 * N;
    let Some(bytes) = content.get(header..).and_then(|rest| rest.get(..length)) else {
        let shape: Vec<String> = sizes.iter().skip(1).map(usize::to_string).collect();
        let of = if shape.is_empty() { "" } else { " of " };
        let (has, count, needs) = (content.len(), sizes[0], length.saturating_add(header));
        return Err(bad(path, format!("has {has} bytes, {count} {what}{of}{} take {needs}", shape.join("x"))));
    };
    Ok((sizes, bytes.to_vec()))
}

/// The images of an IDX file: their number, rows, columns, then the bytes.
///
/// # Errors
/// [`Error::File`] if the file cannot be read, [`Error::Picture`] if it holds something else or is cut off.
pub fn idx_images(path: &Path) -> Result<Vec<Picture>, Error> {
    let ([_, height, width], bytes) = idx(path, "images")?;
    if height * width == 0 {
        return Err(bad(path, "holds images without pixels"));
    }
    let picture = |bytes: &[u8]| Picture { height, width, channels: 1, bytes: bytes.to_vec() };
    Ok(bytes.chunks_exact(height * width).map(picture).collect())
}

/// The labels of an IDX file: their number, then the bytes.
///
/// # Errors
/// As for [`idx_images`].
pub fn idx_labels(path: &Path) -> Result<Vec<u8>, Error> {
    let ([_], labels) = idx(path, "labels")?;
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn png_files_come_back_as_they_were_written() {
        for channels in [1, 3] {
            let bytes = (0..2 * 3 * channels).map(|k| (40 * k % 251) as u8).collect();
            let picture = Picture { height: 2, width: 3, channels, bytes };
            let (_folder, path) = written("a.png", &picture.png().unwrap());
            assert_eq!(Picture::read(&path).unwrap(), picture);
        }
    }

    #[test]
    fn transparent_ink_is_laid_over_its_opposite() {
        for (ink, ground) in [(0u8, 255u8), (250, 0)] {
            let mut file = Vec::new();
            let mut encoder = png::Encoder::new(&mut file, 2, 1);
            encoder.set_color(png::ColorType::GrayscaleAlpha);
            let mut writer = encoder.write_header().unwrap();
            writer.write_image_data(&[ink, 255, ink, 0]).unwrap();
            writer.finish().unwrap();
            let (_folder, path) = written("ink.png", &file);
            assert_eq!(Picture::read(&path).unwrap().bytes, [ink, ground]);
        }
    }

    #[test]
    fn twelve_bits_in_sixteen_are_not_taken_for_black() {
        for (value, right) in [(0x0FFFu16, None), (0x0100, None), (0x1000, Some(16)), (0xFFFF, Some(255)), (0, Some(0))]
        {
            let mut file = Vec::new();
            let mut encoder = png::Encoder::new(&mut file, 1, 1);
            encoder.set_color(png::ColorType::Grayscale);
            encoder.set_depth(png::BitDepth::Sixteen);
            let mut writer = encoder.write_header().unwrap();
            writer.write_image_data(&value.to_be_bytes()).unwrap();
            writer.finish().unwrap();
            let (_folder, path) = written("deep.png", &file);
            match (Picture::read(&path), right) {
                (Ok(picture), Some(right)) => assert_eq!(picture.bytes, [right]),
                (Err(error), None) => assert!(error.to_string().contains("only the lower 12"), "{error}"),
                (found, _) => panic!("{value}: {found:?}"),
            }
        }
    }

    #[test]
    fn files_that_claim_too_much_are_refused_before_they_are_unpacked() {
        let mut file = Picture { height: 1, width: 1, channels: 1, bytes: vec![0] }.png().unwrap();
        // The width and the height of the header, with its checksum.
        file[16..24].copy_from_slice(&[0, 1, 0x86, 0xA0, 0, 1, 0x86, 0xA0]);
        let mut crc = flate2::Crc::new();
        crc.update(&file[12..29]);
        file[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        let (_folder, path) = written("bomb.png", &file);
        let error = Picture::read(&path).unwrap_err().to_string();
        assert!(error.contains("bomb.png") && error.contains("imit"), "{error}");
    }

    #[test]
    fn gray_and_color_become_each_other() {
        let gray = Picture { height: 1, width: 2, channels: 1, bytes: vec![10, 255] };
        let color = gray.clone().with_channels(3);
        assert_eq!(color.bytes, [10, 10, 10, 255, 255, 255]);
        assert_eq!(color.with_channels(1), gray);
    }

    #[test]
    fn netpbm_files_with_comments() {
        let (_folder, path) = written("a.pgm", b"P5\n# by hand\n2 1\n255\n\x07\x08");
        assert_eq!(Picture::read(&path).unwrap().bytes, [7, 8]);
        let (_folder, path) = written("a.ppm", b"P6 1 1 255\nabc");
        assert_eq!(Picture::read(&path).unwrap().channels, 3);
        for bad in [&b"P5 2 1 255\n\x07"[..], b"P5 2", b"P5 2 1 65535 \x07\x08", b"GIF89a", b"", b"\x89PNG\r\n"] {
            let (_folder, path) = written("bad", bad);
            assert!(Picture::read(&path).unwrap_err().to_string().contains("bad"), "{bad:?}");
        }
    }

    #[test]
    fn idx_files_packed_and_not() {
        use std::io::Write;
        let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..], &[1, 2, 3, 4]].concat();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&images).unwrap();
        for bytes in [images.clone(), packed.finish().unwrap()] {
            let (_folder, path) = written("images", &bytes);
            let pictures = idx_images(&path).unwrap();
            assert_eq!((pictures.len(), &pictures[1].bytes), (2, &vec![3, 4]));
        }
        let (_folder, path) = written("cut", &images[..19]);
        assert!(idx_images(&path).unwrap_err().to_string().contains("2 images of 1x2 take 20"));
        let (_folder, path) = written("labels", &[0, 0, 8, 1, 0, 0, 0, 2, 7, 9]);
        assert_eq!(idx_labels(&path).unwrap(), [7, 9]);
        assert!(idx_images(&path).is_err());
    }
}
