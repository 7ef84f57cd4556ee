//! The color that shows through transparent pixels, and with which margins are filled where a picture does not have the network's
//! shape.

use std::fmt;
use std::str::FromStr;

/// The color that shows through transparent pixels, and with which margins are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Background {
    /// Below transparent pixels the opposite of their ink: white below dark ink, black below light ink. In margins the mean
    /// color of the picture's outermost pixels.
    #[default]
    Auto,
    /// This color: red, green, blue.
    Color([u8; 3]),
}

impl Background {
    /// The color below the transparent pixels of a picture with `samples` values per pixel, the last of which is the opacity.
    pub(crate) fn ground(self, bytes: &[u8], samples: usize) -> [u8; 3] {
        let Background::Color(color) = self else {
            let (mut ink, mut opaque) = (0u64, 0u64);
            for pixel in bytes.chunks_exact(samples) {
                let Some((alpha, values)) = pixel.split_last() else { continue };
                opaque += u64::from(*alpha) * values.len() as u64;
                ink += u64::from(*alpha) * values.iter().map(|value| u64::from(*value)).sum::<u64>();
            }
            return [if ink < 128 * opaque { 255 } else { 0 }; 3];
        };
        color
    }
}

impl fmt::Display for Background {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Background::Auto => formatter.write_str("auto"),
            Background::Color([red, green, blue]) => write!(formatter, "#{red:02x}{green:02x}{blue:02x}"),
        }
    }
}

impl FromStr for Background {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hexadecimal = |digits: &str| {
            let channel = |k: usize| u8::from_str_radix(digits.get(2 * k..2 * k + 2)?, 16).ok();
            let plain = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            plain.then(|| Some([channel(0)?, channel(1)?, channel(2)?])).flatten()
        };
        match text {
            "auto" => Ok(Background::Auto),
            "black" => Ok(Background::Color([0; 3])),
            "white" => Ok(Background::Color([255; 3])),
            _ => text
                .strip_prefix('#')
                .and_then(hexadecimal)
                .map(Background::Color)
                .ok_or_else(|| "give `auto`, `black`, `white` or a color such as #ff8800".into()),
        }
    }
}
