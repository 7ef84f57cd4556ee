//! Picture files as [`sirocco_pictures`] reads them, and IDX files (the format of MNIST) with many images in one.

use crate::Error;
use sirocco_pictures::Background;
use std::io::Read;
use std::path::Path;

pub use sirocco_pictures::{Picture, Preparation};

/// The error for a file of images; `what` is a predicate of the file.
fn bad(path: &Path, what: impl Into<String>) -> Error {
    Error::Picture { path: path.to_owned(), what: what.into() }
}

/// Reads a picture file; what is transparent is laid over `background`.
///
/// # Errors
/// [`Error::File`] if the file cannot be read, [`Error::NoPicture`] if it is malformed or of another format.
pub fn read(path: &Path, background: Background) -> Result<Picture, Error> {
    let file = std::fs::read(path).map_err(Error::file(path))?;
    Picture::decode(&file, background).map_err(|source| Error::NoPicture { path: path.to_owned(), source })
}

/// The most bytes that a packed file of images may unpack to: ten times MNIST.
const MOST_UNPACKED: u64 = 1 << 29;

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
    fn pictures_are_read_and_other_files_named() {
        let picture = Picture { height: 1, width: 2, channels: 1, bytes: vec![7, 8] };
        for bytes in [picture.png().unwrap(), b"P5\n# by hand\n2 1\n255\n\x07\x08".to_vec()] {
            let (_folder, path) = written("a.png", &bytes);
            assert_eq!(read(&path, Background::Auto).unwrap(), picture);
        }
        for bad in [&b"P5 2 1 255\n\x07"[..], b"P5 2", b"P5 2 1 65535 \x07\x08", b"GIF89a", b"", b"\x89PNG\r\n"] {
            let (_folder, path) = written("bad", bad);
            let error = read(&path, Background::Auto).unwrap_err().to_string();
            assert!(error.contains("bad") && error.contains(';'), "{error}");
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
