//! The public keys that this firmware is built with: `sirocco build --key FILE --operator FILE` passes them in environment
//! variables, in hexadecimal digits, separated by commas.

use crate::trust::PublicKey;
use sirocco::limits::MAX_KEYS;

const MODEL_TEXT: &str = text(option_env!("SIROCCO_KEYS"));
const OPERATOR_TEXT: &str = text(option_env!("SIROCCO_OPERATORS"));

/// Keys for models.
pub static MODELS: &[PublicKey] = &parse::<{ count(MODEL_TEXT) }>(MODEL_TEXT);
/// Keys of operators.
pub static OPERATORS: &[PublicKey] = &parse::<{ count(OPERATOR_TEXT) }>(OPERATOR_TEXT);

const fn text(variable: Option<&'static str>) -> &'static str {
    match variable {
        Some(text) => text,
        None => "",
    }
}

/// Digits of a key, and a comma.
const STRIDE: usize = 2 * size_of::<PublicKey>() + 1;

// All of this runs in the compiler, where a panic is an error message.
const fn count(text: &str) -> usize {
    let count = (text.len() + 1) / STRIDE;
    assert!(text.is_empty() || (text.len() + 1).is_multiple_of(STRIDE), "a public key has 64 hexadecimal digits");
    assert!(count <= MAX_KEYS, "too many public keys");
    count
}

const fn parse<const N: usize>(text: &str) -> [PublicKey; N] {
    let (mut keys, mut k) = ([[0; 32]; N], 0);
    while k < N {
        assert!(k == 0 || text.as_bytes()[k * STRIDE - 1] == b',', "public keys are separated by commas");
        let mut byte = 0;
        while byte < 32 {
            let at = k * STRIDE + 2 * byte;
            keys[k][byte] = digit(text.as_bytes()[at]) << 4 | digit(text.as_bytes()[at + 1]);
            byte += 1;
        }
        k += 1;
    }
    keys
}

const fn digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => panic!("a public key has 64 hexadecimal digits, in lower case"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_their_digits() {
        const TEXT: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f,\
                            ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
        let keys = parse::<{ count(TEXT) }>(TEXT);
        assert_eq!(keys, [core::array::from_fn(|k| k as u8), [0xFF; 32]]);
        assert_eq!(count(""), 0);
    }
}
